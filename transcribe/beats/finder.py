"""Notes and drums → beats and bars, with what is known of them already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from transcribe.beats.accents import accents_of
from transcribe.beats.bars import BarDecodingConfig, FoundBars, find_bars
from transcribe.beats.decoder import BeatDecoder, BeatDecodingConfig, FoundBeats, Heard, found_in, logit
from transcribe.beats.features import FRAME_RATE, drum_array, note_array
from transcribe.beats.levels import levelled
from transcribe.beats.windows import Network, predict_blocks
from transcribe.events import Chord, Drum, Metre, Note
from transcribe.score.analysis import Timing
from transcribe.score.beats import BeatGrid, Beats, is_grid, steadied, whole_microseconds
from transcribe.theory import metres as names

# Fewer onsets than this say nothing of a tempo; music is no longer than this, in seconds.
_MIN_ONSETS, _LONGEST = 8, 86_400.0
# Beats that are less probable on the average are none.
_LEAST_CONFIDENCE = 0.2
# Onsets nearer than this are of one chord, in seconds.
_TOGETHER = 0.03
# Onsets so near a beat, in seconds, say where exactly it lies.
_NEAR = 0.04
# Logistic regression of whether a beat is right (within 70 ms), on beats found in pieces kept out of training: a
# constant, the logit of its activation, and how much the logarithm of the beats' lengths changes around it, on the
# average over so many beats on either side.
_CONFIDENCE, _AROUND = (0.48, 0.84, -6.8), 4
# A tempo that is known is tried from so many places a frame on.
_PHASES = 4


def find_beats(
    notes: Sequence[Note],
    network: Network,
    known: Timing = Timing(),  # noqa: B008 (frozen)
    beats: Sequence[float] = (),
    search: BeatDecodingConfig = BeatDecodingConfig(),  # noqa: B008
    bars: BarDecodingConfig = BarDecodingConfig(),  # noqa: B008
    drums: Sequence[Drum] = (),
    chords: Sequence[Chord] = (),
) -> Beats:
    """Find the beats and the bars of notes and drums.

    Parameters
    ----------
    notes
        Ordered by onset.
    network
        A beat network that is given one window.
    known
        What is known: it is obeyed.
    beats
        Beats that are known besides; only bars are looked for.
    search, bars
        Settings of the two searches.
    drums
        Ordered by onset.
    chords
        What is known of them: they change where bars begin.

    Returns
    -------
    Beats
        None for fewer than eight onsets, for more than a day of them, and where no beat is probable.
    """
    times = np.sort([*(note.onset for note in notes), *(drum.onset for drum in drums)])
    n_onsets = 1 + int(np.count_nonzero(np.diff(times) > _TOGETHER)) if len(times) else 0
    if not n_onsets or times[-1] > _LONGEST or (n_onsets < _MIN_ONSETS and not known.tells_beats and not len(beats)):
        return Beats()
    heard = listened(notes, network, drums)
    if len(beats):
        places = np.array(beats, float)
    elif known.tempo is not None:
        places = _at_tempo(heard, known.tempo, float(times[0]), float(times[-1]))
    else:
        places = found_in(heard, search).times
        if len(places) < 2 or heard.at(places).beat.mean() < _LEAST_CONFIDENCE:
            return Beats()
        places = onto_notes(places, times)
        # Where nothing is played any more, nothing says where a beat would be.
        places = steadied(places[places <= times[-1] + _NEAR].tolist())
        if known.level is None:
            places = levelled(heard, places, chords)
    if known.level is not None:
        places = at_level(heard, places, known.level)
    # The even beats of a recording that begins with one may begin some milliseconds before it.
    places = np.round(np.maximum(places, 0.0), 6)
    if not is_grid(places.tolist()):
        return Beats()
    return with_bars(heard, notes, places, known, bars, chords=chords)


def listened(notes: Sequence[Note], network: Network, drums: Sequence[Drum] = ()) -> Heard:
    """Let a network listen to notes and drums, ordered by onset."""
    decoder = BeatDecoder()
    for block in predict_blocks(note_array(notes), network, drum_array(drums)):
        decoder.push(block)
    return decoder.heard()


def at_level(heard: Heard, places: np.ndarray, level: str, kept: Sequence[float] = ()) -> np.ndarray:
    """Double the beats, or leave every second one: those that are kept, or that are rather downbeats."""
    if level == "double":
        return BeatGrid(places.tolist()).to_seconds(np.arange(2 * len(places) - 1) / 2)
    halves = [places[k::2] for k in (0, 1)]

    def worth(half: np.ndarray) -> tuple[int, float]:
        n_kept = sum(bool(np.abs(half - time).min() < _NEAR) for time in kept) if len(half) else 0
        return n_kept, float(heard.at(half).downbeat.mean()) if len(half) else 0.0

    return max(halves, key=worth)


def with_bars(
    heard: Heard,
    notes: Sequence[Note],
    places: np.ndarray,
    known: Timing = Timing(),  # noqa: B008 (frozen)
    bars: BarDecodingConfig = BarDecodingConfig(),  # noqa: B008
    anchors: Sequence[float] = (),
    lengths: Sequence[int] = (),
    chords: Sequence[Chord] = (),
) -> Beats:
    """Find the bars of beats.

    Parameters
    ----------
    heard
        What the network heard.
    notes
        Ordered by onset.
    places
        The beats, in seconds, a grid.
    known
        Its metre and its pick-up are obeyed.
    anchors
        Times of which the nearest beats begin bars.
    lengths
        How many beats bars have, where that is known and the metre isn't.
    chords
        Ordered by onset.
    """
    found = heard.at(places)
    metre = None if known.metre is None else (names.beats_in_bar(known.metre), names.is_compound(known.metre))
    first = None
    if known.pickup is not None:
        begun = float(BeatGrid(places.tolist()).to_beats(np.array([note.onset for note in notes[:1]] or [0.0]))[0])
        first = max(0, round(begun + known.pickup))
    nearest = {int(np.abs(places - time).argmin()) for time in anchors}
    barred = find_bars(found, bars, accents_of(note_array(notes), places, chords), metre, first, nearest, lengths)
    known_confidence = 1.0 if known.tempo is not None else None
    return _with_bars(places, barred, _probabilities(found), known.metre, known_confidence)


def _probabilities(found: FoundBeats) -> np.ndarray:
    """Say how probably each beat is right, (n,): the surer, the higher its activation and the evener its neighbours."""
    changes = np.abs(np.diff(np.log(np.diff(found.times)))) if len(found) > 2 else np.zeros(1)
    each = np.pad(np.pad(changes, 1, "edge")[: len(found)], _AROUND, "edge")
    uneven = np.convolve(each, np.ones(2 * _AROUND + 1) / (2 * _AROUND + 1), "valid")
    constant, height, unevenness = _CONFIDENCE
    return np.asarray(1 / (1 + np.exp(-(constant + height * logit(found.beat) + unevenness * uneven))))


def _with_bars(
    places: np.ndarray, bars: FoundBars, probable: np.ndarray, metre: str | None, known_confidence: float | None
) -> Beats:
    """Put together what was found."""
    beats = places.tolist()
    starts = np.flatnonzero(bars.place == 0).tolist()
    confidences = (
        tuple(np.round(probable, 3).tolist()) if known_confidence is None else (known_confidence,) * len(beats)
    )
    lengths = bars.length.tolist()
    return Beats(
        tuple(beats),
        tuple(beats[start] for start in starts),
        max(set(lengths), key=lengths.count),
        round(float(np.mean(confidences)), 3),
        confidences,
        _metres(places, bars, metre),
    )


def _metres(places: np.ndarray, bars: FoundBars, known: str | None) -> tuple[Metre, ...]:
    """Name the metres of sections, which end where the next one begins, the last one after its last beat."""
    end = 2 * float(places[-1]) - float(places[-2])
    kinds = np.stack([bars.length, bars.triple], 1)
    edges = [0, *(np.flatnonzero((kinds[1:] != kinds[:-1]).any(1)) + 1).tolist(), len(places)]
    found: list[Metre] = []
    for first, last in pairwise(edges):
        onset, offset = float(places[first]), float(places[last]) if last < len(places) else end
        tempo = 60 * (last - first) / (offset - onset)
        label = known or names.name_metre(int(bars.length[first]), bool(bars.triple[first]), tempo)
        if found and found[-1].label == label:
            found[-1] = Metre(found[-1].onset, offset, label)
        else:
            found.append(Metre(onset, offset, label))
    return tuple(found)


def onto_notes(places: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """Move beats to the middle of the onsets near them; beats without onsets move as their neighbours do."""
    first, last = np.searchsorted(onsets, [places - _NEAR, places + _NEAR])
    total = np.concatenate([[0.0], np.cumsum(onsets)])
    played = np.flatnonzero(last > first)
    if not len(played):
        return places
    middles = (total[last] - total[first])[played] / (last - first)[played]
    moved = places + np.interp(np.arange(len(places)), played, middles - places[played])
    return np.asarray(np.maximum(moved, 0.0))


def _at_tempo(heard: Heard, tempo: float, first: float, last: float) -> np.ndarray:
    """Put beats of a tempo where they fit best: from before the first onset to the last one, and two at the least."""
    period = whole_microseconds(60 / tempo)
    shifts = np.arange(0, period, 1 / FRAME_RATE / _PHASES)
    n_beats = int((last - first) / period) + 2
    beats = first - 0.5 * period + shifts[:, None] + period * np.arange(n_beats)
    frames = np.arange(len(heard.beat)) / FRAME_RATE
    smooth = np.convolve(heard.beat, (0.25, 0.5, 1.0, 0.5, 0.25), "same")
    fits = np.interp(beats, frames, smooth, left=0.0, right=0.0).sum(1)
    best = beats[int(fits.argmax())]
    return np.asarray(best[best >= 0])
