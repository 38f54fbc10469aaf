"""Muon for the matrices of a network, AdamW for the rest of it, as one optimizer.

Muon (Jordan et al. 2024) takes of every step's direction the nearest orthogonal matrix, so that directions in which
the gradient is weak are learned as fast as those in which it is strong. torch's own takes plain matrices, one after the
other, while a GPU waits for the processor; here the kernels of convolutions are flattened, and those of one shape taken
together, to the same end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

# How much larger than AdamW's its learning rate is: its steps have a spectral norm of 1, not elements of about 1.
_RATIO = 10.0
# Matrices with no more rows or columns, such as those that give a few logits, are left to AdamW.
_FEWEST = 8
# How much of the direction stays from step to step, and the polynomial that is iterated: as in torch.optim.Muon.
_MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.775, 2.0315)
_ITERATIONS = 5


class MuonAndAdamW:
    """Optimize the weights of convolutions and linear layers by Muon, everything else by AdamW.

    Parameters
    ----------
    network
        Its parameters are changed in place.
    learning_rate
        AdamW's; Muon's is ten times that.
    weight_decay
        Of both, relative to their learning rates.
    """

    def __init__(self, network: nn.Module, learning_rate: float, weight_decay: float) -> None:
        layers = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
        self._kernels = [layer.weight for layer in layers if min(layer.weight.flatten(1).shape) > _FEWEST]
        self._directions = [torch.zeros_like(kernel.detach().flatten(1)) for kernel in self._kernels]
        self._muon: dict[str, Any] = {"lr": _RATIO * learning_rate, "ratio": _RATIO, "weight_decay": weight_decay}
        by_muon = {id(kernel) for kernel in self._kernels}
        others = [parameter for parameter in network.parameters() if id(parameter) not in by_muon]
        self._adamw = torch.optim.AdamW(others, learning_rate, weight_decay=weight_decay)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, for a schedule to set their learning rates; Muon's has a ``ratio`` to AdamW's."""
        return [self._muon, *self._adamw.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        """Take a step along the gradients that the network's parameters have."""
        alike: dict[torch.Size, list[int]] = defaultdict(list)
        for index, kernel in enumerate(self._kernels):
            if kernel.grad is not None:
                alike[self._directions[index].shape].append(index)
        rate = self._muon["lr"]
        for (n_rows, n_columns), indices in alike.items():
            gradients = torch.stack([self._gradient(index) for index in indices])
            directions = torch.stack([self._directions[index] for index in indices])
            directions.lerp_(gradients, 1 - _MOMENTUM)
            steps = orthogonal(gradients.lerp_(directions, _MOMENTUM))
            for index, direction, step in zip(indices, directions, steps, strict=True):
                kernel = self._kernels[index]
                kernel.mul_(1 - rate * self._muon["weight_decay"])
                kernel.sub_(step.view(kernel.shape), alpha=rate * max(1.0, n_rows / n_columns) ** 0.5)
                self._directions[index] = direction
        self._adamw.step()

    def _gradient(self, index: int) -> Tensor:
        gradient = self._kernels[index].grad
        assert gradient is not None
        return gradient.flatten(1)

    def state_dict(self) -> dict[str, Any]:
        """Give what :meth:`load_state_dict` takes."""
        directions = [direction.clone() for direction in self._directions]
        return {"muon": directions, "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for direction, saved in zip(self._directions, state["muon"], strict=True):
            direction.copy_(saved)
        self._adamw.load_state_dict(state["adamw"])


def orthogonal(matrices: Tensor) -> Tensor:
    """Come near the nearest orthogonal matrices: after the iteration, singular values lie between about 0.5 and 1.5.

    Parameters
    ----------
    matrices
        Shape (n, n_rows, n_columns).

    Returns
    -------
    Tensor
        bfloat16, of the same shape.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).contiguous()
