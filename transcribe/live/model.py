"""The live network as it is shipped: found in the manifest, checked, and run a frame at a time by ONNX Runtime."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from transcribe.engine.features import FeatureConfig
from transcribe.engine.onnx_backend import METADATA
from transcribe.engine.weights import REINSTALL, build, default_name, manifest, verified_bytes
from transcribe.errors import UsageError, WeightsError
from transcribe.live.delays import delay_of
from transcribe.live.tracker import NoteTracker, Said, TrackerConfig

TASK = "live"
N_HEADS = 5


@dataclass(frozen=True)
class _Memory:
    """Rows of ``shape``, of which those ``taps`` frames ago are wanted, the oldest first."""

    name: str
    shape: tuple[int, ...]
    taps: tuple[int, ...]


class LiveModel:
    """A live network with its front end and its trackers.

    Parameters
    ----------
    content
        The bytes of an ONNX file that ``train/live/graph.py`` made.
    name
        Of its weights.

    Raises
    ------
    ValueError
        If they are no such graph.
    """

    def __init__(self, content: bytes, name: str) -> None:
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            described: Mapping[str, Any] = json.loads(self.session.get_modelmeta().custom_metadata_map[METADATA])
        except Exception as error:  # its errors have no class in common
            raise ValueError(f"no graph of pitchai's: {' '.join(str(error).split())[:120]}") from None
        try:
            self.features = build(FeatureConfig, described["features"])
            self.heard, self.told = tuple(described["heard"]), tuple(described["told"])
            self.memories = tuple(build(_Memory, memory) for memory in described["memories"])
            self.decoding = {int(ms): build(TrackerConfig, values) for ms, values in described["decoding"].items()}
        except (KeyError, TypeError) as error:
            raise ValueError(f"no graph of a live network: {error} is missing") from None
        self.name = name

    def tracker(self, latency: int) -> NoteTracker:
        """Make what follows the notes with a latency in milliseconds.

        Raises
        ------
        UsageError
            If the network has no heads for it.
        """
        if latency not in self.decoding:
            raise UsageError(f"there is no latency of {latency} ms; choose of {', '.join(map(str, self.decoding))}")
        return NoteTracker(self.decoding[latency], delay_of(latency), self.heard, self.told, self.features.grid)


class LiveListener:
    """Hears frame after frame, and remembers what it must: the same amount for ever."""

    def __init__(self, model: LiveModel) -> None:
        self.model = model
        self._inputs = [value.name for value in model.session.get_inputs()]
        self._rings = [np.zeros((memory.taps[0], *memory.shape), np.float32) for memory in model.memories]
        self._taps = [np.array(memory.taps) for memory in model.memories]
        self._n_frames = 0

    def __call__(self, log_mel: np.ndarray) -> Said:
        """Hear the next frame, float32 (n_mels,)."""
        if not self._n_frames:
            # Before the first frame there were others like it, which nothing else has heard.
            self._rings[0][:] = log_mel
            self._rings[1][:] = self._run(log_mel)[N_HEADS + 1]
        found = self._run(log_mel)
        for ring, row in zip(self._rings, found[N_HEADS:], strict=True):
            ring[self._n_frames % len(ring)] = row
        self._n_frames += 1
        return Said(*found[:N_HEADS])

    def _run(self, log_mel: np.ndarray) -> list[np.ndarray]:
        remembered = [
            ring[(self._n_frames - taps) % len(ring)] for ring, taps in zip(self._rings, self._taps, strict=True)
        ]
        given = dict(zip(self._inputs, (log_mel, *remembered), strict=True))
        found: list[np.ndarray] = self.model.session.run(None, given)
        return found


def load_live_model(name: str | None = None) -> LiveModel:
    """Load a live network by its name in the manifest; the default where None.

    Raises
    ------
    WeightsError
        If its graph is missing or damaged.
    UsageError
        If there is none of that name.
    """
    entries = {entry.name: entry for entry in manifest().values() if entry.task == TASK}
    entry = entries.get(name or default_name(TASK))
    if entry is None:
        raise UsageError(f"there is no {TASK} model {name!r}; choose one of {', '.join(sorted(entries))}")
    try:
        return LiveModel(verified_bytes(entry.graph, entry.graph_sha256), entry.name)
    except ValueError as error:
        raise WeightsError(f"{entry.graph}: {error}; {REINSTALL}") from None
