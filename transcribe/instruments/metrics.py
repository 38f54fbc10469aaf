"""How well instruments are told: multi-label figures over a set of clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from transcribe.datasets import LeftOut, Piece
from transcribe.engine.task import Listener, Progress
from transcribe.instruments.decoder import TagActivations, likelihoods
from transcribe.report.tables import Figures, Table, class_table, confusion_table

CONVENTIONS = "the likeliest of the labels that the set has; F1 at the model's threshold; every clip counts alike"


@dataclass(frozen=True)
class TagReport(Figures):
    """Figures of a set of clips.

    ``accuracy``: the share of the clips whose likeliest label is among the true ones. ``exact``: whose labels are all
    right, as many of the likeliest as there are true ones. ``micro_f1``, ``macro_f1`` at the threshold; ``lrap``: label
    ranking average precision. ``classes`` maps each label to precision, recall, F1 and the number of its clips;
    ``confusion`` maps true labels (joined by ``+``) to what was likeliest; where several are true, to all labels at the
    threshold, ``other`` if no clip has just these.
    """

    n_clips: int
    accuracy: float
    exact: float
    micro_f1: float
    macro_f1: float
    lrap: float
    classes: Mapping[str, tuple[float, float, float, int]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    conventions: str = CONVENTIONS
    left_out: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def tables(self) -> Iterator[Table | str]:
        """Lay out the figures of every label, and which clips were called what."""
        yield class_table(self.classes, self.n_clips)
        yield confusion_table(self.confusion)
        yield f"accuracy: {self.accuracy:.4f} of the clips have a true label as their likeliest"
        yield f"all labels right: {self.exact:.4f}"
        yield f"micro F1: {self.micro_f1:.4f}, macro F1: {self.macro_f1:.4f}, LRAP: {self.lrap:.4f}"
        yield f"conventions: {self.conventions}"


def judge(truths: Sequence[Sequence[str]], found: Sequence[Mapping[str, float]], threshold: float) -> TagReport:
    """Compare the true labels of clips with probabilities of labels.

    Only labels that are true of some clip take part. Without clips every figure is 0.
    """
    labels = sorted({label for truth in truths for label in truth})
    n = len(truths)
    if not n:
        return TagReport(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    truth = np.array([[label in names for label in labels] for names in truths])
    scores = np.array([[row.get(label, 0.0) for label in labels] for row in found])
    likeliest = scores.argmax(1)
    counts = truth.sum(1)
    order = np.argsort(-scores, axis=1, kind="stable")
    exact = [set(order[i, : counts[i]]) == set(np.flatnonzero(truth[i])) for i in range(n)]
    called = scores >= threshold
    hits = (truth & called).sum(0)
    classes = {}
    for j, label in enumerate(labels):
        precision = float(hits[j] / called[:, j].sum()) if called[:, j].any() else 0.0
        recall = float(hits[j] / truth[:, j].sum())
        classes[label] = (precision, recall, _f1(precision, recall), int(truth[:, j].sum()))
    n_hits, n_called, n_true = (int(np.sum(array)) for array in (hits, called, truth))
    precision, recall = n_hits / max(n_called, 1), n_hits / max(n_true, 1)
    confusion: dict[str, dict[str, int]] = {}
    sets = {"+".join(sorted(names)) for names in truths}
    for i, names in enumerate(truths):
        row = confusion.setdefault("+".join(sorted(names)), {})
        heard = "+".join(label for label, there in zip(labels, called[i], strict=True) if there)
        column = labels[likeliest[i]] if len(names) == 1 else heard if heard in sets else "other"
        row[column] = row.get(column, 0) + 1
    return TagReport(
        n,
        float(truth[np.arange(n), likeliest].mean()),
        float(np.mean(exact)),
        _f1(precision, recall),
        float(np.mean([figures[2] for figures in classes.values()])),
        _lrap(truth, scores),
        classes,
        confusion,
    )


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
    found, truths = [], []
    left_out = LeftOut()
    for number, clip in enumerate(clips, 1):
        with left_out.noted(clip.name):
            found.append(likelihoods(transcriber.activations_of(clip.audio), clip.vocabulary))
            truths.append(clip.tags)
        if progress is not None:
            progress(number, len(clips))
    left_out.check(len(found))
    return replace(judge(truths, found, transcriber.model.decoding.threshold), left_out=tuple(left_out))
