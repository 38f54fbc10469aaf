"""Muon for the matrices of a network, AdamW for the rest of it, as one optimizer.

Muon (Jordan et al. 2024) takes of every step's direction the nearest orthogonal matrix, so that directions in which
the gradient is weak are learned as fast as those in which it is strong. torch's own takes plain matrices only: the
kernels of convolutions are handed to it flattened.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

# How much larger than AdamW's its learning rate is: its steps have a spectral norm of 1, not elements of about 1.
_RATIO = 10.0
# Matrices with no more rows or columns, such as those that give a few logits, are left to AdamW.
_FEWEST = 8


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
        self._matrices = [kernel.detach().flatten(1).clone() for kernel in self._kernels]
        by_muon = {id(kernel) for kernel in self._kernels}
        others = [parameter for parameter in network.parameters() if id(parameter) not in by_muon]
        group = {"params": self._matrices, "ratio": _RATIO}
        self._muon = torch.optim.Muon([group], _RATIO * learning_rate, weight_decay=weight_decay)
        self._adamw = torch.optim.AdamW(others, learning_rate, weight_decay=weight_decay)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, for a schedule to set their learning rates; Muon's has a ``ratio`` to AdamW's."""
        return [*self._muon.param_groups, *self._adamw.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        """Take a step along the gradients that the network's parameters have."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.copy_(kernel.flatten(1))
            matrix.grad = None if kernel.grad is None else kernel.grad.flatten(1)
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adamw.step()
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            kernel.copy_(matrix.view(kernel.shape))

    def state_dict(self) -> dict[str, Any]:
        """Give what :meth:`load_state_dict` takes."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])
