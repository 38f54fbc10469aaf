"""How good the chords are: mir_eval's chord metrics over songs, accuracy and confusions over clips.

Conventions: mir_eval's comparisons (MIREX 2013), each weighted by duration over all pieces together, so that a long
song counts more than a short one; the segmentation's figures are means over pieces.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from transcribe.chords.datasets import read_chords
from transcribe.chords.decoder import ChordActivations, class_of, likeliest
from transcribe.datasets import LeftOut, Piece
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError, UsageError
from transcribe.events import Chord
from transcribe.report.summary import counted
from transcribe.report.tables import Figures, PlainReport, Report, Table, confusion_table
from transcribe.theory.chords import Label, parse

COMPARISONS = ("root", "majmin", "majmin_inv", "thirds", "triads", "sevenths", "tetrads", "mirex")
SEGMENTATIONS = ("overseg", "underseg", "seg")


@dataclass(frozen=True)
class ChordReport(PlainReport):
    """Figures of songs: by piece, and ``means`` over them all, by the names in COMPARISONS and SEGMENTATIONS.

    ``left_out`` is what couldn't be read, a line each.
    """

    pieces: dict[str, dict[str, float]]
    means: dict[str, float]
    left_out: tuple[str, ...] = ()

    @property
    def conventions(self) -> str:
        """How the figures are averaged."""
        return "weighted by duration over all pieces; over-, under- and segmentation are means over pieces"

    def tables(self) -> Iterator[Table | str]:
        """Lay out the means."""
        several = len(self.pieces) > 1
        title = counted(len(self.pieces), "piece") if several else next(iter(self.pieces), "no pieces")
        rows = ((name, f"{value:.4f}") for name, value in self.means.items())
        yield Table(("mir_eval.chord", "score"), tuple(rows), title, strong=1)
        if several:
            yield f"conventions: {self.conventions}"


@dataclass(frozen=True)
class ClipReport(Figures):
    """Figures of clips with one chord each: ``confusion`` counts, for every true label, what it was called."""

    accuracy: float
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def conventions(self) -> str:
        """What is counted as right."""
        return "the right root and quality; every clip counts alike"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def tables(self) -> Iterator[Table | str]:
        """Lay out which clips were called what."""
        yield confusion_table(self.confusion)
        yield f"accuracy: {self.accuracy:.4f} of the clips have the right root and quality"


def score_chords(reference: Sequence[Chord], estimate: Sequence[Chord]) -> dict[str, tuple[float, float]]:
    """Compare two sequences of chords, from the first true one to the last.

    What the reference leaves open isn't counted; what the estimate leaves open is no chord. A chord that is written
    again, as in every bar anew, goes on: the segmentation's figures are about changes.

    Returns
    -------
    dict
        For every comparison its score (0-1) and the seconds that it is about: chords outside its vocabulary are left
        out. Segmentation scores weigh 1.

    Raises
    ------
    InputError
        If the reference holds no chords, or chords of one side overlap.
    """
    from mir_eval import chord

    span = (min((c.onset for c in reference), default=0.0), max((c.offset for c in reference), default=0.0))
    if span[0] >= span[1]:
        raise InputError("the reference holds no chords")
    reference_intervals, reference_labels = _tiled(reference, span, "X")
    intervals, labels = _tiled(estimate, span, "N")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of comparisons without any chord of their vocabulary
        merged, ours, theirs = chord.util.merge_labeled_intervals(
            reference_intervals, reference_labels, intervals, labels
        )
        durations = chord.util.intervals_to_durations(merged)
        scores = {}
        for name in COMPARISONS:
            compared = getattr(chord, name)(ours, theirs)
            seconds = float(durations[compared >= 0].sum())
            scores[name] = (float(chord.weighted_accuracy(compared, durations)) if seconds else 0.0, seconds)
        spans = [
            chord.merge_chord_intervals(reference_intervals, reference_labels),
            chord.merge_chord_intervals(intervals, labels),
        ]
        for name in SEGMENTATIONS:
            scores[name] = (float(getattr(chord, name)(*spans)), 1.0)
    return scores


# Chords that overlap by less than this, in s, were rounded.
_ROUNDED = 0.02


def _tiled(chords: Sequence[Chord], span: tuple[float, float], filler: str) -> tuple[np.ndarray, list[str]]:
    """Cover a span of time without gaps: where no chord is, ``filler`` is."""
    edges, labels = [span[0]], []
    for c in sorted(chords):
        onset, offset = max(c.onset, edges[-1]), min(c.offset, span[1])
        if edges[-1] - c.onset > _ROUNDED and c.onset >= span[0]:
            raise InputError(f"chords overlap at {c.onset:.2f} s")
        if offset <= onset:
            continue
        if onset > edges[-1]:
            edges.append(onset)
            labels.append(filler)
        edges.append(offset)
        labels.append(c.label)
    if edges[-1] < span[1]:
        edges.append(span[1])
        labels.append(filler)
    return np.column_stack([edges[:-1], edges[1:]]), labels


def mean_scores(pieces: Sequence[dict[str, tuple[float, float]]]) -> dict[str, float]:
    """Average every figure over pieces, each weighted by the seconds that it is about; 0 where it is about none."""
    means = {}
    for name in (*COMPARISONS, *SEGMENTATIONS):
        total = sum(scores[name][1] for scores in pieces)
        means[name] = sum(scores[name][0] * scores[name][1] for scores in pieces) / (total or 1.0)
    return means


def read_reference(piece: Piece, duration: float) -> list[Chord]:
    """Read the true chords of a piece, as far as its recording goes."""
    return [replace(c, offset=min(c.offset, duration)) for c in read_chords(piece.labels) if c.onset < duration]


def compare(reference: Sequence[Chord], estimate: Sequence[Chord]) -> ChordReport:
    """Score one sequence of chords against another."""
    scores = {name: value for name, (value, _) in score_chords(reference, estimate).items()}
    return ChordReport({"estimate": scores}, scores)


def evaluate(
    pieces: Sequence[Piece], transcriber: Listener[ChordActivations], progress: Progress | None = None
) -> Report:
    """Measure chords over songs, or over clips where every label is a folder's name.

    What can't be read is left out, and named.

    Raises
    ------
    InputError
        If no recording can be read with its labels.
    UsageError
        If there are songs and clips.
    """
    clips = [piece for piece in pieces if piece.labels.is_dir()]
    if not clips:
        return evaluate_chords(pieces, transcriber, progress)
    if len(clips) < len(pieces):
        raise UsageError("songs with .lab files and folders of clips can't be measured together; give one or the other")
    return evaluate_clips(clips, transcriber, progress=progress)


def evaluate_chords(
    pieces: Sequence[Piece], transcriber: Listener[ChordActivations], progress: Progress | None = None
) -> ChordReport:
    """Recognise the chords of every piece and score them; what can't be read is left out, and named.

    Raises
    ------
    InputError
        If no recording can be read with its labels.
    """
    found = {}
    left_out = LeftOut()
    seconds = 0.0
    for piece in pieces:
        with left_out.noted(piece.name):
            estimate = transcriber.transcribe_file(piece.audio)
            try:
                found[piece.name] = score_chords(read_reference(piece, estimate.duration), estimate.chords)
            except InputError as error:
                raise InputError(f"{piece.labels}: {error}") from None
            seconds += estimate.duration
        if progress is not None:
            progress(seconds, None)
    left_out.check(len(found))
    values = {name: {k: value for k, (value, _) in scores.items()} for name, scores in found.items()}
    return ChordReport(values, mean_scores(list(found.values())), tuple(left_out))


def evaluate_clips(
    pieces: Sequence[Piece],
    transcriber: Listener[ChordActivations],
    labels: Sequence[Label] = (),
    progress: Progress | None = None,
) -> ClipReport:
    """Recognise the one chord of every clip, and count which are right in root and quality.

    A clip's chord is the one heard most, ``N`` only where no other is. Where ``labels`` are given, no others are
    possible; where all true labels are triads, the answers are. Labels outside the network's vocabulary are called by
    their nearest class; clips whose label has none (``X``, bare fifths) are left out, and those that can't be read.
    """
    truths = [(piece, parse(read_chords(piece.labels)[0].label)) for piece in pieces]
    known = [(piece, truth) for piece, truth in truths if class_of(truth) is not None]
    vocabulary = "triads" if all(len(truth.intervals) == 3 for _, truth in known) else "full"
    confusion: dict[str, dict[str, int]] = {}
    right = n_heard = 0
    left_out = LeftOut()
    for number, (piece, truth) in enumerate(known, 1):
        with left_out.noted(piece.name):
            answer = likeliest(list(transcriber.activations_of(piece.audio)), labels, vocabulary)
            called = confusion.setdefault(str(truth), {})
            called[str(answer)] = called.get(str(answer), 0) + 1
            right += class_of(answer) == class_of(truth)
            n_heard += 1
        if progress is not None:
            progress(number, len(known))
    left_out.check(n_heard)
    return ClipReport(right / max(1, n_heard), confusion, tuple(left_out))
