"""What trainings on a small corpus share: it lies in memory, some pieces are held out, and a graph is exported."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Generic, TypeVar, cast

import torch
from torch import nn

from train import loop
from train.card import Making, write_card, write_weights
from train.onnx import write_graph
from transcribe.engine.weights import to_bytes

N = TypeVar("N", bound=nn.Module)


class InMemoryTask(ABC, Generic[N]):
    """The half of a :class:`train.fit.Task` that is the same for every small corpus."""

    _options: argparse.Namespace

    @abstractmethod
    def measure(self, network: nn.Module) -> dict[str, float]:
        """Measure a network on the pieces held out."""

    @abstractmethod
    def export(self, network: N, making: Making, figures: Mapping[str, float]) -> None:
        """Write the weights and what goes with them."""

    def prepare(self) -> None:
        """Do nothing: the corpus is small, and in memory."""

    def validation(self, device: torch.device) -> loop.Validate:
        """Measure on the way what :meth:`measure` does."""
        return self.measure

    def finish(self, network: N, device: torch.device, command: str) -> None:
        """Print the figures of the validation pieces; export."""
        network = network.cpu()
        figures = self.measure(network)
        print("  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if self._options.export:
            self.export(network, Making.of(self._options, command), figures)


def write_network(task: str, network: N, to_onnx: Callable[[N], bytes], making: Making, lines: Sequence[str]) -> None:
    """Write weights, graph, their line in the manifest, and the card with ``lines`` of figures."""
    header = {"task": task, "network": asdict(cast(Any, network.config)), "made": making.header()}
    write_weights(to_bytes(network.state_dict(), header), task, making)
    write_graph(making.folder, making.name, to_onnx(_halved(network)))
    write_card(making, network, list(lines), {})


def _halved(network: N) -> N:
    """Round the weights to half precision, as they are shipped."""
    state = {key: v.half().float() if v.is_floating_point() else v for key, v in network.state_dict().items()}
    network.load_state_dict(state)
    return network
