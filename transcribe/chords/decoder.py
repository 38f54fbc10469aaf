"""Chord activations → chords: a Viterbi search for the likeliest sequence. NumPy only, pure.

A class is a root with one of ``QUALITIES``, or no chord; its number is ``root * len(QUALITIES) + quality``, no chord
has the last. The network tells probabilities of the classes and of the bass, step by step; a step is a few frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from transcribe.engine.features import FrameGrid
from transcribe.engine.growing import GrowingArray
from transcribe.events import Chord
from transcribe.theory.chords import NO_CHORD, Label

QUALITIES = (
    "maj", "min", "dim", "aug", "sus2", "sus4", "7", "maj7", "min7", "minmaj7", "hdim7", "dim7", "maj6", "min6",
    "sus4(b7)",
)  # fmt: skip
N_CLASSES = 12 * len(QUALITIES) + 1
NONE = N_CLASSES - 1
# What each quality is called where a vocabulary has fewer; itself where it isn't listed.
_TRIADS = {
    "7": "maj", "maj7": "maj", "min7": "min", "minmaj7": "min", "hdim7": "dim", "dim7": "dim", "maj6": "maj",
    "min6": "min", "sus4(b7)": "sus4",
}  # fmt: skip
_MAJMIN = {**_TRIADS, "dim": "min", "aug": "maj", "sus2": "maj", "sus4": "maj", "hdim7": "min", "dim7": "min"}
_MAJMIN["sus4(b7)"] = "maj"
VOCABULARIES: dict[str, dict[str, str]] = {
    "majmin": _MAJMIN,
    "triads": _TRIADS,
    "sevenths": {"maj6": "maj", "min6": "min", "sus4(b7)": "sus4"},
    "full": {},
}
# A recording no longer than this (one strum) has one chord.
SINGLE_CHORD_SECONDS = 1.5


@dataclass(frozen=True)
class ChordActivations:
    """What the network heard: ``chord`` (n_steps, N_CLASSES) and ``bass`` (n_steps, 12), probabilities.

    ``grid`` is the time base of the frames, of which a step takes ``stride``.
    """

    chord: np.ndarray
    bass: np.ndarray
    grid: FrameGrid
    stride: int

    def __len__(self) -> int:
        return len(self.chord)

    @property
    def seconds(self) -> float:
        """How much of the recording the steps cover."""
        return len(self) * self.stride / self.grid.frames_per_second


@dataclass(frozen=True)
class ChordDecodingConfig:
    """How activations become chords.

    ``evidence`` weighs a step's log-probabilities, which repeat those of its neighbours; ``stay`` is the probability
    that a chord goes on for another step; a bass other than the root is written from ``bass_threshold`` on.
    ``confidence`` are the bias and the weight of a logistic function of the log-odds of a chord's mean probability.
    """

    evidence: float = 0.5
    stay: float = 0.95
    bass_threshold: float = 0.5
    confidence: tuple[float, float] = (0.0, 1.0)
    vocabulary: str = "full"

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises
        ------
        ValueError
            If a value makes no sense.
        """
        if not (0 < self.evidence < math.inf and 0 < self.stay < 1 and 0 <= self.bass_threshold <= 1):
            raise ValueError("evidence must be positive, stay between 0 and 1, bass_threshold from 0 to 1")
        if len(self.confidence) != 2 or not all(math.isfinite(weight) for weight in self.confidence):
            raise ValueError("the two numbers of confidence must be finite")
        if self.vocabulary not in VOCABULARIES:
            raise ValueError(f"vocabulary must be one of {', '.join(VOCABULARIES)}, not {self.vocabulary!r}")


def class_of(label: Label) -> int | None:
    """Find a label's class: its own, or the one whose intervals it shares most.

    None for ``X``, single notes and bare fifths: whoever trains or measures leaves them out.
    """
    if label == NO_CHORD:
        return NONE
    if label.root is None or len(label.intervals) < 3:
        return None
    if label.quality in QUALITIES:
        return label.root * len(QUALITIES) + QUALITIES.index(label.quality)
    shapes = [_shape(quality) for quality in QUALITIES]
    # Shared intervals count for, missing ones against; the first of equals is the plainest.
    likeness = [2 * len(shape & label.intervals) - len(shape ^ label.intervals) for shape in shapes]
    return label.root * len(QUALITIES) + int(np.argmax(likeness))


def label_of(number: int) -> Label:
    """Name a class."""
    if number == NONE:
        return NO_CHORD
    root, quality = divmod(number, len(QUALITIES))
    return Label(root, QUALITIES[quality])


def _shape(quality: str) -> frozenset[int]:
    return Label(0, quality).intervals


def simplified(label: Label, vocabulary: str) -> Label:
    """Call a label what a vocabulary calls it; basses are kept by ``full`` only."""
    number = class_of(label)
    if number is None or number == NONE:
        return NO_CHORD if number == NONE else label
    plain = label_of(number)
    if vocabulary == "full":
        return replace(plain, bass=label.bass)
    return replace(plain, quality=VOCABULARIES[vocabulary].get(plain.quality, plain.quality))


def change_counts(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """Count which chord follows which, the same in every key.

    Parameters
    ----------
    sequences
        Classes in the order in which they stand in a piece.

    Returns
    -------
    np.ndarray
        float32 (N_CLASSES, N_CLASSES): log-probabilities that a chord, when it changes, changes into another. A
        change that was never seen is as likely as a tenth of one that was seen once.
    """
    n = len(QUALITIES)
    between, to_none, from_none = np.full((n, n, 12), 0.1), np.full(n, 0.1), np.full(n, 0.1)
    for sequence in sequences:
        for before, after in pairwise(sequence):
            if before == after:
                continue
            if before == NONE:
                from_none[after % n] += 1
            elif after == NONE:
                to_none[before % n] += 1
            else:
                between[before % n, after % n, (after // n - before // n) % 12] += 1
    counts = np.zeros((N_CLASSES, N_CLASSES))
    for root in range(12):
        for other in range(12):
            rows, columns = slice(root * n, root * n + n), slice(other * n, other * n + n)
            counts[rows, columns] = between[:, :, (other - root) % 12]
        counts[root * n : root * n + n, NONE] = to_none
        counts[NONE, root * n : root * n + n] = from_none / 12
    np.fill_diagonal(counts, 0)
    counts /= counts.sum(1, keepdims=True)
    return np.log(np.maximum(counts, 1e-9)).astype(np.float32)


@cache
def _named(vocabulary: str) -> tuple[list[Label], np.ndarray, np.ndarray]:
    """List a vocabulary's labels, no chord last; the classes in the order of their labels; where each label begins."""
    names = VOCABULARIES[vocabulary]
    kept = [quality for quality in QUALITIES if quality not in names]
    labels = [Label(root, quality) for root in range(12) for quality in kept] + [NO_CHORD]
    which = np.array([labels.index(simplified(label_of(number), vocabulary)) for number in range(N_CLASSES)])
    order = np.argsort(which, kind="stable")
    return labels, order, np.searchsorted(which[order], np.arange(len(labels)))


def _called(probabilities: np.ndarray, vocabulary: str, axis: int = -1) -> np.ndarray:
    """Add up what a vocabulary calls the same; no matrix product, whose threads would get in the network's way."""
    _, order, starts = _named(vocabulary)
    summed: np.ndarray = np.add.reduceat(np.take(probabilities, order, axis), starts, axis)
    return summed


# Steps after which it is looked what can no longer change: some eleven minutes.
SETTLED_EVERY = 4096


class ChordDecoder:
    """Decodes blocks of activations as they come; the chords are the same however the blocks are cut.

    Parameters
    ----------
    changes
        Log-probabilities of changes between classes, from :func:`change_counts`.
    config
        The search's settings.
    """

    def __init__(self, changes: np.ndarray, config: ChordDecodingConfig) -> None:
        self.config = config
        self.labels = _named(config.vocabulary)[0]
        between = _called(_called(np.exp(changes), config.vocabulary), config.vocabulary, axis=0)
        np.fill_diagonal(between, 0)
        between *= (1 - config.stay) / between.sum(1, keepdims=True)
        np.fill_diagonal(between, config.stay)
        self._transitions = np.log(np.maximum(between, 1e-12)).astype(np.float32)
        self._score: np.ndarray | None = None
        # Of the steps that are still open; and of all, once their label is settled: it, its confidence, the bass.
        self._came_from, self._heard = GrowingArray(), GrowingArray()
        self._path, self._confidence, self._bass = GrowingArray(), GrowingArray(), GrowingArray()
        self._grid: FrameGrid | None = None
        self._stride = 1

    def push(self, block: ChordActivations) -> None:
        """Take in a block of activations."""
        self._grid, self._stride = block.grid, block.stride
        probabilities = _called(block.chord, self.config.vocabulary)
        evidence = self.config.evidence * np.log(np.maximum(probabilities, 1e-6))
        came_from = np.zeros((len(block), len(self.labels)), np.uint8)
        for i, step in enumerate(evidence):
            if self._score is None:
                self._score = step
                continue
            reached = self._score[:, None] + self._transitions
            came_from[i] = reached.argmax(0)
            self._score = reached.max(0) + step
            self._score -= self._score.max()  # hours of it would lose digits
        self._came_from.add(came_from)
        self._heard.add(_to_bytes(probabilities))
        self._bass.add(_to_bytes(block.bass))
        if len(self._heard) >= SETTLED_EVERY:
            self._settle()

    def finish(self, duration: float) -> list[Chord]:
        """Trace the likeliest sequence back: chords that abut, from 0 to ``duration`` seconds; none for no steps."""
        if self._score is None or self._grid is None:
            return []
        if duration <= SINGLE_CHORD_SECONDS and not len(self._path):
            single = self._single(self._heard.array())
            path, confidence = np.full(len(self._heard), single), self._heard.array()[:, single]
        else:
            self._write_down(len(self._heard) - 1, int(np.argmax(self._score)))
            path, confidence = self._path.array()[:, 0].astype(int), self._confidence.array()[:, 0]
        bass = self._bass.array()  # as the confidence: of 255
        starts = np.flatnonzero(np.diff(path, prepend=-1))
        ends = np.append(starts[1:], len(path))
        # A step's first frame is centred on its own time: the edge lies half a frame before.
        edges = [float(self._grid.frames_to_time(start * self._stride - 0.5)) for start in starts[1:]]
        times = [0.0, *edges, duration]
        chords = []
        for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
            if times[i] >= duration:
                break
            label = self._with_bass(self.labels[path[first]], bass[first:last].mean(0) / 255)
            share = min(max(float(confidence[first:last].mean()) / 255, 1e-3), 1 - 1e-3)
            score = self.config.confidence[0] + self.config.confidence[1] * math.log(share / (1 - share))
            chords.append(Chord(times[i], min(times[i + 1], duration), str(label), 1 / (1 + math.exp(-score))))
        return chords

    def fields(self, duration: float) -> dict[str, tuple[Chord, ...]]:
        """End the decoding: fields of a transcription."""
        return {"chords": tuple(self.finish(duration))}

    def _settle(self) -> None:
        """Write down what no later step can change: all before the step that all sequences come from."""
        came_from = self._came_from.array()
        alive = np.arange(len(self.labels))
        for i in range(len(came_from) - 1, 0, -1):
            alive = np.unique(came_from[i][alive])
            if len(alive) == 1:
                self._write_down(i - 1, int(alive[0]))
                return

    def _write_down(self, last: int, label: int) -> None:
        """Trace the open steps back from one whose label is known, and close them."""
        came_from, heard = self._came_from.array(), self._heard.array()
        path = np.zeros(last + 1, np.uint8)
        path[last] = label
        for i in range(last, 0, -1):
            path[i - 1] = came_from[i, path[i]]
        self._path.add(path[:, None])
        self._confidence.add(heard[np.arange(last + 1), path][:, None])
        self._came_from, self._heard = GrowingArray(), GrowingArray()
        self._came_from.add(came_from[last + 1 :])
        self._heard.add(heard[last + 1 :])

    def _single(self, heard: np.ndarray) -> int:
        """Choose one chord for all steps: the one heard most; none only where nothing else is heard."""
        if (heard[:, -1] > 127).all():
            return len(self.labels) - 1
        return int(np.argmax(heard[:, :-1].sum(0, dtype=np.int64)))

    def _with_bass(self, label: Label, bass: np.ndarray) -> Label:
        if self.config.vocabulary != "full" or label.root is None:
            return label
        lowest = int(np.argmax(bass))
        interval = (lowest - label.root) % 12
        return replace(label, bass=interval) if bass[lowest] >= self.config.bass_threshold else label


def _to_bytes(probabilities: np.ndarray) -> np.ndarray:
    """Keep probabilities in 255ths: hours of them are held until the end of a recording."""
    rounded: np.ndarray = np.rint(255 * probabilities).astype(np.uint8)
    return rounded


def likeliest(activations: Sequence[ChordActivations], labels: Sequence[Label] = (), vocabulary: str = "full") -> Label:
    """Name the one chord of a clip: what is heard most in all its steps; ``N`` where no chord is heard at all.

    Where ``labels`` are given, it is one of these; else one of the vocabulary.
    """
    heard = np.concatenate([np.zeros((0, N_CLASSES), np.float32), *(block.chord for block in activations)])
    if labels:
        numbers = [class_of(label) for label in labels]
        known = [(label, number) for label, number in zip(labels, numbers, strict=True) if number is not None]
        # Silence before and after says nothing about which it is.
        total = (heard * (1 - heard[:, NONE:])).sum(0)
        return max(known, key=lambda pair: float(total[pair[1]]))[0]
    if (heard[:, NONE] > 0.5).all():
        return NO_CHORD
    return _named(vocabulary)[0][int(np.argmax(_called(heard, vocabulary)[:, :-1].sum(0)))]


def at(chords: Sequence[Chord], time: float) -> Chord | None:
    """Find the chord that sounds at a time; None before the first and after the last."""
    return next((chord for chord in chords if chord.onset <= time < chord.offset), None)
