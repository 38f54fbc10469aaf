"""How often a genre is told: the likeliest of every recording against its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from transcribe.datasets import Piece
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError, UsageError
from transcribe.report.tables import Figures, Table, class_table, confusion_table

CONVENTIONS = (
    "the likeliest genre of each recording, sure or not; every recording counts alike, in macro F1 every genre"
)


@dataclass(frozen=True)
class GenreReport(Figures):
    """Figures of a set of recordings.

    ``sure`` is the share that reached the threshold, ``accuracy_sure`` the accuracy among these. ``classes`` maps each
    genre to precision, recall, F1 and the number of its recordings; ``confusion`` counts what they were called;
    ``skipped`` has a line for each that couldn't be read or was silent.
    """

    n_clips: int
    accuracy: float
    macro_f1: float
    sure: float
    accuracy_sure: float
    classes: Mapping[str, tuple[float, float, float, int]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    conventions: str = CONVENTIONS

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """What couldn't be read or was silent."""
        return self.skipped

    def tables(self) -> Iterator[Table | str]:
        """Lay out the figures of every genre, and which recordings were called what."""
        yield class_table(self.classes, self.n_clips)
        yield confusion_table(self.confusion)
        yield f"accuracy: {self.accuracy:.4f}, macro F1: {self.macro_f1:.4f}"
        yield f"sure of {self.sure:.1%} of them, and right about {self.accuracy_sure:.1%} of these"
        yield f"conventions: {self.conventions}"


def judge(
    truths: Sequence[str], called: Sequence[str], sure: Sequence[bool], skipped: Sequence[str] = ()
) -> GenreReport:
    """Compare true genres with those called; without recordings every figure is 0."""
    right = np.array([truth == name for truth, name in zip(truths, called, strict=True)], bool)
    decided = np.array(sure, bool)
    confusion: dict[str, dict[str, int]] = {}
    for truth, name in zip(truths, called, strict=True):
        row = confusion.setdefault(truth, {})
        row[name] = row.get(name, 0) + 1
    classes = {}
    for genre in sorted(confusion):
        hits, n_true = confusion[genre].get(genre, 0), sum(confusion[genre].values())
        n_called = sum(row.get(genre, 0) for row in confusion.values())
        precision, recall = hits / n_called if n_called else 0.0, hits / n_true
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        classes[genre] = (precision, recall, f1, n_true)
    return GenreReport(
        len(truths),
        float(right.mean()) if len(truths) else 0.0,
        float(np.mean([f1 for *_, f1, _ in classes.values()])) if classes else 0.0,
        float(decided.mean()) if len(truths) else 0.0,
        float(right[decided].mean()) if decided.any() else 0.0,
        classes,
        confusion,
        tuple(skipped),
    )


def evaluate_genres(
    clips: Sequence[Piece], transcriber: Listener[object], known: Sequence[str], progress: Progress | None = None
) -> GenreReport:
    """Hear every recording and compare; what can't be read is left out, and named.

    ``known`` are the genres that the model knows.

    Raises
    ------
    UsageError
        If the model knows none of the set's genres.
    InputError
        If no recording can be judged.
    """
    if not {clip.tags[0] for clip in clips} & set(known):
        raise UsageError(f"{transcriber.model.name} knows {', '.join(known)}: none of this set's; give --model")
    truths, called, sure, skipped = [], [], [], []
    for number, clip in enumerate(clips, 1):
        try:
            found = transcriber.transcribe_file(clip.audio)
        except InputError as error:
            skipped.append(str(error))
        else:
            if found.genres:
                truths.append(clip.tags[0])
                called.append(found.genres[0].label)
                sure.append(found.genres[0].probability >= transcriber.model.decoding.threshold)
            else:
                skipped.append(f"{clip.audio.name}: {'; '.join(found.warnings)}")
        if progress is not None:
            progress(number, len(clips))
    return judge(truths, called, sure, skipped)
