"""How good a transcription is, measured as the field measures it: mir_eval's metrics over a data set.

Conventions: an onset within 50 ms; an offset within 50 ms or 20 % of the note's length, whichever is more; a velocity
within 0.1 after mir_eval's linear fit; frames of 10 ms, of the pedal 20 ms; every figure the mean over pieces with
notes, what is found in those without is told apart. Offsets are key releases unless they are extended by the sustain
pedal.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from transcribe.datasets import LeftOut, Piece
from transcribe.engine.features import LOWEST_PITCH, N_PITCHES
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError
from transcribe.events import Note, Pedal, Transcription
from transcribe.matching import match_notes, to_arrays
from transcribe.notes.datasets import extend_by_pedal, read_labels
from transcribe.notes.decoder import Activations
from transcribe.notes.ensemble_metrics import OFFSET_RATIO, score_drums, score_families, score_together
from transcribe.report.statistics import Difference, calibration_error, interval, paired, reliability_table
from transcribe.report.summary import counted, minutes
from transcribe.report.tables import Table
from transcribe.theory.families import DRUMS

FRAME_SECONDS = 0.01
PEDAL_FRAME_SECONDS = 0.02
NOTE_METRICS = {
    "note": "note (onset)",
    "note_offset": "note + offset",
    "note_offset_velocity": "note + offset + velocity",
    "note_velocity": "note + velocity",
    "frame": "frame",
}
METRICS = {
    **NOTE_METRICS,
    "note_instrument": "note + instrument",
    "note_offset_instrument": "note + offset + instrument",
    "multi": "the same and drums (mt3's multi F1)",
    "pedal": "pedal",
    "pedal_onset": "pedal onsets",
    "pedal_onset_offset": "pedal onsets + offsets",
    "drums": "drums",
    **{label: label for label in DRUMS},
}
ONSET_TOLERANCE = 0.05
# Within which onsets are right for a confidence, beside the field's: many labels are later or earlier than 50 ms.
_WIDE_TOLERANCE = 0.1
_CONVENTIONS = (
    "mir_eval; onsets within {:.0f} ms, offsets within 50 ms or 20 %, velocities within 0.1; frames of 10 ms "
    "(pedal: 20 ms, or its beginnings and ends as notes'); means over pieces with notes"
)
CONVENTIONS = _CONVENTIONS.format(1000 * ONSET_TOLERANCE)


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1, each 0-1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class PieceScores:
    """The scores of one piece by the names in ``METRICS``; velocity, pedal … only where the labels have them.

    ``exact_slices`` is the share of frames in which all 88 keys are right; ``seconds`` how long the recording is, 0
    where only its notes are known; ``extended`` the sides whose notes were extended by a pedal; ``forecast`` the
    precision and recall that were foretold of it, and ``wide`` what they are with onsets within 100 ms.
    """

    name: str
    scores: dict[str, Score]
    exact_slices: float
    n_reference: int
    n_estimate: int
    seconds: float = 0.0
    extended: tuple[str, ...] = ()
    forecast: tuple[float, float] | None = None
    wide: tuple[float, float] | None = None


def score(
    name: str,
    reference: Transcription,
    estimate: Transcription,
    pedal_extended: bool = False,
    onset_tolerance: float = ONSET_TOLERANCE,
) -> PieceScores:
    """Compare two transcriptions: their notes, and their pedal, instruments and drums where the reference has any.

    Where it has drums alone, nothing is known of notes. With ``pedal_extended`` notes sound while the pedal is down, on
    each side where one is known.
    """
    ours, theirs = _notes(reference, pedal_extended), _notes(estimate, pedal_extended)
    found = score_notes(name, ours, theirs, onset_tolerance)
    scores = {} if reference.drums and not reference.notes else dict(found.scores)
    if any(note.instrument for note in ours):
        scores["note_instrument"] = Score(*score_families(ours, theirs, None, onset_tolerance))
        scores["note_offset_instrument"] = Score(*score_families(ours, theirs, OFFSET_RATIO, onset_tolerance))
        sides = (ours, reference.drums), (theirs, estimate.drums)
        scores["multi"] = Score(*score_together(*sides, onset_tolerance))
    if reference.pedals:
        scores["pedal"] = score_pedals(reference.pedals, estimate.pedals)
        scores |= score_pedal_events(reference.pedals, estimate.pedals)
    if reference.drums:
        scores |= {label: Score(*figures) for label, figures in score_drums(reference.drums, estimate.drums).items()}
    said = {"the labels": reference, "what was heard": estimate}
    extended = tuple(side for side, own in said.items() if pedal_extended and own.pedals)
    told = estimate.forecast
    forecast = None if told is None else (told.precision, told.recall)
    return replace(found, scores=scores, seconds=estimate.duration, extended=extended, forecast=forecast)


def score_pedal_events(reference: Sequence[Pedal], estimate: Sequence[Pedal]) -> dict[str, Score]:
    """Compare when the pedal goes down, and when it comes up too, as onsets and offsets of notes of one pitch."""
    ours, theirs = ([Note(p.onset, 60, p.offset, 1) for p in pedals] for pedals in (reference, estimate))
    found = score_notes("", ours, theirs).scores
    return {"pedal_onset": found["note"], "pedal_onset_offset": found["note_offset"]}


def score_pedals(reference: Sequence[Pedal], estimate: Sequence[Pedal]) -> Score:
    """Compare the spans of the pedal, in frames of ``PEDAL_FRAME_SECONDS``."""
    n_frames = int(np.ceil(max((p.offset for p in (*reference, *estimate)), default=0.0) / PEDAL_FRAME_SECONDS))
    down, heard = (
        [(round(p.onset / PEDAL_FRAME_SECONDS), round(p.offset / PEDAL_FRAME_SECONDS), 0) for p in pedals]
        for pedals in (reference, estimate)
    )
    return _score_spans(down, heard, n_frames, 1)[0]


def score_notes(
    name: str, reference: Sequence[Note], estimate: Sequence[Note], onset_tolerance: float = ONSET_TOLERANCE
) -> PieceScores:
    """Compare two lists of notes; onsets may differ by ``onset_tolerance`` seconds.

    Both empty: everything is right (1.0). One empty: nothing is (0.0). (Means leave out pieces without notes.)
    """
    from mir_eval import transcription, transcription_velocity

    known_velocity = any(note.velocity > 0 for note in reference)
    scores = dict.fromkeys(NOTE_METRICS, _all_or_nothing(reference, estimate))
    if reference and estimate:
        (ref, ref_hz), (est, est_hz) = to_arrays(reference), to_arrays(estimate)
        ref_velocity = np.array([note.velocity for note in reference], float)
        est_velocity = np.array([note.velocity for note in estimate], float)
        for metric, ratio in (("note", None), ("note_offset", 0.2)):
            figures = transcription.precision_recall_f1_overlap(
                ref, ref_hz, est, est_hz, onset_tolerance=onset_tolerance, offset_ratio=ratio
            )
            scores[metric] = Score(*map(float, figures[:3]))
        for metric, ratio in (("note_velocity", None), ("note_offset_velocity", 0.2)):
            if known_velocity:
                figures = transcription_velocity.precision_recall_f1_overlap(
                    ref,
                    ref_hz,
                    ref_velocity,
                    est,
                    est_hz,
                    est_velocity,
                    onset_tolerance=onset_tolerance,
                    offset_ratio=ratio,
                )
                scores[metric] = Score(*map(float, figures[:3]))
    if not known_velocity and reference:
        del scores["note_velocity"], scores["note_offset_velocity"]
    ends = [note.offset for note in (*reference, *estimate)]
    n_frames = int(np.ceil(max(ends, default=0.0) / FRAME_SECONDS))
    scores["frame"], exact = _score_spans(_keys(reference), _keys(estimate), n_frames, N_PITCHES)
    return PieceScores(name, scores, exact, len(reference), len(estimate))


def piano_roll(notes: Iterable[Note], n_frames: int) -> np.ndarray:
    """Draw notes as a boolean array (n_frames, 88) at ``FRAME_SECONDS``; pitches off the keyboard are left out."""
    roll = np.zeros((n_frames, N_PITCHES), bool)
    for first, last, key in _keys(notes):
        roll[first:last, key] = True
    return roll


def _keys(notes: Iterable[Note]) -> list[tuple[int, int, int]]:
    """Say in which frames, the last one excluded, which keys of the 88 are down."""
    found = []
    for note in notes:
        if LOWEST_PITCH <= note.pitch < LOWEST_PITCH + N_PITCHES:
            first, last = round(note.onset / FRAME_SECONDS), round(note.offset / FRAME_SECONDS)
            found.append((first, max(first + 1, last), note.pitch - LOWEST_PITCH))
    return found


def _score_spans(
    reference: Sequence[tuple[int, int, int]], estimate: Sequence[tuple[int, int, int]], n_frames: int, width: int
) -> tuple[Score, float]:
    """Compare frames: their score, and the share of those that are all right.

    Spans are the first frame, the last one excluded, and a column of ``width``. Between two edges of spans all frames
    are alike: they are compared at once, so that what it takes doesn't depend on how long notes are.
    """
    if not n_frames:
        return Score(1.0, 1.0, 1.0), 1.0
    tables = [np.array(spans, np.int64).reshape(-1, 3) for spans in (reference, estimate)]
    edges = np.unique(np.concatenate([[0, n_frames], *(table[:, :2].ravel() for table in tables)]))
    edges = edges[edges <= n_frames]
    rolls = np.zeros((2, len(edges) - 1, width), bool)
    for roll, table in zip(rolls, tables, strict=True):
        for first, last, column in zip(*np.searchsorted(edges, table[:, :2]).T, table[:, 2], strict=True):
            roll[first:last, column] = True
    lengths = np.diff(edges)
    hits, n_reference, n_estimate = (int(roll.sum(1) @ lengths) for roll in (rolls[0] & rolls[1], *rolls))
    precision = hits / n_estimate if n_estimate else float(n_reference == 0)
    recall = hits / n_reference if n_reference else float(n_estimate == 0)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Score(precision, recall, f1), float((rolls[0] == rolls[1]).all(axis=1) @ lengths / n_frames)


def _all_or_nothing(reference: Sequence[Note], estimate: Sequence[Note]) -> Score:
    value = float(not reference and not estimate)
    return Score(value, value, value)


def mean_scores(pieces: Sequence[PieceScores]) -> dict[str, Score]:
    """Average every metric over the pieces that have it; a metric that none has is left out.

    Pieces without notes have no metrics of notes: all of it is right there, or nothing.
    """
    means = {}
    for metric in METRICS:
        scores = _scores_of(pieces, metric)
        if scores:
            means[metric] = Score(
                *(
                    float(np.mean([getattr(s, field) for s in scores.values()]))
                    for field in ("precision", "recall", "f1")
                )
            )
    return means


def _scores_of(pieces: Sequence[PieceScores], metric: str) -> dict[str, Score]:
    """Find the scores of a metric by the names of the pieces that have it."""
    counted = [piece for piece in pieces if piece.n_reference or metric not in NOTE_METRICS]
    return {piece.name: piece.scores[metric] for piece in counted if metric in piece.scores}


@dataclass(frozen=True)
class NotesReport:
    """Figures of a whole data set, and what they cost.

    ``sweep`` maps onset thresholds to mean scores; ``audio_seconds`` and ``cpu_seconds`` count reading, listening and
    decoding, not scoring; ``peak_memory`` of the process in bytes, None where the system doesn't tell. ``left_out`` is
    what couldn't be read, a line each. ``reliability`` has, by the tolerance of onsets in seconds, the rows of
    :func:`~transcribe.report.statistics.reliability_table`.
    """

    pieces: tuple[PieceScores, ...]
    conventions: str = CONVENTIONS
    warnings: tuple[str, ...] = ()
    sweep: Mapping[float, dict[str, Score]] = field(default_factory=dict)
    audio_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int | None = None
    left_out: tuple[str, ...] = ()
    reliability: Mapping[float, Sequence[tuple[float, float, int]]] = field(default_factory=dict)
    against: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def means(self) -> dict[str, Score]:
        """Mean scores over the pieces."""
        return mean_scores(self.pieces)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Between what the mean F1 of as many other pieces of the kind would lie, 19 times of 20."""
        known = {metric: [score.f1 for score in _scores_of(self.pieces, metric).values()] for metric in METRICS}
        return {metric: interval(values) for metric, values in known.items() if len(values) > 1}

    @property
    def silent(self) -> tuple[PieceScores, ...]:
        """The pieces without notes."""
        return tuple(piece for piece in self.pieces if not piece.n_reference)

    def compared(self, other: Mapping[str, object]) -> NotesReport:
        """Compare with what :meth:`to_dict` gave of another system on the same pieces.

        Raises
        ------
        InputError
            If it holds no scores of pieces.
        """
        try:
            pieces: Any = other["pieces"]
            theirs = {
                metric: {p["name"]: float(p["scores"][metric]["f1"]) for p in pieces if metric in p["scores"]}
                for metric in METRICS
            }
        except (LookupError, TypeError, ValueError, AttributeError):
            raise InputError("no scores of pieces; give what pitchai eval --json printed of notes") from None
        ours = {metric: {n: s.f1 for n, s in _scores_of(self.pieces, metric).items()} for metric in METRICS}
        found = {metric: paired(ours[metric], theirs[metric]) for metric in METRICS}
        return replace(self, against={metric: one for metric, one in found.items() if one is not None})

    @property
    def notes_a_minute(self) -> tuple[float, float]:
        """How many there are, and how many were found; (nan, nan) where no audio was heard."""
        minutes = self.audio_seconds / 60 or float("nan")
        return sum(p.n_reference for p in self.pieces) / minutes, sum(p.n_estimate for p in self.pieces) / minutes

    @property
    def exact_slices(self) -> float:
        """The mean share of frames in which all keys are right, over pieces with notes."""
        sounding = [piece.exact_slices for piece in self.pieces if piece.n_reference]
        return float(np.mean(sounding)) if sounding else 1.0

    @property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """Nothing: notes have no labels to be confused."""
        return {}

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain values."""
        return {
            **asdict(self),
            "means": {metric: asdict(score) for metric, score in self.means.items()},
            "exact_slices": self.exact_slices,
            "intervals": self.intervals,
            "calibration_error": {within: calibration_error(rows) for within, rows in self.reliability.items()},
        }

    def to_csv(self) -> bytes:
        """Write the scores of every piece, a line each."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        shown = [metric for metric in METRICS if any(metric in piece.scores for piece in self.pieces)]
        fields = ("precision", "recall", "f1")
        counts = ("n_reference", "n_estimate", "seconds", "exact_slices")
        writer.writerow(["name", *counts, *(f"{metric}_{name}" for metric in shown for name in fields)])
        for piece in self.pieces:
            scores = [piece.scores.get(metric) for metric in shown]
            cells = ["" if s is None else f"{getattr(s, name):.6f}" for s in scores for name in fields]
            about = [piece.n_reference, piece.n_estimate, f"{piece.seconds:.3f}", f"{piece.exact_slices:.6f}"]
            writer.writerow([piece.name, *about, *cells])
        return text.getvalue().encode()

    def tables(self) -> Iterator[Table | str]:
        """Lay out the means, the sweep, and what it cost."""
        intervals, n_silent = self.intervals, len(self.silent)
        yield Table(
            ("", "precision", "recall", "F1", "19 times of 20"),
            tuple(
                (
                    METRICS[metric],
                    f"{score.precision:.4f}",
                    f"{score.recall:.4f}",
                    f"{score.f1:.4f}",
                    "{:.3f} – {:.3f}".format(*intervals[metric]) if metric in intervals else "",
                )
                for metric, score in self.means.items()
            ),
            counted(len(self.pieces) - n_silent, "piece"),
            strong=3,
        )
        if n_silent:
            found = sum(piece.n_estimate for piece in self.silent)
            seconds = sum(piece.seconds for piece in self.silent)
            rate = f", {60 * found / seconds:.1f} a minute" if seconds else ""
            yield f"{n_silent} pieces without notes: {found} notes were found in them{rate}"
        if self.against:
            yield Table(
                ("F1", "difference", "19 times of 20", "better", "worse"),
                tuple(
                    (METRICS[m], f"{d.mean:+.4f}", f"{d.low:+.3f} – {d.high:+.3f}", str(d.better), str(d.worse))
                    for m, d in self.against.items()
                ),
                "piece by piece against the other",
                strong=1,
            )
        for within, bins in self.reliability.items():
            yield Table(
                ("confidence", "right", "notes"),
                tuple((f"{said:.2f}", f"{right:.2f}", str(count)) for said, right, count in bins),
                f"onsets within {1000 * within:.0f} ms: expected calibration error {calibration_error(bins):.4f}",
            )
        yield from self._forecasts()
        if self.sweep:
            rows = (
                (f"{threshold:.1f}", *(f"{scores[m].f1:.4f}" if m in scores else "" for m in METRICS))
                for threshold, scores in self.sweep.items()
            )
            yield Table(("onset threshold", *METRICS.values()), tuple(rows), "F1 over the threshold")
        yield f"exact slices: {self.exact_slices:.4f} of the frames have all 88 keys right"
        if self.cpu_seconds:
            speed = self.audio_seconds / self.cpu_seconds
            yield f"speed: {speed:.1f} s of audio a CPU second, {minutes(self.audio_seconds)} in all"
            yield "notes a minute: {:.1f} true, {:.1f} found".format(*self.notes_a_minute)
        if self.peak_memory:
            yield f"peak memory: {self.peak_memory / 1e6:.0f} MB"
        yield f"conventions: {self.conventions}"

    def _forecasts(self) -> Iterator[str]:
        """Say how far forecasts of precision and recall are off."""
        told = [(p.forecast, p.wide) for p in self.pieces if p.forecast is not None and p.wide is not None]
        if told:
            off = np.mean([np.abs(np.subtract(*pair)) for pair in told], axis=0)
            said = "forecast: off by {:.1f} points of precision and {:.1f} of recall in the mean, onsets within 100 ms"
            yield said.format(*(100 * off))

    def page(self, title: str, pieces: Sequence[tuple[PieceScores, Transcription, Transcription]]) -> bytes:
        """Make an HTML page of pieces, the worst first: their scores, reference and estimate."""
        from transcribe.report.page import compared

        figures = [(METRICS[name], f"{score.f1:.4f}") for name, score in self.means.items()]
        figures += [("pieces", str(len(self.pieces))), ("conventions", self.conventions)]
        rows = [
            (one.name, ", ".join(f"{METRICS[name]} {s.f1:.3f}" for name, s in one.scores.items()), reference, estimate)
            for one, reference, estimate in sorted(pieces, key=lambda piece: next(iter(piece[0].scores.values())).f1)
        ]
        return compared(title, figures, rows)


def compare(
    reference: Transcription,
    estimate: Transcription,
    pedal_extended: bool = False,
    onset_tolerance: float = ONSET_TOLERANCE,
) -> NotesReport:
    """Score one transcription against another."""
    pieces = (score("estimate", reference, estimate, pedal_extended, onset_tolerance),)
    return NotesReport(pieces, _conventions(pieces, pedal_extended, onset_tolerance))


def evaluate(
    dataset: str,
    pieces: Sequence[Piece],
    transcriber: Listener[Activations],
    pedal_extended: bool = False,
    thresholds: Sequence[float] = (),
    progress: Progress | None = None,
    keep: Callable[[PieceScores, Transcription, Transcription], None] | None = None,
    onset_tolerance: float = ONSET_TOLERANCE,
    reliability: bool = False,
) -> NotesReport:
    """Transcribe every piece of a data set and score it; what can't be read is left out, and named.

    Parameters
    ----------
    dataset
        Its name, to tell whether the model was trained on it.
    pieces
        From :func:`transcribe.registry.load_dataset`.
    pedal_extended
        Let the notes sound while the pedal is down, on each side where one is known.
    thresholds
        Onset thresholds to try besides the transcriber's own.
    progress
        Called with (seconds done, None) as the work goes on.
    keep
        Called with the scores, the reference and the estimate of each piece: the report doesn't hold the notes.
    onset_tolerance
        Seconds.
    reliability
        Whether the confidence of notes is compared with the truth.

    Raises
    ------
    InputError
        If no recording can be read with its labels.
    """
    scores: list[PieceScores] = []
    tried: dict[float, list[PieceScores]] = {threshold: [] for threshold in thresholds}
    judged: dict[float, list[tuple[float, bool]]] = {ONSET_TOLERANCE: [], _WIDE_TOLERANCE: []}
    left_out = LeftOut()
    audio_seconds = cpu_seconds = 0.0
    for piece in pieces:
        with left_out.noted(piece.name):
            reference = (piece.read or read_labels)(piece.labels)
            started = time.process_time()
            activations: Iterable[Activations] = transcriber.activations_of(piece.audio)
            if thresholds:  # they are decoded again; otherwise nothing is kept
                activations = list(activations)
            estimate = transcriber.decode(activations)
            cpu_seconds += time.process_time() - started
            audio_seconds += estimate.duration
            scores.append(score(piece.name, reference, estimate, pedal_extended, onset_tolerance))
            if keep is not None:
                keep(scores[-1], reference, estimate)
            for threshold in thresholds:
                other = transcriber.decode(activations, onset_threshold=threshold)
                tried[threshold].append(score(piece.name, reference, other, pedal_extended, onset_tolerance))
            if reliability:
                for within, confidences in judged.items():
                    confidences += judge(reference.notes, estimate.notes, within)
                scores[-1] = replace(scores[-1], wide=_shares(judged[_WIDE_TOLERANCE], scores[-1]))
        if progress is not None:
            progress(audio_seconds, None)
    left_out.check(len(scores))
    tables = {
        within: reliability_table(np.array([sure for sure, _ in rows]), np.array([right for _, right in rows], float))
        for within, rows in judged.items()
        if rows
    }
    return NotesReport(
        tuple(scores),
        _conventions(scores, pedal_extended, onset_tolerance),
        tuple(_trained_on(dataset, pieces, transcriber)),
        {threshold: mean_scores(found) for threshold, found in tried.items()},
        audio_seconds,
        cpu_seconds,
        peak_memory(),
        tuple(left_out),
        tables,
    )


def _shares(judged: Sequence[tuple[float, bool]], piece: PieceScores) -> tuple[float, float] | None:
    """Give precision and recall of a piece whose notes are judged last; None where one side has none."""
    if not piece.n_estimate or not piece.n_reference:
        return None
    right = sum(hit for _, hit in judged[-piece.n_estimate :])
    return right / piece.n_estimate, right / piece.n_reference


def judge(reference: Sequence[Note], estimate: Sequence[Note], onset_tolerance: float) -> list[tuple[float, bool]]:
    """Give of every note of an estimate its confidence, and whether it is right."""
    right = {j for _, j in match_notes(reference, estimate, onset_tolerance=onset_tolerance)}
    return [(note.confidence, j in right) for j, note in enumerate(estimate)]


def _notes(transcription: Transcription, pedal_extended: bool) -> tuple[Note, ...]:
    if not pedal_extended:
        return transcription.notes
    return extend_by_pedal(transcription.notes, transcription.pedals)


def _conventions(pieces: Sequence[PieceScores], pedal_extended: bool, onset_tolerance: float) -> str:
    said = _CONVENTIONS.format(1000 * onset_tolerance)
    if not pedal_extended:
        return f"{said}; offsets are key releases"
    both = sum(len(piece.extended) == 2 for piece in pieces)
    parts = [f"on both sides in {both} of {len(pieces)} pieces"] if both else []
    for side in ("the labels", "what was heard"):
        alone = sum(piece.extended == (side,) for piece in pieces)
        parts += [f"of {side} alone in {alone}, where the other side tells no pedal"] if alone else []
    return f"{said}; offsets extended by the sustain pedal: {', '.join(parts) or 'nowhere, no pedal is known'}"


def _trained_on(dataset: str, pieces: Sequence[Piece], transcriber: Listener[Activations]) -> Iterator[str]:
    seen = transcriber.model.header.get("trained_on", {}).get(dataset, [])
    splits = sorted({piece.split for piece in pieces} & set(seen))
    if splits:
        yield f"{transcriber.model.name} was trained on {dataset} ({', '.join(splits)}): these figures flatter it"


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
