"""A network as a plain CPU runs it: an ONNX graph in ONNX Runtime.

It starts without torch, whose import takes longer than hearing minutes of music, and computes float32 in half of
torch's time or less. ``train/onnx.py`` makes the graphs of the shipped weights.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import numpy as np

from transcribe.errors import UsageError, machine_fault

INPUT = "log_mel"
METADATA = "pitchai"


class OnnxNetwork:
    """Log-mel in, activations out; several threads may use it at once.

    ``border`` are frames at each end of a window that see past it, ``stride`` frames a step of the output.

    Parameters
    ----------
    content
        The bytes of an ONNX file.

    Raises
    ------
    ValueError
        If they are no such graph.
    UsageError
        If ONNX Runtime can't be loaded.
    """

    def __init__(self, content: bytes) -> None:
        # Its packages send telemetry from 1.29 on, and keep an identifier in the user's cache, unless this is set
        # before they are loaded; `disable_telemetry_events` is for older ones on Windows.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime

            onnxruntime.disable_telemetry_events()
        except (ImportError, OSError) as error:
            reason = " ".join(str(error).split())[:120] + "; pip install --force-reinstall onnxruntime"
            fault = machine_fault(error) if isinstance(error, ImportError) else None
            raise UsageError(f"ONNX Runtime can't be loaded: {fault or reason}") from None
        self._content = content
        options = onnxruntime.SessionOptions()
        # Windows are shared out among threads, not layers: no thread waits for another, and the bytes never change.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            described = json.loads(self._session.get_modelmeta().custom_metadata_map[METADATA])
        except Exception as error:  # its errors have no class in common
            raise ValueError(f"no ONNX graph of pitchai's: {' '.join(str(error).split())[:120]}") from None
        self.border = int(described["border"])
        self.stride = int(described["stride"])

    def __reduce__(self) -> tuple[type[OnnxNetwork], tuple[bytes]]:
        return OnnxNetwork, (self._content,)

    def __call__(self, log_mel: np.ndarray) -> tuple[np.ndarray, ...]:
        """Hear a window.

        Parameters
        ----------
        log_mel
            float32, shape (n_frames, n_mels); ``n_frames`` a multiple of 8.

        Returns
        -------
        tuple of np.ndarray
            What the network's ``activations`` are in torch, for ``n_frames / stride`` steps.
        """
        return tuple(output[0] for output in self._session.run(None, {INPUT: log_mel[None]}))


def run_graph(
    windows: Iterable[tuple[np.ndarray, int]], network: OnnxNetwork, threads: int
) -> Iterator[tuple[tuple[np.ndarray, ...], int]]:
    """Run a network over windows, on as many threads as may be used: its activations, in the order of the windows.

    With each window comes how many frames it answers for, which is passed on.
    """
    if threads == 1:
        yield from ((network(frames), n_frames) for frames, n_frames in windows)
        return
    ahead: deque[tuple[Future[tuple[np.ndarray, ...]], int]] = deque()
    try:
        for frames, n_frames in windows:
            ahead.append((_pool(threads).submit(network, frames), n_frames))
            if len(ahead) > threads:
                future, n_frames = ahead.popleft()
                yield future.result(), n_frames
        while ahead:
            future, n_frames = ahead.popleft()
            yield future.result(), n_frames
    finally:  # the consumer stopped early: cancel what is queued
        for future, _ in ahead:
            future.cancel()


# One for all networks, which take turns in it; its threads don't outlive a fork.
_pool = cache(ThreadPoolExecutor)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
