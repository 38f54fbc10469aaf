"""How much of a score is written as its composer did: figures over the notes that an alignment names.

Every recording is written down twice: on the beats that were found, and on the true ones.
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from transcribe.beats.analysis import analysed
from transcribe.beats.datasets import read_beats, score_files
from transcribe.datasets import Piece
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError
from transcribe.events import Note, Transcription
from transcribe.formats.musicxml_reader import ScoreNote, read_score_notes
from transcribe.formats.reading import decode, read_bytes
from transcribe.report.summary import counted
from transcribe.report.tables import PlainReport, Table
from transcribe.score.analysis import Timing
from transcribe.score.bars import Notation
from transcribe.score.beats import MAX_GAP, MIN_GAP, Beats
from transcribe.score.notation import keys_of_bars, notate, time_signature
from transcribe.score.spelling import spelled_notes
from transcribe.theory.keys import signature

METRICS = {
    "place": "place in the bar",
    "length": "notated length",
    "hand": "hand",
    "voice": "voice",
    "spelling": "spelling",
    "signature": "key signature",
    "metre": "metre",
}
WAYS = {"true": "true beats", "found": "found beats"}
CONVENTIONS = (
    "shares of the notes that the alignment names, grace notes left out of place, length and voice; a place is right "
    "that is as many quarters after the bar line as in the score, a length that is as many quarters; of a voice a note "
    "is right if a note that follows it there follows it in the score's; key signatures and metres are those over each "
    "note; a note that was not heard within 50 ms is wrong in all; means over recordings"
)
_HEARD_WITHIN = 0.05


@dataclass(frozen=True)
class ScoreReport(PlainReport):
    """Figures of every recording by its name, and their means, by the ways of :data:`WAYS`, then the metrics' names."""

    pieces: Mapping[str, Mapping[str, Mapping[str, float]]]
    means: Mapping[str, Mapping[str, float]]
    conventions: str = CONVENTIONS
    groups: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def tables(self) -> Iterator[Table | str]:
        """Lay out the means, over all recordings and by composer."""
        rows = [
            (label, *(f"{self.means[way][name]:.4f}" for way in WAYS)) for name, label in METRICS.items()
        ]  # fmt: skip
        yield Table(("", *WAYS.values()), tuple(rows), counted(len(self.pieces), "recording"))
        for way, label in WAYS.items():
            lines = [(group, *(f"{means[way][name]:.3f}" for name in METRICS)) for group, means in self.groups.items()]
            if lines:
                yield Table(("composer", *METRICS.values()), tuple(lines), label)
        yield f"conventions: {self.conventions}"


@dataclass(frozen=True)
class AlignedNote:
    """A note that was played: its name in the score, the how manieth time it is played there, pitch, onset in s."""

    name: str
    time: int
    pitch: int
    onset: float


@dataclass(frozen=True)
class WrittenNote:
    """What a score says of a note: as in :class:`~transcribe.formats.musicxml_reader.ScoreNote`.

    ``voice`` names hand and voice.
    """

    bar: int
    place: Fraction
    length: Fraction
    right_hand: bool
    voice: str
    name: str
    sharps: int
    metre: str


def evaluate_scores(
    pieces: Sequence[Piece], transcriber: Listener[object], progress: Progress | None = None
) -> ScoreReport:
    """Write every recording down, and compare with its score.

    Raises
    ------
    InputError
        If a recording, a score, its beats or its alignment can't be read.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for number, piece in enumerate(pieces, 1):
        beats, score = score_files(piece)
        notes = {note.id: note for note in read_score_notes(score)}
        aligned = read_alignment(piece.labels)
        heard = transcriber.transcribe_file(piece.audio)
        known = Timing(beats=passable(read_beats(beats, even=False)))
        plain = replace(heard, beats=(), downbeats=(), beat_confidences=(), metres=(), tempo=None)
        ways = {"true": analysed(plain, known), "found": heard}
        found[piece.name] = {way: score_notation(result, notes, aligned) for way, result in ways.items()}
        if progress is not None:
            progress(number, len(pieces))
    return ScoreReport(found, _means(list(found.values())), groups=_by_composer(found))


def read_alignment(path: Path) -> list[AlignedNote]:
    """Read which notes of a score were played when.

    Raises
    ------
    InputError
        If it has no such columns.
    """
    found = []
    lines = decode(read_bytes(path)).splitlines()
    columns = lines[0].split("\t") if lines else []
    try:
        of_id, of_pitch, of_onset = (columns.index(name) for name in ("xml_id", "pitch", "onset"))
        for line in lines[1:]:
            cells = line.split("\t")
            if cells[of_id] == "insertion" or cells[1:2] == ["deletion"] or len(cells) <= max(of_pitch, of_onset):
                continue
            name, _, time = cells[of_id].rpartition("-")
            found.append(AlignedNote(name, int(time), int(cells[of_pitch]), float(cells[of_onset])))
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: no alignment with the columns xml_id, pitch and onset: {error}") from None
    return found


def passable(beats: Beats) -> Beats:
    """Leave out beats that lie too near to the one before, and fill what is too wide to be a beat with even ones."""
    kept: list[float] = []
    for beat in beats.beats:
        if kept and beat - kept[-1] < MIN_GAP:
            continue
        if kept and beat - kept[-1] > MAX_GAP:
            n_parts = int((beat - kept[-1]) / MAX_GAP) + 1
            kept += np.linspace(kept[-1], beat, n_parts + 1)[1:-1].tolist()
        kept.append(beat)
    known = set(kept)
    return replace(beats, beats=tuple(kept), downbeats=tuple(beat for beat in beats.downbeats if beat in known))


def score_notation(
    result: Transcription, score: Mapping[str, ScoreNote], aligned: Sequence[AlignedNote]
) -> dict[str, float]:
    """Compare what is written of a result with the score, note by note; by the names of :data:`METRICS`."""
    written = written_notes(result, notate(result))
    right: dict[str, list[bool]] = {name: [] for name in METRICS}
    true_voices: list[_Voiced] = []
    told_voices: list[_Voiced] = []
    for note, index in zip(aligned, nearest_notes(result.notes, aligned), strict=True):
        true = score.get(note.name)
        if true is None:
            continue
        told = written.get(index) if index is not None else None
        right["hand"].append(told is not None and told.right_hand == (true.staff == 1))
        right["spelling"].append(told is not None and told.name == true.name)
        right["signature"].append(told is not None and (told.sharps - true.sharps) % 12 == 0)
        right["metre"].append(told is not None and told.metre == true.metre)
        if true.length:
            right["place"].append(told is not None and told.place == true.place)
            right["length"].append(told is not None and told.length == true.length)
            true_voices.append((f"{true.staff}/{true.voice}", (note.time, true.bar, true.place)))
            told_voices.append((told.voice, (0, told.bar, told.place)) if told is not None else None)
    follow = zip(told_voices, _followers(true_voices), _followers(told_voices), strict=True)
    right["voice"] = [told is not None and (bool(a & b) or not (a or b)) for told, a, b in follow]
    return {name: float(np.mean(values)) if values else 0.0 for name, values in right.items()}


# A voice's name and a place in the piece; None where a note isn't written.
_Voiced = tuple[str, tuple[int, int, Fraction]] | None


def _followers(notes: Sequence[_Voiced]) -> list[set[int]]:
    """Find for each note those that stand at the next place of its voice, by their numbers."""
    places: dict[str, dict[tuple[int, int, Fraction], set[int]]] = defaultdict(lambda: defaultdict(set))
    for i, note in enumerate(notes):
        if note is not None:
            places[note[0]][note[1]].add(i)
    found: list[set[int]] = [set() for _ in notes]
    for own in places.values():
        for here, following in pairwise(sorted(own)):
            for i in own[here]:
                found[i] = own[following]
    return found


def nearest_notes(notes: Sequence[Note], aligned: Sequence[AlignedNote]) -> list[int | None]:
    """Find which note each aligned one is: the nearest of its pitch."""
    onsets: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for i, note in enumerate(notes):
        onsets[note.pitch].append((note.onset, i))
    found: list[int | None] = []
    for one in aligned:
        own, onset = onsets[one.pitch], one.onset
        at = bisect.bisect_left(own, (onset, -1))
        near = min(own[max(0, at - 1) : at + 1], key=lambda pair: abs(pair[0] - onset), default=(np.inf, 0))
        found.append(near[1] if abs(near[0] - onset) <= _HEARD_WITHIN else None)
    return found


def written_notes(result: Transcription, notation: Notation) -> dict[int, WrittenNote]:
    """Tell what a notation says of every note, by its number."""
    starts = [bar.start for bar in notation.bars]
    keys = keys_of_bars(result, notation)
    metres = [time_signature(bar, notation.bars) for bar in notation.bars]
    names = spelled_notes(result.notes, result.key)
    found = {}
    for hand, voices in enumerate(notation.hands):
        for voice, chords in enumerate(voices):
            for chord in chords:
                number = max(0, bisect.bisect_right(starts, chord.start) - 1)
                bar = notation.bars[number]
                place = chord.start - bar.start
                if bar.number == 0 and len(notation.bars) > 1:  # a pick-up ends with its bar
                    place += max(Fraction(0), notation.bars[1].length - bar.length)
                sharps = signature(keys[number])[0]
                for i in (*chord.indices, *chord.others):
                    found[i] = WrittenNote(
                        number, place, chord.length, hand == 0, f"{hand}/{voice}", names[i], sharps, metres[number]
                    )
    return found


def _means(scores: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        way: {name: float(np.mean([own[way][name] for own in scores])) if scores else 0.0 for name in METRICS}
        for way in WAYS
    }


def _by_composer(scores: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Take means over the recordings whose names begin alike, up to a slash or two underscores."""
    groups = sorted({re.split(r"/|__", name)[0] for name in scores})
    return {
        group: _means([own for name, own in scores.items() if re.split(r"/|__", name)[0] == group]) for group in groups
    }
