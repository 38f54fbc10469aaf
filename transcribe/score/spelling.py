"""Notes → how each is spelled, as the spelling network tells by what is around it.

Names lie on the line of fifths (:mod:`transcribe.theory.fifths`), and are told by how far they lie from the key of the
whole piece: what is told of a piece is told of it in every key.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transcribe.events import Key, Note
from transcribe.score.features import note_rows
from transcribe.score.shipped import Network, default_network, read
from transcribe.theory.fifths import LETTERS, name_at, place_of
from transcribe.theory.keys import find_key, key_of, signature

TASK = "spelling"
# How far names lie from that of F in C major, and as far in every key, on the line of fifths: from the flattest on.
PLACES = np.arange(-16, 22)
# Names of more accidentals than two aren't written.
_FLATTEST, _SHARPEST = -14, 20
# No signature has more sharps or flats.
_MOST_ACCIDENTALS = 7
# Notes are struck together within so many seconds; one moves on within so many, and so many notes.
_TOGETHER, _SOON, _AROUND = 0.03, 1.0, 24
# What is longer or shorter, in seconds, says no more.
_SHORTEST, _LONGEST = 0.01, 8.0
_PITCH_CLASSES = 12


def spelling_features(rows: np.ndarray, sharps: int) -> np.ndarray:
    """Describe notes to the network.

    Parameters
    ----------
    rows
        Onset s, offset s, pitch, velocity, (n, 4), ordered by onset.
    sharps
        Of the key's signature; flats are less than 0.

    Returns
    -------
    np.ndarray
        float32, (n, N_FEATURES): degrees above the key's major tonic, how far the next and the last note are, the
        length, the height, whether it comes from or goes to a neighbour a semitone above or below.
    """
    onset, offset, pitch, _ = rows.T
    degree = (pitch - 7 * sharps).astype(int) % _PITCH_CLASSES
    after, before = (
        np.clip(gap, 0.0, _LONGEST) for gap in (np.diff(onset, append=np.inf), np.diff(onset, prepend=-np.inf))
    )
    held = np.clip(offset - onset, _SHORTEST, _LONGEST)
    gaps = [np.log2(np.maximum(gap, _SHORTEST)) / 3 for gap in (after, before)]
    columns = [*gaps, after > _TOGETHER, before > _TOGETHER, np.log2(held) / 2, (pitch - 60) / 24]
    columns += _neighbours(onset, pitch)
    return np.concatenate([np.eye(_PITCH_CLASSES)[degree], np.stack(columns, 1)], 1).astype(np.float32)


def _neighbours(onset: np.ndarray, pitch: np.ndarray) -> list[np.ndarray]:
    """Tell of each note whether the first semitone's neighbour that follows soon is above, or below; so before it."""
    n = len(onset)
    found = [np.zeros(n, bool) for _ in range(4)]
    for k in range(1, min(_AROUND, n - 1) + 1):
        gap, step = onset[k:] - onset[:-k], pitch[k:] - pitch[:-k]
        near = (gap > _TOGETHER) & (gap <= _SOON) & (np.abs(step) == 1)
        for part, (up, down), sign in ((slice(None, -k), found[:2], 1), (slice(k, None), found[2:], -1)):
            new = near & ~(up[part] | down[part])
            up[part] |= new & (step == sign)
            down[part] |= new & (step == -sign)
    return found


N_FEATURES = spelling_features(np.array([[0.0, 0.5, 60.0, 64.0]]), 0).shape[1]


def possible(pitch: np.ndarray, sharps: int) -> np.ndarray:
    """Tell which of :data:`PLACES` above a key are names of each pitch, (n, PLACES)."""
    places = PLACES + sharps
    written = (places >= _FLATTEST) & (places <= _SHARPEST)
    return np.asarray(written & ((places * 7 + 5 - pitch[:, None]) % _PITCH_CLASSES == 0))


def spelled_notes(notes: Sequence[Note], key: str | None = None, network: Network | None = None) -> list[str]:
    """Spell notes: a name each, without the octave. What the user said of a note's spelling is obeyed.

    Parameters
    ----------
    notes
        Ordered by onset.
    key
        Of the whole; found in the notes where None.
    network
        The default one where None.

    Raises
    ------
    WeightsError
        If the weights can't be loaded.
    """
    if not notes:
        return []
    sharps = signature(key or find_key(notes) or "C major")[0]
    rows = note_rows(notes)
    features = spelling_features(rows, sharps)
    (likely,) = read(network or default_network(TASK), features)
    likely = np.where(possible(rows[:, 2], sharps), likely, -np.inf)
    names = [name_at(int(place)) for place in PLACES[likely.argmax(1)] + sharps]
    return [note.spelling or name for note, name in zip(notes, names, strict=True)]


def keys_as_spelled(keys: Sequence[Key], notes: Sequence[Note], names: Sequence[str]) -> tuple[Key, ...]:
    """Name keys of sections as their notes are spelled: F sharp major is G flat major where these have flats.

    Parameters
    ----------
    keys
        Sections in order.
    notes, names
        Ordered by onset, and how each is spelled.
    """
    onsets, places = np.array([note.onset for note in notes]), np.array([place_of(name) for name in names])
    found = []
    for key in keys:
        own = places[(onsets >= key.onset) & (onsets < key.offset)]
        sharps, minor = signature(key.label)
        signatures = [n for n in (sharps, sharps - 12, sharps + 12) if abs(n) <= _MOST_ACCIDENTALS]
        # Notes that a signature has: seven neighbours on the line of fifths.
        best = max(signatures, key=lambda n: int(np.sum((own >= n) & (own < n + len(LETTERS)))))
        found.append(key if best == sharps else Key(key.onset, key.offset, key_of(best, minor)))
    return tuple(found)
