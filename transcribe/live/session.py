"""A take: sound from a source, through the engine, to a MIDI port, a screen and whoever watches."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from transcribe.events import Pedal, Transcription
from transcribe.live.engine import Engine
from transcribe.live.ports import MidiOut
from transcribe.live.sources import BLOCK, Source
from transcribe.live.tracker import Event

# (what was heard, seconds from the first sample's sounding to now)
Watch = Callable[[Event, float], None]
# A gap of so many seconds is worth a word.
_WORTH_A_WORD = 0.2
_LEVEL_FALL = 20.0  # dB a second
_FLOOR = -90.0


@dataclass
class Health:
    """How the take goes: seconds ``lost`` in ``n_gaps`` gaps, samples at full scale, the level now in dBFS."""

    lost: float = 0.0
    n_gaps: int = 0
    n_clipped: int = 0
    level: float = _FLOOR
    peak: float = _FLOOR
    words: list[str] = field(default_factory=list)


class Session:
    """Runs a take until its source ends or ``stop`` is set.

    Parameters
    ----------
    source
        Where the sound comes from.
    engine
        What hears it.
    midi
        Where notes are sent, if anywhere.
    watch
        Told of every event when it leaves.
    record
        Given the samples as they are heard, gaps filled.
    say
        Told in a line what is worth a word.
    draw
        Called about ten times a second while nothing waits.
    seconds
        How much is heard at the most.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine,
        midi: MidiOut | None = None,
        watch: Watch | None = None,
        record: Callable[[np.ndarray], None] | None = None,
        say: Callable[[str], None] | None = None,
        draw: Callable[[Session], None] | None = None,
        seconds: float = math.inf,
    ) -> None:
        self.source, self.engine, self.midi = source, engine, midi
        self.health = Health()
        self.stop = threading.Event()
        self.drawn = 0.0
        self._watch, self._record, self._say, self._draw = watch, record, say, draw
        self._seconds = seconds

    def run(self) -> None:
        """Listen to the end; whatever happens, no note is left hanging.

        Raises
        ------
        InputError
            If the sound breaks off with an error.
        """
        try:
            with self.source:
                try:
                    self._listen()
                finally:
                    self._send(self.engine.finish())
        finally:
            if self.midi is not None:
                self.midi.close()

    def _listen(self) -> None:
        while not self.stop.is_set() and self.engine.time < self._seconds:
            try:
                block = self.source.next(timeout=0.05)
            except EOFError:
                return
            if block is not None:
                if block.lost:
                    self._fill(block.lost)
                self._meter(block.peak, block.clipped, len(block.samples))
                self._hear(block.samples)
            if self._draw is not None and (now := time.monotonic()) - self.drawn > 0.1 and not self.source.waiting():
                self.drawn = now
                self._draw(self)

    def _hear(self, samples: np.ndarray) -> None:
        if self._record is not None:
            self._record(samples)
        self._send(self.engine.push(samples))

    def _send(self, events: Iterable[Event]) -> None:
        events = list(events)
        if self.midi is not None:
            self.midi.send(events)
        if self._watch is not None and events:
            now = time.monotonic() - self.source.began()
            for event in events:
                self._watch(event, now)

    def _fill(self, n_lost: int) -> None:
        """Put silence where samples were lost, so that time goes on as it should, and count it."""
        rate = self.engine.sample_rate
        seconds = n_lost / rate
        self.health.lost += seconds
        self.health.n_gaps += 1
        if seconds >= _WORTH_A_WORD:
            self._word(f"{seconds:.1f} s of sound were lost: the machine was busy elsewhere")
        step = round(BLOCK * rate)
        for first in range(0, n_lost, step):
            self._hear(np.zeros(min(step, n_lost - first), np.float32))

    def _meter(self, peak: float, clipped: int, n_samples: int) -> None:
        health = self.health
        decibels = 20 * math.log10(peak) if peak > 10 ** (_FLOOR / 20) else _FLOOR
        health.level = max(decibels, health.level - _LEVEL_FALL * n_samples / self.engine.sample_rate)
        health.peak = max(health.peak, decibels)
        if clipped and not health.n_clipped:
            self._word("too loud: samples reach full scale; turn the input down")
        health.n_clipped += clipped

    def _word(self, text: str) -> None:
        self.health.words.append(text)
        if self._say is not None:
            self._say(text)

    def remarks(self) -> list[str]:
        """Say what is wrong with the sound, a line each."""
        health, found = self.health, []
        if health.lost:
            found.append(f"{health.lost:.1f} s of sound were lost in {health.n_gaps} gaps; silence stands for them")
        if health.n_clipped:
            found.append(f"clipped: {health.n_clipped} samples are at full scale")
        return found

    def result(self, model: str) -> Transcription:
        """Make what was heard a transcription, before beats and keys are looked for."""
        score, warnings = self.engine.score, self.remarks()
        if not score.notes:
            warnings.append("no notes were heard")
        end = self.engine.time
        notes = (replace(note, offset=min(note.offset, end)) for note in score.sorted_notes() if note.onset < end)
        pedals = (Pedal(pedal.onset, min(pedal.offset, end)) for pedal in sorted(score.pedals) if pedal.onset < end)
        return Transcription(
            notes=tuple(notes),
            pedals=tuple(pedals),
            duration=end,
            tuning=self.engine.cents,
            models={"notes": model},
            settings={"latency": self.engine.latency},
            warnings=tuple(warnings),
        )
