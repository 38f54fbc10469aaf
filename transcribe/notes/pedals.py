"""The activation of the sustain pedal, block by block, to spans of it; none where nothing says that there is a pedal.

A network of pianos takes any sound that goes on for a pedal's: a sine, an organ. Under a real one keys are let go while
it is down, again and again, and the network is sure of it for much of the time.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from transcribe.engine.features import FrameGrid
from transcribe.events import Note, Pedal

# Gaps in the pedal and spans of it that are shorter, in seconds, are flicker: no foot is that quick.
_FLICKER = 0.06
# A key is let go under a pedal if that is so many seconds after its beginning and before its end at least; under a
# span that is one so many are. Such spans are this share of a pedal's time at least. (Renders and recordings of pianos
# have 0.3 to 1.0; single notes held, 0.)
_AFTER, _BEFORE = 0.05, 0.1
_RELEASES = 2
_SHARE_RELEASED = 0.3
# From where on the activation is sure, and in which share of a pedal's time at least; fewer will do where so many keys
# a second are let go. (Pianos have 0.13 to 0.95 or, one of 81, more releases; organs and sines that change 0 to 0.12.)
_SURE = 0.8
_SHARE_SURE = 0.13
_RELEASES_A_SECOND = 3.0


class PedalDecoder:
    """Decode a stream of activations: :meth:`push` every block, then :meth:`finish`.

    Holds the frames at which the pedal changes: an array that grows without fragments.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._edges = array("q")
        self._down = False
        self._n_frames = self._n_down = self._n_sure = 0

    def push(self, pedal: np.ndarray) -> None:
        """Take in the frames that follow, (n_frames,)."""
        down = pedal >= self._threshold
        known = np.concatenate([[self._down], down])
        self._edges.extend((np.flatnonzero(known[1:] != known[:-1]) + self._n_frames).tolist())
        self._down = bool(known[-1])
        self._n_frames += len(pedal)
        self._n_down += int(down.sum())
        self._n_sure += int((down & (pedal >= _SURE)).sum())

    def finish(self, grid: FrameGrid, notes: Sequence[Note]) -> list[Pedal]:
        """List the spans, none where all of it isn't a pedal; ``notes`` are all that were heard."""
        spans = self.spans(grid)
        if not self._believed(spans, np.sort([note.offset for note in notes])):
            return []
        return [Pedal(onset, offset) for onset, offset in spans.tolist()]

    def spans(self, grid: FrameGrid) -> np.ndarray:
        """List the spans (n, 2) in seconds, whatever they are of."""
        # The first frame after a change lies half a frame behind it, on average.
        edges = np.maximum(np.array(self._edges, float) - 0.5, 0)
        if len(edges) % 2:
            edges = np.append(edges, self._n_frames)
        times = np.asarray(grid.frames_to_time(edges), float)
        gaps = np.flatnonzero(np.diff(times)[1::2] < _FLICKER)
        spans = np.delete(times, np.concatenate([2 * gaps + 1, 2 * gaps + 2])).reshape(-1, 2)
        return np.asarray(spans[spans[:, 1] - spans[:, 0] >= _FLICKER])

    def _believed(self, spans: np.ndarray, released: np.ndarray) -> bool:
        """Whether all this is a pedal; ``released`` is when keys are let go, sorted."""
        if not len(spans):
            return False
        first, last = np.searchsorted(released, spans[:, 0] + _AFTER), np.searchsorted(released, spans[:, 1] - _BEFORE)
        releases, lengths = np.maximum(last - first, 0), spans[:, 1] - spans[:, 0]
        if lengths[releases >= _RELEASES].sum() < _SHARE_RELEASED * lengths.sum():
            return False
        return self._n_sure >= _SHARE_SURE * self._n_down or releases.sum() >= _RELEASES_A_SECOND * lengths.sum()
