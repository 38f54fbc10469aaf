"""Notes → windows of features → activations, on a grid of the music's own time, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from transcribe.beats.activations import METRES, N_TEMPI, BeatActivations
from transcribe.beats.features import n_frames_of, note_features

# 48 s, as long as training's excerpts; 8 s at each end are for the neighbouring windows to answer for.
WINDOW_FRAMES, BORDER_FRAMES = 2400, 400
STEP_FRAMES = WINDOW_FRAMES - 2 * BORDER_FRAMES

# float32 (WINDOW_FRAMES, N_FEATURES) -> beat, downbeat, triple (WINDOW_FRAMES,), tempo, metre (WINDOW_FRAMES, n)
Network = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def spans(n_frames: int) -> Iterator[tuple[int, int, int]]:
    """Cut music into windows: the first frame that each sees, the first it answers for, and the first it doesn't."""
    first = 0
    while True:
        start = first + BORDER_FRAMES if first else 0
        last = first + WINDOW_FRAMES >= n_frames
        yield first, start, n_frames if last else first + WINDOW_FRAMES - BORDER_FRAMES
        if last:
            return
        first += STEP_FRAMES


def predict_blocks(notes: np.ndarray, network: Network, drums: np.ndarray | None = None) -> Iterator[BeatActivations]:
    """Run the network over notes, a window at a time.

    Parameters
    ----------
    notes
        Shape (n, 4): onset s, offset s, pitch, velocity, ordered by onset.
    network
        A network that is given one window.
    drums
        Shape (k, 3): onset s, which drum (:mod:`transcribe.beats.features`), velocity, ordered by onset.

    Yields
    ------
    BeatActivations
        Blocks that follow each other, up to two seconds after the last onset; none for no notes and no drums.
    """
    n_frames = max(n_frames_of(notes), n_frames_of(drums) if drums is not None else 0)
    if n_frames == 0:
        return
    for first, start, stop in spans(n_frames):
        answers = network(note_features(notes, first, WINDOW_FRAMES, drums))
        yield BeatActivations(*(answer[start - first : stop - first] for answer in answers))


def predict(notes: np.ndarray, network: Network, drums: np.ndarray | None = None) -> BeatActivations:
    """Run the network over all notes; as :func:`predict_blocks`, in one."""
    blocks = list(predict_blocks(notes, network, drums))
    if not blocks:
        empty = np.zeros(0, np.float32)
        return BeatActivations(
            empty, empty, empty, np.zeros((0, N_TEMPI), np.float32), np.zeros((0, len(METRES)), np.float32)
        )
    return BeatActivations(
        *(
            np.concatenate([getattr(block, name) for block in blocks])
            for name in ("beat", "downbeat", "triple", "tempo", "metre")
        )
    )
