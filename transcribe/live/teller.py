"""What is said to what is told: one latency tells notes early, the longest bears them out or takes them back.

Talk, steps and a chair have onsets too, which half a second of sound does not bear out; of a piano's nearly all are. So
while nothing has been borne out lately, only notes that are all but sure are told early; the others wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from transcribe.live.delays import LATENCIES
from transcribe.live.model import LiveModel
from transcribe.live.tracker import Event, Kind, Said, Score

# What is written waits for the longest latency, in milliseconds.
COMMITTED = max(LATENCIES)
# Notes that were told early are looked for, among those that the longest latency hears, so near, in seconds.
_SAME = 0.08
# Somebody plays who has played so many notes in so many seconds; before, a note is told early from this confidence on.
_PLAYED, _LATELY, _SURE = 3, 10.0, 0.97


class Teller:
    """Follows what a network says with one latency, and beside it with the longest.

    Parameters
    ----------
    model
        Whose trackers these are.
    latency
        Milliseconds.

    Attributes
    ----------
    score
        What will be written: as the longest latency hears it.
    sent
        The notes as they were told, those withdrawn among them.
    """

    def __init__(self, model: LiveModel, latency: int) -> None:
        self.score, self.sent = Score(), Score()
        self.n_withdrawn = 0
        self._hop = model.features.hop_length / model.features.sample_rate
        self._early = model.tracker(latency)
        self._late = model.tracker(COMMITTED) if latency < COMMITTED else self._early
        # Notes that the longest latency has not heard yet: told, and held back while they sound.
        self._open: list[Event] = []
        self._held: list[Event] = []
        # When the last of the notes began that it has heard.
        self._played: deque[float] = deque(maxlen=_PLAYED)

    def push(self, said: Said) -> list[Event]:
        """Take in what is said at the next frame; return what is told by it."""
        events = self._early.push(said)
        if self._late is self._early:
            self.score.add(events)
            self.sent.add(events)
            return events
        committed = self._late.push(said)
        self.score.add(committed)
        told = self._let_through(events)
        told += self._borne_out([event for event in committed if event.kind is Kind.NOTE_ON])
        return told + self._withdrawn()

    def finish(self, end: float) -> list[Event]:
        """End every note; ``end`` is where the sound does, in seconds."""
        events = self._early.finish()
        if self._late is self._early:
            self.sent.add(events)
            self.score.add(events)
        else:
            events = self._let_through(events)
            self.score.add(self._late.finish())
        self.score.close(end)
        self.sent.close(end)
        return events

    def _let_through(self, events: Iterable[Event]) -> list[Event]:
        """Hold back what is doubtful, and the end of what was not told."""
        told = []
        for event in events:
            if event.kind is Kind.NOTE_ON and not self._believed(event):
                self._held.append(event)
                continue
            if event.kind is Kind.NOTE_OFF and event.pitch not in self.sent.sounding:
                self._held = [held for held in self._held if held.pitch != event.pitch]
                continue
            if event.kind is Kind.NOTE_ON:
                self._open.append(event)
            self.sent.add([event])
            told.append(event)
        return told

    def _believed(self, event: Event) -> bool:
        playing = len(self._played) == _PLAYED and event.time - self._played[0] <= _LATELY
        return playing or event.confidence >= _SURE

    def _borne_out(self, committed: Iterable[Event]) -> list[Event]:
        """Tell what was held back, turns out to have been played and sounds still."""
        events = []
        for heard in committed:
            self._played.append(heard.time)
            self._open = [told for told in self._open if not _same(told, heard)]
            events += [held for held in self._held if _same(held, heard)]
            self._held = [held for held in self._held if not _same(held, heard)]
        self.sent.add(events)
        return events

    def _withdrawn(self) -> list[Event]:
        """End what was told and turns out not to have been played."""
        # The latest at which the longest latency may still tell of a note.
        heard = self._late.time - _SAME - 2 * self._hop
        self._held = [held for held in self._held if held.time >= heard]
        gone = [told for told in self._open if told.time < heard]
        if not gone:
            return []
        self._open = [told for told in self._open if told.time >= heard]
        events: list[Event] = []
        for told in gone:
            now = self.sent.sounding.get(told.pitch)
            self.n_withdrawn += 1
            if now is not None and now.time == told.time:
                events += self._early.release(told.pitch)
        self.sent.add(events)
        return events


def _same(told: Event, heard: Event) -> bool:
    return told.pitch == heard.pitch and abs(told.time - heard.time) <= _SAME
