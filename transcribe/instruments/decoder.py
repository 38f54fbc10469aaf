"""Instrument scores over time → who plays when; pure.

Two vocabularies: twelve families (NSynth's eleven, and drums) and 25 instruments (IRMAS' eleven among them). What
belongs to no instrument of the list (a viola, a banjo) still belongs to a family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from transcribe.engine.features import FrameGrid
from transcribe.engine.growing import GrowingArray
from transcribe.events import Tag, Transcription

FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth lead", "vocal", "drums",
)  # fmt: skip
# Instrument: its family. The double bass is bowed or plucked, a bass only plucked.
INSTRUMENTS = {
    "cello": "string", "clarinet": "reed", "flute": "flute", "acoustic guitar": "guitar", "electric guitar": "guitar",
    "organ": "organ", "piano": "keyboard", "saxophone": "reed", "trumpet": "brass", "violin": "string",
    "voice": "vocal", "bass": "bass", "double bass": "string", "trombone": "brass", "horn": "brass", "oboe": "reed",
    "bassoon": "reed", "harp": "string", "mallets": "mallet", "synth": "synth lead", "string section": "string",
    "drums": "drums", "bass drum": "drums", "snare drum": "drums", "hi-hat": "drums",
}  # fmt: skip
VOCABULARIES = {"families": FAMILIES, "instruments": tuple(INSTRUMENTS)}
UNKNOWN = "unknown"
_OF_A_PIANO = "keyboard"
# What NSynth's families are called where notes have them.
_AS_OF_NOTES = {"keyboard": "piano", "string": "strings", "synth lead": "synth", "vocal": "voice"}
# A family with so many of the notes is named, whether it is heard or not; and one that is heard, with so many.
_NAMED_FROM, _AGREED_FROM = 0.05, 0.01
_HARDLY = 0.01
# Seconds between notes in which whoever plays them goes on.
_PAUSE = 1.5


@dataclass(frozen=True)
class TagActivations:
    """Probabilities of consecutive steps of ``stride`` frames.

    ``families`` float32 (n_steps, 12), ``instruments`` (n_steps, 25), each 0-1 and independent of the others;
    ``grid`` is the time base of the frames. ``playing`` (n_steps, 12): how surely notes of every family, or strokes,
    sound, 0-1; None where nobody listens for notes.
    """

    families: np.ndarray
    instruments: np.ndarray
    grid: FrameGrid
    stride: int
    playing: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.families)

    @property
    def seconds_a_step(self) -> float:
        """How long a step lasts."""
        return self.stride / self.grid.frames_per_second

    @property
    def seconds(self) -> float:
        """How much of the recording the steps cover."""
        return len(self) * self.seconds_a_step

    def scores(self, vocabulary: str) -> np.ndarray:
        """Choose the probabilities of a vocabulary."""
        return self.families if vocabulary == "families" else self.instruments


@dataclass(frozen=True)
class TagDecodingConfig:
    """How scores become spans.

    ``vocabulary``; ``threshold``: who plays is at least so probable; ``smoothing``: width in seconds of the centred
    moving average that is applied to the scores first; ``min_length`` in seconds: shorter spans are left out, shorter
    pauses are closed.
    """

    vocabulary: str = "instruments"
    threshold: float = 0.5
    smoothing: float = 1.0
    min_length: float = 0.5

    def __post_init__(self) -> None:
        """Raise a ValueError where a setting is out of its range."""
        if self.vocabulary not in VOCABULARIES:
            raise ValueError(f"there is no vocabulary {self.vocabulary!r}; use one of {', '.join(VOCABULARIES)}")
        if not 0 < self.threshold < 1:
            raise ValueError("threshold must lie between 0 and 1")
        if not (0 <= self.smoothing <= 60 and 0 <= self.min_length <= 60):
            raise ValueError("smoothing and min_length must lie between 0 and 60 s")


class TagDecoder:
    """Collect activations block by block, then tell who plays when.

    ``tells_pianos``: whether it says how much else than a keyboard there is, by which models are chosen.
    """

    def __init__(self, config: TagDecodingConfig, tells_pianos: bool = True) -> None:
        self.config, self._tells_pianos = config, tells_pianos
        self._scores, self._families, self._playing = GrowingArray(), GrowingArray(), GrowingArray()
        self._seconds_a_step = 1.0

    def push(self, block: TagActivations) -> None:
        """Take in a block of consecutive steps."""
        self._scores.add(block.scores(self.config.vocabulary))
        self._families.add(block.families)
        if block.playing is not None:
            self._playing.add(block.playing)
        self._seconds_a_step = block.seconds_a_step

    def finish(self, duration: float) -> list[Tag]:
        """Tell who plays when, in the order of onsets; a span ends no later than ``duration`` in seconds.

        A tag's probability is the mean over its span. Nothing where nothing is sure. Where notes are heard too, they
        say when a family plays, and so its likeliest instrument if that is sure of somewhere.
        """
        if not len(self._scores):
            return []
        step, config = self._seconds_a_step, self.config
        labels = VOCABULARIES[config.vocabulary]
        width = max(1, round(config.smoothing / step))
        smooth = np.stack([moving_average(scores, width) for scores in self._scores.array().T], axis=1)
        playing = self._players(smooth, labels)
        tags = []
        for j, label in enumerate(labels):
            active = smooth[:, j] >= config.threshold
            if label in playing:
                smooth[:, j] = np.maximum(smooth[:, j], playing[label])
                active |= playing[label] >= config.threshold
            for first, last in _spans(active, config.min_length / step):
                onset, offset = first * step, min(last * step, duration)
                if offset > onset:
                    sure = float(smooth[first:last, j].mean())
                    tags.append(Tag(onset, offset, label, min(1.0, sure)))
        return sorted(tags)

    def _players(self, smooth: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
        """Choose what is told by notes: of each label how surely it plays, (n_steps,), pauses closed."""
        playing = self._playing.array() if len(self._playing) else np.zeros((0, len(FAMILIES)))
        enough = playing.sum(0) >= _NAMED_FROM * playing.sum()
        found = {}
        for i in np.flatnonzero(enough & (playing.max(0, initial=0) >= self.config.threshold)):
            family = FAMILIES[i]
            own = [j for j, label in enumerate(labels) if INSTRUMENTS.get(label, label) == family]
            best = max(own, key=lambda j: float(smooth[:, j].sum()))
            if labels is FAMILIES or smooth[:, best].max() >= self.config.threshold:
                found[labels[best]] = _held(playing[:, i], self.config.threshold, round(_PAUSE / self._seconds_a_step))
        return found

    def fields(self, duration: float) -> dict[str, tuple[Tag, ...] | float | None]:
        """End the decoding, fields of a transcription: who plays, and how much else than a keyboard there is."""
        novelty = {"novelty": self.share_of_others(_OF_A_PIANO)} if self._tells_pianos else {}
        return {"instruments": tuple(self.finish(duration)), **novelty}

    def share_of_others(self, family: str) -> float | None:
        """Tell in which share of the sound another family than one is the likeliest.

        Every step weighs as much as something is heard in it. None where there are no steps, or hardly a sound.
        """
        families = self._families.array()
        if not len(families):
            return None
        weight = families.max(1, initial=0.0)
        if weight.mean() < _HARDLY:
            return None
        others = families.argmax(1) != FAMILIES.index(family)
        return float(weight[others].sum() / weight.sum())


def moving_average(scores: np.ndarray, n_steps: int) -> np.ndarray:
    """Average (n,) over a centred window of ``n_steps``; at the ends over what there is of it."""
    sums = np.cumsum(np.pad(scores.astype(np.float64), (1, 0)))
    places = np.arange(len(scores))
    low = np.maximum(places - (n_steps - 1) // 2, 0)
    high = np.minimum(places + n_steps // 2 + 1, len(scores))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def _spans(active: np.ndarray, min_steps: float) -> list[tuple[int, int]]:
    """Find runs of True as (first, after the last); short pauses are closed, then short runs left out.

    A run as long as everything there is stays, however short that is.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if runs and first - runs[-1][1] < min_steps:
            runs[-1] = (runs[-1][0], int(last))
        else:
            runs.append((int(first), int(last)))
    return [run for run in runs if run[1] - run[0] >= min(min_steps, len(active))]


def _held(scores: np.ndarray, threshold: float, n_steps: int) -> np.ndarray:
    """Bridge pauses of at most ``n_steps`` between steps that reach a threshold, as high as what is before them."""
    held, sure = scores.astype(np.float64), np.flatnonzero(scores >= threshold)
    for before, after in pairwise(sure.tolist()):
        if 1 < after - before <= n_steps:
            held[before + 1 : after] = np.maximum(held[before + 1 : after], held[before])
    return held


def likelihoods(blocks: Iterable[TagActivations], vocabulary: str) -> dict[str, float]:
    """Average every label's probability over a whole clip, weighted by how much sounds at all; empty for no steps."""
    scores = [block.scores(vocabulary) for block in blocks]
    if not scores or not sum(map(len, scores)):
        return {}
    joined = np.concatenate(scores)
    weight = joined.max(axis=1) + 1e-6
    means = (joined * weight[:, None]).sum(0) / weight.sum()
    return dict(zip(VOCABULARIES[vocabulary], map(float, means), strict=True))


def of_a_piano(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    """Keep what may be a piano: where one plays alone, its hammers and its room are often heard as others."""
    return tuple(tag for tag in tags if INSTRUMENTS.get(tag.label, tag.label) == _OF_A_PIANO)


def who_plays(t: Transcription) -> list[str]:
    """Say who plays, by the notes and by what is heard of instruments together; the most first.

    A piano alone is said to be one. Where notes have instruments, a family is named that has notes and is heard too,
    with what is heard of its instruments; one that isn't heard plays perhaps if it has enough of the notes, and
    surely where nobody listened for instruments. Where notes have none, it is what is heard.
    """
    found = summed_up(t.instruments, t.duration)
    heard = {label: f"{label} {sure:.0%}" for label, sure, _ in found}
    if t.piano_alone and (heard or t.tells_instruments):
        return [f"solo {heard.get('piano', 'piano')}"]
    if not t.tells_instruments:
        return list(heard.values())
    listened = bool(heard) or "instruments" in t.models
    counts = Counter(note.instrument or "piano" for note in t.notes)
    counts["drums"] = len(t.drums)
    agreed, doubtful = [], []
    for family, count in (+counts).most_common():  # without who plays nothing
        known = [heard[label] for label in heard if _family(label) == family]
        words = f"{count} {'stroke' if family == 'drums' else 'note'}{'' if count == 1 else 's'}"
        if known and count >= _AGREED_FROM * counts.total():
            more = f" ({', '.join(known)})" if known != [heard.get(family)] else ""
            agreed.append(f"{family}{more}: {words}")
        elif count >= _NAMED_FROM * counts.total():
            doubtful.append(f"{'perhaps ' if listened else ''}{family}: {words}")
    return agreed + doubtful


def _family(label: str) -> str:
    """Name the family of notes that an instrument, or a family as NSynth calls it, belongs to."""
    family = INSTRUMENTS.get(label, label)
    return _AS_OF_NOTES.get(family, family)


def summed_up(tags: Sequence[Tag], duration: float) -> list[tuple[str, float, float]]:
    """Label, greatest probability, and the share of the time that it plays; the longest first."""
    found: dict[str, tuple[float, float]] = {}
    for tag in tags:
        sure, seconds = found.get(tag.label, (0.0, 0.0))
        found[tag.label] = max(sure, tag.probability), seconds + tag.offset - tag.onset
    rows = [(label, sure, seconds / max(duration, 1e-9)) for label, (sure, seconds) in found.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[1], row[0]))
