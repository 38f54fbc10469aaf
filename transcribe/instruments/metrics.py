"""How well instruments are told: multi-label figures over a set of clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from transcribe.datasets import LeftOut, Piece
from transcribe.engine.task import Listener, Progress
from transcribe.events import Tag
from transcribe.instruments.decoder import INSTRUMENTS, TagActivations, likelihoods
from transcribe.report.statistics import calibration_error, reliability_table
from transcribe.report.summary import counted
from transcribe.report.tables import Figures, PlainReport, Table, class_table, confusion_table

# How often it is asked who plays.
FRAME_SECONDS = 0.1
CONVENTIONS = (
    "the likeliest of the labels that the set has; F1 at the model's threshold; every clip counts alike; labels that "
    "nobody knows of don't count"
)
SPAN_CONVENTIONS = f"families, every {FRAME_SECONDS} s of all recordings; only families that play in one of them count"


@dataclass(frozen=True)
class TagReport(Figures):
    """Figures of a set of clips.

    ``accuracy``: the share of the clips whose likeliest label is among the true ones; ``of_all``: that whose likeliest
    of the whole vocabulary is, and ``calibration_error``: how far its probability is from how often it is right (both
    None where labels are partial). ``exact``: whose labels are all right, as many of the likeliest as there are true
    ones. ``micro_f1``, ``macro_f1`` at the threshold; ``lrap``: label ranking average precision; ``mean_precision``:
    the mean over labels of their average precision. ``classes`` maps each label to precision, recall, F1 and the number
    of its clips; ``confusion`` maps true labels (joined by ``+``) to what was likeliest; where several are true, to all
    labels at the threshold, ``other`` if no clip has just these.
    """

    n_clips: int
    accuracy: float
    exact: float
    micro_f1: float
    macro_f1: float
    lrap: float
    classes: Mapping[str, tuple[float, float, float, int]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mean_precision: float = 0.0
    of_all: float | None = None
    calibration_error: float | None = None
    conventions: str = CONVENTIONS
    left_out: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def tables(self) -> Iterator[Table | str]:
        """Lay out the figures of every label, and which clips were called what."""
        yield class_table(self.classes, self.n_clips)
        if self.confusion:
            yield confusion_table(self.confusion)
        yield f"accuracy: {self.accuracy:.4f} of the clips have a true label as their likeliest"
        if self.of_all is not None and self.calibration_error is not None:
            yield f"of all labels that there are: {self.of_all:.4f}, calibration error {self.calibration_error:.4f}"
        yield f"all labels right: {self.exact:.4f}"
        yield f"micro F1: {self.micro_f1:.4f}, macro F1: {self.macro_f1:.4f}, LRAP: {self.lrap:.4f}"
        yield f"mean average precision: {self.mean_precision:.4f}"
        yield f"conventions: {self.conventions}"


@dataclass(frozen=True)
class SpanReport(PlainReport):
    """Figures of who plays when: F1 over all frames and families, and precision, recall, F1 and seconds of each."""

    n_clips: int
    micro_f1: float
    classes: Mapping[str, tuple[float, float, float, int]]
    conventions: str = SPAN_CONVENTIONS
    left_out: tuple[str, ...] = ()

    def tables(self) -> Iterator[Table | str]:
        """Lay out the figures of every family."""
        rows = (
            (label, *(f"{value:.3f}" for value in values[:3]), f"{values[3]} s")
            for label, values in self.classes.items()
        )
        columns = ("", "precision", "recall", "F1", "plays")
        yield Table(columns, tuple(rows), counted(self.n_clips, "recording"), strong=3)
        yield f"micro F1: {self.micro_f1:.4f}"
        yield f"conventions: {self.conventions}"


def judge(
    truths: Sequence[Sequence[str]],
    found: Sequence[Mapping[str, float]],
    threshold: float,
    absent: Sequence[Sequence[str] | None] = (),
) -> TagReport:
    """Compare the true labels of clips with probabilities of labels.

    Only labels that are true of some clip take part, and of a clip only those that are known: all of them, or those
    that are true or ``absent`` where this says so. Clips of which nothing is true count in F1 alone. Without clips
    every figure is 0.
    """
    labels = sorted({label for truth in truths for label in truth})
    n = len(truths)
    if not labels:
        return TagReport(n, 0.0, 0.0, 0.0, 0.0, 0.0)
    truth = np.array([[label in names for label in labels] for names in truths])
    partial = any(names is not None for names in absent)
    known = np.ones_like(truth)
    for i, names in enumerate(absent):
        if names is not None:
            known[i] = truth[i] | np.isin(labels, list(names))
    scores = np.array([[_probability(row, label) for label in labels] for row in found])
    ranked = np.where(known, scores, -1.0)
    likeliest = ranked.argmax(1)
    counts = truth.sum(1)
    some = counts > 0
    order = np.argsort(-ranked, axis=1, kind="stable")
    exact = [set(order[i, : counts[i]]) == set(np.flatnonzero(truth[i])) for i in np.flatnonzero(some)]
    called = (scores >= threshold) & known
    classes = _classes(truth, called, labels)
    confusion: dict[str, dict[str, int]] = {}
    sets = {"+".join(sorted(names)) for names in truths}
    for i, names in enumerate(truths if not partial else ()):
        row = confusion.setdefault("+".join(sorted(names)), {})
        heard = "+".join(label for label, there in zip(labels, called[i], strict=True) if there)
        column = labels[likeliest[i]] if len(names) == 1 else heard if heard in sets else "other"
        row[column] = row.get(column, 0) + 1
    of_all, error = (None, None) if partial else _of_all(truths, found)
    return TagReport(
        n,
        float(truth[np.arange(n), likeliest][some].mean()),
        float(np.mean(exact)),
        _micro_f1(truth, called),
        float(np.mean([figures[2] for figures in classes.values()])),
        _lrap(truth[some], ranked[some]),
        classes,
        confusion,
        float(np.mean([_average_precision(truth[own, j], scores[own, j]) for j, own in enumerate(known.T)])),
        of_all,
        error,
    )


def judge_spans(
    truths: Sequence[Sequence[Tag]], found: Sequence[Sequence[Tag]], durations: Sequence[float]
) -> SpanReport:
    """Compare who plays when, frame by frame; only families that are true of some recording take part."""
    labels = sorted({tag.label for tags in truths for tag in tags})
    drawn = []
    for tags in (truths, found):
        rows = [_frames(own, labels, duration) for own, duration in zip(tags, durations, strict=True)]
        drawn.append(np.concatenate([np.zeros((0, len(labels)), bool), *rows]))
    truth, called = drawn
    classes = {
        label: (precision, recall, f1, round(count * FRAME_SECONDS))
        for label, (precision, recall, f1, count) in _classes(truth, called, labels).items()
    }
    return SpanReport(len(truths), _micro_f1(truth, called), classes)


def _frames(tags: Sequence[Tag], labels: Sequence[str], duration: float) -> np.ndarray:
    """Draw who plays, bool (n_frames, n_labels); a frame is what its middle is."""
    middles = (np.arange(int(duration / FRAME_SECONDS)) + 0.5) * FRAME_SECONDS
    drawn = np.zeros((len(middles), len(labels)), bool)
    for tag in tags:
        if tag.label in labels:
            drawn[:, labels.index(tag.label)] |= (middles >= tag.onset) & (middles < tag.offset)
    return drawn


def _probability(row: Mapping[str, float], label: str) -> float:
    """Give a label's probability; a family's that the vocabulary hasn't is that of its likeliest instrument."""
    if label in row:
        return row[label]
    return max((sure for name, sure in row.items() if INSTRUMENTS.get(name) == label), default=0.0)


def _classes(
    truth: np.ndarray, called: np.ndarray, labels: Sequence[str]
) -> dict[str, tuple[float, float, float, int]]:
    hits = (truth & called).sum(0)
    classes = {}
    for j, label in enumerate(labels):
        precision = float(hits[j] / called[:, j].sum()) if called[:, j].any() else 0.0
        recall = float(hits[j] / truth[:, j].sum()) if truth[:, j].any() else 0.0
        classes[label] = (precision, recall, _f1(precision, recall), int(truth[:, j].sum()))
    return classes


def _micro_f1(truth: np.ndarray, called: np.ndarray) -> float:
    n_hits, n_called, n_true = (int(np.sum(array)) for array in (truth & called, called, truth))
    return _f1(n_hits / max(n_called, 1), n_hits / max(n_true, 1))


def _of_all(truths: Sequence[Sequence[str]], found: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Tell how often the likeliest label of all is true, and how far off its probability is; one drum is drums."""
    said, right = [], []
    for names, row in zip(truths, found, strict=True):
        if row:
            likeliest = max(row, key=row.__getitem__)
            said.append(row[likeliest])
            right.append(float(likeliest in names or (likeliest == "drums" and _are_drums(names))))
    if not said:
        return 0.0, 0.0
    return float(np.mean(right)), calibration_error(reliability_table(np.array(said), np.array(right)))


def _are_drums(names: Sequence[str]) -> bool:
    return any(INSTRUMENTS.get(name) == "drums" for name in names)


def _average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Average the precision at every true clip, the surest first; equal scores share the worse one's."""
    if not truth.any():
        return 0.0
    ranks = (scores[None, :] >= scores[truth][:, None]).sum(1)
    hits = (scores[truth][None, :] >= scores[truth][:, None]).sum(1)
    return float((hits / ranks).mean())


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _lrap(truth: np.ndarray, scores: np.ndarray) -> float:
    """Label ranking average precision; ties share the worse rank (as in scikit-learn)."""
    values = []
    for there, row in zip(truth, scores, strict=True):
        rank = (row[None, :] >= row[there][:, None]).sum(1)
        among = (row[there][None, :] >= row[there][:, None]).sum(1)
        values.append(float((among / rank).mean()) if there.any() else 1.0)
    return float(np.mean(values))


def evaluate_instruments(
    clips: Sequence[Piece], transcriber: Listener[TagActivations], progress: Progress | None = None
) -> TagReport:
    """Listen to every clip and judge what was heard; what can't be read is left out, and named.

    Raises
    ------
    InputError
        If no clip can be read.
    """
    found, heard = [], []
    left_out = LeftOut()
    for number, clip in enumerate(clips, 1):
        with left_out.noted(clip.name):
            found.append(likelihoods(transcriber.activations_of(clip.audio), clip.vocabulary))
            heard.append(clip)
        if progress is not None:
            progress(number, len(clips))
    left_out.check(len(found))
    absent = [clip.absent for clip in heard]
    report = judge([clip.tags for clip in heard], found, transcriber.model.decoding.threshold, absent)
    return replace(report, left_out=tuple(left_out))


def evaluate_spans(
    pieces: Sequence[Piece], transcriber: Listener[TagActivations], progress: Progress | None = None
) -> SpanReport:
    """Listen to recordings and judge which families were heard when; what can't be read is left out, and named.

    Raises
    ------
    InputError
        If no recording can be read.
    """
    truths, found, durations = [], [], []
    left_out = LeftOut()
    for number, piece in enumerate(pieces, 1):
        with left_out.noted(piece.name):
            assert piece.read is not None
            truth = piece.read(piece.labels)
            heard = transcriber.decode(transcriber.activations_of(piece.audio), vocabulary="families")
            truths.append(truth.instruments)
            found.append(heard.instruments)
            durations.append(heard.duration)
        if progress is not None:
            progress(number, len(pieces))
    left_out.check(len(found))
    return replace(judge_spans(truths, found, durations), left_out=tuple(left_out))
