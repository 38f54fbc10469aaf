"""What the user said of beats and bars, put together, and the beats and bars that follow from it.

Taps of beats are stretches; what is said of a downbeat is an anchor: a time at which a bar begins. Twice or half as
many beats, and a shift of the bar lines, are about what is seen at the time that they are said.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from transcribe.beats.analysis import default_beats_model
from transcribe.beats.bars import BarDecodingConfig
from transcribe.beats.decoder import Heard
from transcribe.beats.finder import at_level, find_beats, listened, with_bars
from transcribe.beats.taps import Stretch, bar_lengths, follow, without
from transcribe.edits.operations import Edit
from transcribe.events import GUESSED_BELOW, Drum, Metre, Note, Transcription
from transcribe.score.analysis import Timing
from transcribe.score.beats import BeatGrid, Beats, is_grid

# Somebody said where bars begin, or how long they are: what the network hears of them counts less, and bars are cut
# only where it is sure. Chosen as the weights of transcribe.beats.taps.
_BARS = BarDecodingConfig(cut=9.0, downbeat=1.0)
# So near a beat, in beats, an anchor means it.
_MEANT = 0.35
_SAME = 1e-3


@dataclass(frozen=True)
class Known:
    """What is known of beats and bars.

    Attributes
    ----------
    heard
        What was heard, with beats or without.
    stretches
        Taps.
    level
        How many times the beats were doubled since, less than 0 halved.
    anchors
        Where bars begin, in seconds.
    lengths
        How many beats bars have.
    metre, pickup
        As :class:`transcribe.score.analysis.Timing` has them.
    shifted
        The bars as they were seen when they were shifted; None where something was said of bars since.
    """

    heard: Transcription
    stretches: tuple[Stretch, ...] = ()
    level: int = 0
    anchors: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    metre: str | None = None
    pickup: float | None = None
    shifted: Beats | None = None

    @staticmethod
    def of(heard: Transcription) -> Known:
        """Begin with nothing."""
        return Known(heard)

    def after(self, edit: Edit) -> Known:
        """Add an operation, which was checked."""
        name = edit["op"]
        if name == "shift":
            beats = self.beats()
            if not beats.downbeats or not edit["beats"]:
                return self
            shifted = _shifted(beats, edit["beats"])
            return replace(self, shifted=shifted, anchors=shifted.downbeats[:1], pickup=None)
        known = replace(self, shifted=None)
        if name == "tempo":
            return replace(known, level=self.level + (1 if edit["factor"] == 2 else -1), lengths=())
        if name == "metre":
            return replace(known, metre=edit["metre"])
        if name == "pickup":
            return replace(known, pickup=float(edit["beats"]), anchors=())
        return known._tapped(tuple(map(float, edit["beats"])), tuple(map(float, edit.get("downbeats", ()))))

    def _tapped(self, taps: Stretch, downbeats: tuple[float, ...]) -> Known:
        """Add taps, which replace what they cover, and downbeats."""
        known = self
        if taps:
            stretches = tuple(self._at_level(stretch) for stretch in self.stretches)
            stretches = (*without(stretches, taps[0] - _SAME, taps[-1] + _SAME), taps)
            anchors = tuple(time for time in self.anchors if not taps[0] - _SAME <= time <= taps[-1] + _SAME)
            known = replace(self, stretches=tuple(sorted(stretches)), level=0, anchors=anchors)
        if downbeats:
            # What was shifted or found before may not agree.
            kept = () if self.shifted is not None else known.anchors
            lengths = bar_lengths(known.stretches, downbeats)
            known = replace(
                known,
                anchors=tuple(sorted({*kept, *downbeats})),
                lengths=tuple(sorted({*known.lengths, *lengths})),
                pickup=None,
            )
        return known

    def _at_level(self, stretch: Stretch) -> Stretch:
        """Double or halve a stretch of taps, as all beats were since."""
        beats = np.array(stretch)
        for _ in range(self.level):
            beats = BeatGrid(beats.tolist()).to_seconds(np.arange(2 * len(beats) - 1) / 2)
        for _ in range(-self.level):
            near = [k for k, time in enumerate(beats) if any(abs(time - anchor) < _SAME for anchor in self.anchors)]
            halved = beats[near[0] % 2 :: 2] if near else beats[::2]
            beats = halved if len(halved) > 1 else beats
        return tuple(beats.tolist())

    def beats(self) -> Beats:
        """Find the beats and the bars."""
        if self.shifted is not None:
            return self.shifted
        return _found(self)

    def applied(self, result: Transcription) -> Transcription:
        """Put the beats and the bars into a result."""
        found = self.beats()
        tempo = found.tempo
        warnings = tuple(text for text in result.warnings if not (self.stretches and text.startswith("the beats are")))
        return replace(
            result,
            beats=found.beats,
            downbeats=found.downbeats,
            beat_confidences=found.confidences,
            metres=found.metres,
            beat_confidence=max(found.confidence, GUESSED_BELOW) if found.beats else None,
            tempo=None if tempo is None else round(tempo, 2),
            warnings=warnings,
        )


def known_after(edits: Iterable[Edit], known: Known) -> Known:
    """Add operations."""
    for edit in edits:
        known = known.after(edit)
    return known


def _found(known: Known) -> Beats:
    t = known.heard
    heard = _listened(t.notes, t.drums)
    if known.stretches:
        places = np.array(_followed(t.notes, t.drums, known.stretches))
    elif t.beats:
        places = np.array(t.beats)
    else:
        model = default_beats_model()
        places = np.array(find_beats(t.notes, model.network, drums=t.drums).beats)
    if len(places) < 2:
        return Beats()
    for _ in range(abs(known.level)):
        level = "double" if known.level > 0 else "half"
        at = np.round(at_level(heard, places, level, known.anchors), 6)
        if not is_grid(at.tolist()):
            break
        places = at
    barred = known.stretches or known.level or known.anchors or known.metre or known.pickup is not None
    if not barred and t.beats:
        return Beats(t.beats, t.downbeats, 0, t.beat_confidence or 0.0, t.beat_confidences, t.metres)
    timing = Timing(metre=known.metre, pickup=known.pickup)
    anchors = [time for time in known.anchors if _near_beat(places, time)]
    lengths = () if known.metre is not None else known.lengths
    found = with_bars(heard, t.notes, places, timing, _BARS, anchors, lengths, t.chords)
    return _trusted(found, known.stretches)


def _trusted(found: Beats, stretches: tuple[Stretch, ...]) -> Beats:
    """Be sure of beats that were tapped."""
    sure = [
        1.0 if any(stretch[0] - _SAME <= beat <= stretch[-1] + _SAME for stretch in stretches) else confidence
        for beat, confidence in zip(found.beats, found.confidences, strict=True)
    ]
    return replace(found, confidences=tuple(sure), confidence=round(float(np.mean(sure)), 3) if sure else 0.0)


def _near_beat(places: np.ndarray, time: float) -> bool:
    gap = float(np.median(np.diff(places)))
    return float(np.abs(places - time).min()) <= max(_MEANT * gap, _SAME)


def _shifted(found: Beats, n_beats: int) -> Beats:
    """Move the bar lines by so many beats; bars go on as they are at both ends."""
    beats = found.beats
    numbers = {beat: number for number, beat in enumerate(beats)}
    lines = [numbers[beat] + n_beats for beat in found.downbeats if beat in numbers]
    if not lines:
        return found
    gaps = [after - before for before, after in pairwise(lines)] or [found.metre or 4]
    while lines[0] - gaps[0] >= 0:
        lines.insert(0, lines[0] - gaps[0])
    while lines[-1] + gaps[-1] < len(beats):
        lines.append(lines[-1] + gaps[-1])
    lines = [line for line in lines if 0 <= line < len(beats)]

    def moved(time: float, edge: float) -> float:
        number = int(np.abs(np.array(beats) - time).argmin()) + n_beats
        return beats[number] if 0 <= number < len(beats) else edge

    metres = [
        Metre(
            metre.onset if place == 0 else moved(metre.onset, metre.onset),
            metre.offset if place == len(found.metres) - 1 else moved(metre.offset, metre.offset),
            metre.label,
        )
        for place, metre in enumerate(found.metres)
    ]
    sections = tuple(metre for metre in metres if metre.offset > metre.onset)
    return replace(found, downbeats=tuple(beats[line] for line in lines), metres=sections)


def _onsets(notes: tuple[Note, ...], drums: tuple[Drum, ...]) -> np.ndarray:
    return np.sort(np.array([*(note.onset for note in notes), *(drum.onset for drum in drums)]))


@lru_cache(maxsize=8)
def _listened(notes: tuple[Note, ...], drums: tuple[Drum, ...]) -> Heard:
    if not notes and not drums:
        return listened((), _nothing)
    return listened(notes, default_beats_model().network, drums)


def _nothing(_: np.ndarray) -> tuple[np.ndarray, ...]:
    raise AssertionError("nobody listens to nothing")


@lru_cache(maxsize=64)
def _followed(notes: tuple[Note, ...], drums: tuple[Drum, ...], stretches: tuple[Stretch, ...]) -> tuple[float, ...]:
    return tuple(follow(_listened(notes, drums), _onsets(notes, drums), stretches).tolist())
