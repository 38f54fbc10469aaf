"""Activations → beats; pure, block by block.

Beats lie where the beat activation has its peaks. A search over pairs of neighbouring beats (a semi-Markov model:
every state knows the last two beats, and so the tempo) weighs how probable each beat is, how well its distance from the
one before fits the tempo that the network hears, and how suddenly that distance changes. Beats without a peak of their
own, in long notes and rests, are put between two others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from transcribe.beats.activations import METRES, PERIODS, BeatActivations
from transcribe.beats.features import FRAME_RATE

# A peak rises above so many frames on either side.
_REACH = 2
# Tempo and metre change slowly: of so many frames one is kept.
_EVERY = 5
# A state counts so many beats at the most from one peak to the next; they last so many seconds at the most.
_MOST_BEATS, _LONGEST = 4, 5.0
_N_BEATS = np.arange(1, _MOST_BEATS + 1)
# Only a gap of so many seconds can be a pause that no tempo explains.
_PAUSE = 4.0
# A node keeps its best states only.
_BEAM = 16
# No beat is shorter, and none longer: room beyond the tempi that the network tells, in seconds.
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.9 * PERIODS[-1], 1.1 * PERIODS[0]
_LOG_PERIODS = np.log(PERIODS)
_COMFORT = -np.maximum(0.0, np.maximum(np.log2(66 * PERIODS / 60), np.log2(60 / PERIODS / 160))).astype(np.float32)
_STEP = float(_LOG_PERIODS[0] - _LOG_PERIODS[1])
# Probabilities lie between this and 1 minus this.
_LEAST = 1e-3


@dataclass(frozen=True)
class BeatDecodingConfig:
    """Weights of the search, in natural logarithms of probabilities.

    They were chosen on performances of ASAP, MAPS' software pianos and POP909 that training never had, and on made-up
    pieces; ``comfort`` by the latter, since simple steady music is to be right first of all.

    Attributes
    ----------
    threshold
        A beat at this activation counts as much as none.
    lowest_peak
        Peaks of the beat activation that are lower aren't looked at.
    floor
        What a beat without a peak costs at the most.
    skip
        What it costs besides.
    tempo, most_tempo
        What the logarithm of the tempo's probability counts, for a second of music; what a beat of an improbable tempo
        costs at the most, such as one that is held.
    whole
        What the tempo's probability in the whole piece counts, beside that of a place.
    comfort
        What it counts by how many octaves beats are slower than 66 a minute, or faster than 160.
    change, most_change
        What it costs that the next beat is longer by a factor of e, or shorter; and at the most.
    pause
        What a gap costs that no tempo explains.
    edge
        What a second of music costs before the first beat, or after the last one.
    """

    threshold: float = 0.3
    lowest_peak: float = 0.15
    floor: float = -5.0
    skip: float = 2.0
    tempo: float = 0.3
    whole: float = 1.2
    most_tempo: float = 2.0
    comfort: float = 10.0
    change: float = 4.0
    most_change: float = 10.0
    pause: float = 6.0
    edge: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1 or not 0 < self.lowest_peak < 1:
            raise ValueError("threshold and lowest_peak lie between 0 and 1")
        if min(-self.floor, self.skip, self.tempo, self.change, self.most_change, self.pause, self.edge) < 0:
            raise ValueError("weights are at least 0, the floor at most")


@dataclass(frozen=True)
class FoundBeats:
    """Beats, and what the network says at each of them.

    Attributes
    ----------
    times
        Seconds, (n,).
    beat, downbeat, triple
        Activations there, (n,).
    metre
        Activations of the beats in a bar, (n, len(METRES)).
    """

    times: np.ndarray
    beat: np.ndarray
    downbeat: np.ndarray
    triple: np.ndarray
    metre: np.ndarray

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Heard:
    """The activations of a whole piece, thinned.

    Attributes
    ----------
    beat, downbeat, triple
        Of n frames, (n,).
    tempo, metre
        Of one of ``_EVERY`` frames.
    """

    beat: np.ndarray
    downbeat: np.ndarray
    triple: np.ndarray
    tempo: np.ndarray
    metre: np.ndarray

    def at(self, times: np.ndarray) -> FoundBeats:
        """Look up what is heard at beats: the highest within two frames, for what is a peak."""
        if not len(times) or not len(self.beat):
            none = np.zeros(len(times))
            return FoundBeats(times, none, none, none, np.ones((len(times), len(METRES))))
        frames = np.clip(np.round(times * FRAME_RATE).astype(int), 0, len(self.beat) - 1)
        around = np.clip(frames[:, None] + np.arange(-_REACH, _REACH + 1), 0, len(self.beat) - 1)
        slow = np.minimum(frames // _EVERY, len(self.metre) - 1)
        return FoundBeats(
            times,
            self.beat[around].max(1),
            self.downbeat[around].max(1),
            self.triple[frames],
            self.metre[slow].astype(np.float32),
        )


class BeatDecoder:
    """Finds the beats of activations that come block by block; how they are cut changes nothing.

    It keeps some 2 kB for a second of music; to find the beats takes as much again for each of its onsets.
    """

    def __init__(self, config: BeatDecodingConfig = BeatDecodingConfig()) -> None:
        self.config = config
        self._n_frames = 0
        self._blocks: list[Heard] = []

    def push(self, block: BeatActivations) -> None:
        """Take the activations of the frames that follow."""
        thinned = slice(-self._n_frames % _EVERY, None, _EVERY)
        self._n_frames += len(block)
        tempo, metre = (array[thinned].astype(np.float16) for array in (block.tempo, block.metre))
        self._blocks.append(Heard(block.beat, block.downbeat, block.triple, tempo, metre))

    def heard(self) -> Heard:
        """Return what was pushed."""
        if not self._blocks:
            none = np.zeros(0)
            return Heard(none, none, none, np.zeros((0, len(PERIODS))), np.zeros((0, len(METRES))))
        names = ("beat", "downbeat", "triple", "tempo", "metre")
        whole = Heard(*(np.concatenate([getattr(block, name) for block in self._blocks]) for name in names))
        self._blocks = [whole]
        return whole

    def finish(self) -> FoundBeats:
        """Find the beats of all that was pushed."""
        return found_in(self.heard(), self.config)


def found_in(heard: Heard, config: BeatDecodingConfig = BeatDecodingConfig()) -> FoundBeats:
    """Find the beats of what was heard."""
    return heard.at(Search(heard, config).beats() if len(heard.beat) else np.zeros(0))


def find_beats(activations: BeatActivations, config: BeatDecodingConfig = BeatDecodingConfig()) -> FoundBeats:
    """Find the beats of activations that are all there; see :class:`BeatDecoder`."""
    return find_beats_of_blocks([activations], config)


def find_beats_of_blocks(
    blocks: Iterable[BeatActivations],
    config: BeatDecodingConfig = BeatDecodingConfig(),
) -> FoundBeats:
    """Find the beats of activations that come in blocks; see :class:`BeatDecoder`."""
    decoder = BeatDecoder(config)
    for block in blocks:
        decoder.push(block)
    return decoder.finish()


def logit(probability: np.ndarray) -> np.ndarray:
    """Give the logarithm of the odds, for probabilities that are cut to 0.001 … 0.999."""
    clipped = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(clipped / (1 - clipped)))


class Search:
    """The search for the best path; ``kept`` holds one of ``_EVERY`` frames of tempo and metre.

    A state is a peak (a node), the number of beats since the node before, and that node. A node keeps its best states:
    ``values``, logarithms of the beats' lengths (``log_periods``, NaN for none yet), and ``before``, which leads back:
    the node, the number of its state, and the beats since then; node -1 is before the beginning. ``onward`` is what a
    node's best state is worth to a beat of each of the ``PERIODS`` that follows, ``best`` is that state's number.
    """

    def __init__(self, kept: Heard, config: BeatDecodingConfig) -> None:
        self.config = config
        self.times, peaks = _peaks(kept.beat, config.lowest_peak)
        offset = float(logit(np.array(config.threshold)))
        self.on_peak = logit(kept.beat[peaks]) - offset
        # A beat that misses a peak by a frame is still on it.
        near = np.lib.stride_tricks.sliding_window_view(np.pad(kept.beat, 1), 3).max(1)
        self.off_peak = np.maximum(logit(near) - offset, config.floor) - config.skip
        # Of one of _EVERY frames: what beats of each period are worth there, for a second of music.
        self.tempo = np.maximum(kept.tempo, np.float32(_LEAST), dtype=np.float32)
        np.log(self.tempo, out=self.tempo)
        self.tempo += np.float32(config.whole) * _usual(kept.tempo) + np.float32(config.comfort) * _COMFORT
        self.tempo -= self.tempo.max(1, keepdims=True)
        self.tempo *= np.float32(config.tempo)
        n_nodes = len(peaks)
        self.values = np.full((n_nodes, _BEAM), -np.inf)
        self.log_periods = np.full((n_nodes, _BEAM), np.nan)
        self.before = np.zeros((n_nodes, _BEAM, 3), np.int32)
        self.onward = np.zeros((n_nodes, len(PERIODS)), np.float32)
        self.best = np.zeros((n_nodes, len(PERIODS)), np.int8)

    def beats(self) -> np.ndarray:
        """Find the times of the beats, (n,), in seconds."""
        if not len(self.times):
            return np.zeros(0)
        firsts = np.searchsorted(self.times, self.times - _LONGEST)
        for node, first in enumerate(firsts.tolist()):
            states = [self._begun(node)]
            if first < node:
                states.append(self._after(node, first))
            if node and self.times[node] - self.times[node - 1] > _PAUSE:
                states.append(self._after_pause(node))
            self._keep(node, *(np.concatenate(parts) for parts in zip(*states, strict=True)))
        return self._path()

    def _begun(self, node: int) -> tuple[np.ndarray, ...]:
        """Make the state of a first beat: its value, its period, what is before."""
        value = self.on_peak[node] - self.cost_of_edge(self.times[node] - self.times[0])
        return np.array([value]), np.array([np.nan]), np.array([[-1, 0, 1]])

    def _after_pause(self, node: int) -> tuple[np.ndarray, ...]:
        """Make states after a gap that no tempo explains: as many beats as there were before it."""
        periods = np.exp(self.log_periods[node - 1])
        gap = self.times[node] - self.times[node - 1]
        n_beats = np.round(gap / np.where(np.isnan(periods), gap, periods))
        n_beats = np.maximum(n_beats, max(1.0, np.ceil(gap / _LONGEST)))
        values = self.values[node - 1] + self.on_peak[node] - self.config.pause
        values = np.where(gap / n_beats < _SHORTEST_PERIOD, -np.inf, values)
        before = np.stack([np.full(_BEAM, node - 1), np.arange(_BEAM), n_beats], 1)
        return values, self.log_periods[node - 1], before

    def _after(self, node: int, first: int) -> tuple[np.ndarray, ...]:
        """Make states after each of the nodes from ``first`` on."""
        gaps = self.times[node] - self.times[first:node]
        periods = gaps / _N_BEATS[:, None]  # (beats, nodes)
        more, earlier = np.nonzero((periods >= _SHORTEST_PERIOD) & (periods <= _LONGEST_PERIOD))
        lengths = np.log(periods[more, earlier])
        bins = np.clip(np.round((_LOG_PERIODS[0] - lengths) / _STEP).astype(int), 0, len(PERIODS) - 1)
        nodes = first + earlier
        values = self.onward[nodes, bins] + self.on_peak[node]
        worth = gaps[earlier] * self._at_tempo(node, gaps[earlier], bins)
        values += np.maximum(worth, -self.config.most_tempo * (more + 1))
        for count in range(2, _MOST_BEATS + 1):
            rows = slice(*np.searchsorted(more, [count - 1, count]))
            parts = gaps[earlier[rows], None] * (np.arange(1, count) / count)
            frames = ((self.times[node] - parts) * FRAME_RATE + 0.5).astype(int)
            values[rows] += self.off_peak[frames].sum(1)
        return values, lengths, np.stack([nodes, self.best[nodes, bins], more + 1], 1)

    def _at_tempo(self, node: int, gaps: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """Say what tempi are worth before a node, a second: at a quarter, a half and three quarters of each gap."""
        times = self.times[node] - gaps * np.array([[0.25], [0.5], [0.75]])
        frames = np.minimum((times * (FRAME_RATE / _EVERY)).astype(int), len(self.tempo) - 1)
        return np.asarray(self.tempo[frames, bins].mean(0))

    def _keep(self, node: int, values: np.ndarray, log_periods: np.ndarray, before: np.ndarray) -> None:
        """Keep a node's best states, and see what they are worth to what follows."""
        kept = np.argsort(-values, kind="stable")[:_BEAM]
        n_kept = len(kept)
        self.values[node, :n_kept] = values[kept]
        self.log_periods[node, :n_kept] = log_periods[kept]
        self.before[node, :n_kept] = before[kept]
        changes = self.cost_of_change(np.abs(log_periods[kept][:, None] - _LOG_PERIODS))
        # The first beat of all, whose length is NaN, costs the most whatever follows: as every path has one.
        onward = values[kept][:, None] - np.fmin(changes, self.config.most_change)
        self.best[node] = onward.argmax(0)
        self.onward[node] = onward.max(0)

    def cost_of_change(self, change: np.ndarray) -> np.ndarray:
        """Say what it costs that beats get longer, or shorter, in natural logarithms."""
        return self.config.change * change

    def cost_of_edge(self, seconds: np.ndarray) -> np.ndarray:
        """Say what music costs before the first beat, or after the last one."""
        return self.config.edge * seconds

    def _path(self) -> np.ndarray:
        """Go back from the best state at the end, and put beats between the nodes of the path."""
        left = self.cost_of_edge(self.times[-1] - self.times)
        node, state = int(np.argmax(self.values[:, 0] - left)), 0
        found: list[float] = []
        while node >= 0:
            earlier, state_before, n_beats = self.before[node, state].tolist()
            if earlier >= 0:
                found += np.linspace(self.times[node], self.times[earlier], n_beats + 1)[:-1].tolist()
            else:
                found.append(float(self.times[node]))
            node, state = earlier, state_before
        return np.array(found[::-1])


def _usual(tempo: np.ndarray) -> np.ndarray:
    """Say how usual each tempo is in the whole piece, (N_TEMPI,): 0 for the most usual, logarithms below."""
    near = np.exp(-0.5 * (np.arange(-6, 7) / 2) ** 2)
    share = np.convolve(tempo.mean(0, dtype=float), near / near.sum(), "same")
    return np.asarray(np.log(share / share.max() + 1e-2), np.float32)


def _peaks(beat: np.ndarray, lowest: float) -> tuple[np.ndarray, np.ndarray]:
    """Find the peaks: their times in seconds, between the frames, and their frames."""
    padded = np.pad(beat.astype(float), _REACH)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1)
    # Of two frames that are equal the first is the peak.
    higher = (beat > around[:, :_REACH].max(1)) & (beat >= around[:, _REACH + 1 :].max(1))
    frames = np.flatnonzero(higher & (beat >= lowest))
    before, at, after = (padded[frames + _REACH + k] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return np.maximum(frames + np.clip(shift, -0.5, 0.5), 0) / FRAME_RATE, frames
