"""Notes → keys; pure.

How long each pitch class sounds is compared with how often it does in music of each of the 24 keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from transcribe.events import Key, Note

# How often the degrees of a major and a minor key sound (Albrecht & Shanahan, "The use of large corpora to train a new
# type of key-finding algorithm", Music Perception 2013).
_MAJOR = (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081)
_MINOR = (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052)
# Usual spellings of the tonics, by pitch class: fewest accidentals in the signature. Of six sharps and six flats five
# of seven of ASAP's training pieces have the sharps.
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
# No note counts for longer: who holds a pedal point says no more of the key.
_LONGEST = 2.0
_N_TONICS = 12
_SIX_SHARPS, _SIX_FLATS = "F# major", ("Gb major", "Eb minor")
_FIFTHS = "FCGDAEB"
# The first so many seconds and the last so many count besides: music begins and ends in its key.
_BEGINNING, _END, _ENDS = 20.0, 4.0, 0.7
# Sections are told apart by spans of so many seconds; what a change of key costs, in correlations of 4 s, and what the
# key of the whole counts beside that of a span. These and those above were chosen on 303 performances of ASAP's pieces,
# by their key signatures.
_SPAN, _CHANGE, _WHOLE = 2.0, 1.0, 0.3
# What lasts longer, in seconds, is no piece with sections of its own.
_LONGEST_PIECE = 86_400.0


def pitch_classes(notes: Sequence[Note]) -> np.ndarray:
    """Seconds that each pitch class sounds, (12,), every note for two at the most."""
    seconds = np.zeros(_N_TONICS)
    for note in notes:
        seconds[note.pitch % _N_TONICS] += min(note.offset - note.onset, _LONGEST)
    return seconds


def find_key(notes: Sequence[Note]) -> str | None:
    """Name the key of notes in mir_eval's way: ``Eb major``, ``F# minor``; None for fewer than three pitch classes.

    Examples
    --------
    >>> find_key([Note(k / 2, pitch, k / 2 + 0.5, 80) for k, pitch in enumerate((60, 62, 64, 65, 67, 64, 60))])
    'C major'
    """
    seconds = pitch_classes(notes)
    if np.count_nonzero(seconds) < 3:
        return None
    first, last = notes[0].onset + _BEGINNING, notes[-1].onset - _END
    ends = [[note for note in notes if note.onset < first], [note for note in notes if note.onset > last]]
    worth = likenesses(seconds) + _ENDS * sum(likenesses(pitch_classes(part)) for part in ends)
    return name_of(int(np.argmax(worth)))


def find_keys(notes: Sequence[Note]) -> tuple[Key, ...]:
    """Find the keys of sections: spans that abut, from the first onset to the last offset; none where there is no key.

    A search over spans of a few seconds weighs how well each fits a key against how dear a change of it is.
    """
    whole = find_key(notes)
    if whole is None:
        return ()
    start, end = notes[0].onset, max(note.offset for note in notes)
    if end - start > _LONGEST_PIECE:
        return (Key(start, end, whole),)
    n_spans = max(1, int((end - start) / _SPAN))
    seconds = np.zeros((n_spans, _N_TONICS))
    for note in notes:
        begun, end_of_note = note.onset - start, min(note.offset, note.onset + _LONGEST) - start
        for span in range(min(int(begun / _SPAN), n_spans - 1), min(int(end_of_note / _SPAN), n_spans - 1) + 1):
            inside = min(end_of_note, (span + 1) * _SPAN) - max(begun, span * _SPAN)
            seconds[span, note.pitch % _N_TONICS] += max(inside, 0.0)
    overall = likenesses(seconds.sum(0))
    worth = _SPAN / 4.0 * np.array([likenesses(one) + 2 * _WHOLE * overall for one in seconds])
    change = np.full((2 * _N_TONICS, 2 * _N_TONICS), -_CHANGE)
    np.fill_diagonal(change, 0.0)
    totals, before = worth[0], np.zeros((n_spans, 2 * _N_TONICS), int)
    for span in range(1, n_spans):
        steps = totals[:, None] + change
        before[span] = steps.argmax(0)
        totals = steps.max(0) + worth[span]
    path = [int(totals.argmax())]
    for span in range(n_spans - 1, 0, -1):
        path.append(int(before[span, path[-1]]))
    path.reverse()
    edges = [0, *(i for i in range(1, n_spans) if path[i] != path[i - 1]), n_spans]
    times = [round(start + edge * _SPAN, 4) for edge in edges[:-1]] + [end]
    labels = [name_of(path[edge]) for edge in edges[:-1]]
    if _SIX_FLATS[1] in labels:  # nobody goes from six flats to six sharps
        labels = [_SIX_FLATS[0] if label == _SIX_SHARPS else label for label in labels]
    return tuple(Key(a, b, label) for label, (a, b) in zip(labels, pairwise(times), strict=True))


def likenesses(seconds: np.ndarray) -> np.ndarray:
    """Correlate seconds of pitch classes, (12,), with the 24 keys: twelve major ones from C, then twelve minor ones."""
    centred = seconds - seconds.mean()
    found = []
    for profile in (_MAJOR, _MINOR):
        values = np.array(profile) - np.mean(profile)
        values /= np.linalg.norm(values)
        found += [float(centred @ np.roll(values, tonic)) for tonic in range(_N_TONICS)]
    return np.array(found) / max(float(np.linalg.norm(centred)), 1e-9)


def name_of(index: int) -> str:
    """Name one of the 24 keys."""
    major = index < _N_TONICS
    return f"{(_MAJOR_NAMES if major else _MINOR_NAMES)[index % _N_TONICS]} {'major' if major else 'minor'}"


def signature(key: str) -> tuple[int, bool]:
    """Count a key's sharps, flats as less than 0, and tell whether it is minor.

    Raises
    ------
    ValueError
        If it isn't named in :func:`find_key`'s way.

    Examples
    --------
    >>> signature("Eb major"), signature("F# minor")
    ((-3, False), (3, True))
    """
    tonic, _, mode = key.partition(" ")
    if (
        not 1 <= len(tonic) <= 3
        or tonic[0] not in _FIFTHS
        or set(tonic[1:]) - set("#b")
        or mode not in ("major", "minor")
    ):
        raise ValueError(f"{key!r} is no key such as Eb major")
    sharps = _FIFTHS.index(tonic[0]) - 1 + 7 * (tonic.count("#") - tonic.count("b")) - 3 * (mode == "minor")
    return sharps, mode == "minor"


def key_of(sharps: int, minor: bool) -> str:
    """Name the key of a signature: the inverse of :func:`signature`; flats are negative sharps."""
    accidentals, letter = divmod(sharps + 1 + 3 * minor, 7)
    return f"{_FIFTHS[letter]}{'#' * accidentals}{'b' * -accidentals} {'minor' if minor else 'major'}"


def usual(key: str) -> str:
    """Name a key by its usual spelling.

    Raises
    ------
    ValueError
        As :func:`signature`.

    Examples
    --------
    >>> usual("Cb major")
    'B major'
    """
    return transposed_key(key, 0)


def transposed_key(key: str, semitones: int) -> str:
    """Name the key so many semitones above, or below where they are less than 0, by its usual spelling.

    Raises
    ------
    ValueError
        As :func:`signature`.
    """
    sharps, minor = signature(key)
    return name_of(((sharps + 3 * minor) * 7 + semitones) % _N_TONICS + _N_TONICS * minor)
