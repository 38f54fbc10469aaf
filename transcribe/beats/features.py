"""Notes and drums → what the beat network reads: onsets and sounding notes on a grid of 50 frames a second.

Frame ``i`` is centred on ``i / FRAME_RATE`` seconds. Any span of frames can be made on its own, and is the same
numbers as when it is cut from the whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from transcribe.events import Drum, Note
from transcribe.theory.families import DRUMS

FRAME_RATE = 50  # frames a second
LOWEST_PITCH, N_PITCHES = 21, 88
# Bass drum; snare drum and toms; hi-hat and cymbals.
N_DRUMS = 3
_ROW_OF_DRUM = dict(zip(DRUMS, (0, 1, 2, 1, 2), strict=True))
N_FEATURES = 2 * N_PITCHES + N_DRUMS
# A note that sounds counts for less and less, as a struck string does: so releases that are wrong matter little.
DECAY = 0.7  # seconds
_LONGEST = 4.0  # seconds, after which nothing of a note is left
# The softest onset has this strength, the loudest 1.
_SOFTEST = 0.3


def note_array(notes: Iterable[Note]) -> np.ndarray:
    """Put notes into an array (n, 4) of onset s, offset s, pitch and velocity, ordered by onset."""
    rows = sorted((note.onset, note.offset, note.pitch, note.velocity) for note in notes)
    return np.array(rows, float).reshape(-1, 4)


def drum_array(drums: Iterable[Drum]) -> np.ndarray:
    """Put drums into an array (k, 3) of onset s, which of ``N_DRUMS``, and velocity, ordered by onset."""
    rows = sorted((drum.onset, _ROW_OF_DRUM[drum.label], drum.velocity) for drum in drums)
    return np.array(rows, float).reshape(-1, 3)


def n_frames_of(notes: np.ndarray) -> int:
    """Count the frames up to two seconds after the last onset; 0 for no notes."""
    return int(np.ceil((notes[:, 0].max() + 2) * FRAME_RATE)) + 1 if len(notes) else 0


def note_features(notes: np.ndarray, first: int, n_frames: int, drums: np.ndarray | None = None) -> np.ndarray:
    """Make the features of a span of frames.

    Parameters
    ----------
    notes
        Shape (n, 4): onset s, offset s, pitch, velocity 1-127, ordered by onset. Pitches off the keyboard are put in
        its nearest octave.
    first
        The span's first frame; it may lie before 0, where nothing sounds.
    n_frames
        The span's length.
    drums
        Shape (k, 3): onset s, which of ``N_DRUMS``, velocity 1-127, ordered by onset; none where None.

    Returns
    -------
    np.ndarray
        float32, shape (n_frames, N_FEATURES): the onsets of 88 pitches, each shared out between the two frames round
        it by how near they are; then how much of each pitch sounds, 1 at its onset and falling with ``DECAY``; then
        the onsets of the drums.
    """
    features = np.zeros((n_frames, N_FEATURES), np.float32)
    if drums is not None:
        start, stop = np.searchsorted(drums[:, 0], [(first - 1) / FRAME_RATE, (first + n_frames) / FRAME_RATE])
        _add_onsets(features[:, 2 * N_PITCHES :], drums[start:stop], first)
    start, stop = np.searchsorted(notes[:, 0], [first / FRAME_RATE - _LONGEST, (first + n_frames) / FRAME_RATE])
    notes = notes[start:stop]
    if not len(notes):
        return features
    keys = _on_keyboard(notes[:, 2].astype(int)) - LOWEST_PITCH
    places = notes[:, 0] * FRAME_RATE - first
    _add_onsets(features, np.stack([notes[:, 0], keys, notes[:, 3]], 1), first)
    lengths = np.clip(notes[:, 1] - notes[:, 0], 1 / FRAME_RATE, _LONGEST)
    for place, length, key in zip(places, lengths, keys, strict=True):
        begin, end = int(np.ceil(place)), int(np.ceil(place + length * FRAME_RATE))
        held = np.arange(max(begin, 0), min(end, n_frames))
        column = features[held, N_PITCHES + key]
        features[held, N_PITCHES + key] = np.maximum(column, np.exp((place - held) / (DECAY * FRAME_RATE)))
    return features


def _add_onsets(features: np.ndarray, onsets: np.ndarray, first: int) -> None:
    """Add onsets (seconds, column, velocity), each shared out between the two frames round it."""
    n_frames = len(features)
    places = onsets[:, 0] * FRAME_RATE - first
    columns = onsets[:, 1].astype(int)
    frames = np.floor(places).astype(int)
    strength = _SOFTEST + (1 - _SOFTEST) * np.clip(onsets[:, 2], 0, 127) / 127
    for step, share in ((0, 1 - (places - frames)), (1, places - frames)):
        inside = (frames + step >= 0) & (frames + step < n_frames)
        np.add.at(features, (frames[inside] + step, columns[inside]), (share * strength)[inside])


def _on_keyboard(pitches: np.ndarray) -> np.ndarray:
    """Move pitches by octaves onto the keyboard."""
    highest = LOWEST_PITCH + N_PITCHES - 1
    low = np.maximum(0, -(-(LOWEST_PITCH - pitches) // 12))
    high = np.maximum(0, -(-(pitches - highest) // 12))
    return np.asarray(pitches + 12 * low - 12 * high)
