"""Standard MIDI files as others write them, read into notes, pedal and tempo in seconds.

The rules are those of the Standard MIDI File specification 1.1 (MIDI Association, RP-001). Where files break them, or
leave something open, they are read as the players read them that people know:

- Tempo events count in whatever track they stand; format 0 and 1 are one piece, the sequences of format 2 follow each
  other. In a file with SMPTE time a tick is a part of a frame, and tempo means nothing.
- A note-on of velocity 0 is a note-off. Of overlapping notes of one pitch the first to begin is the first to end, as in
  MuseScore's import. Where note-offs are missing, a note ends at the next note-on or note-off of its pitch, as in
  FluidSynth; the last one ends with its track.
- "All notes off" and "all sound off" end notes, "reset all controllers" lifts the pedal. The pedal (CC64 of 64 and
  more) belongs to its channel, in whatever track it stands.
- A note's instrument is the program of its track's channel; channel 10 plays drums.
- What has no meaning is passed over: SysEx of any bytes, chunks of other kinds, key signatures of more than seven
  sharps, tempos of 0, what follows the last track.

It is our own since none of the libraries tried reads all of these: mido 1.3 refuses SysEx bytes and key signatures that
are out of range, pretty_midi 0.2 takes tempo from the first track only and allocates an entry for every tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from transcribe.errors import InputError
from transcribe.events import Drum, Note, Pedal
from transcribe.formats.parts import DRUM_CHANNEL, Programs, drums_of
from transcribe.formats.reading import MAX_EVENTS

# A note has two.
_MOST_EVENTS = 2 * MAX_EVENTS
# Nothing lasts longer than a month, in seconds.
_LONGEST = 31 * 24 * 3600.0
# Before the first tempo event: microseconds a quarter.
_TEMPO = 500_000
PEDAL_CONTROL = 64
PEDAL_DOWN = 64  # from this value on
_ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 120, 121, 123
# Bytes before the header that are looked through: of RMID, of a MacBinary file.
_HEADER_WITHIN = 1 << 16
# How many data bytes follow a system message, which has no place in a file.
_SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1}


@dataclass(frozen=True)
class Clock:
    """Ticks → seconds.

    Attributes
    ----------
    resolution
        Ticks a quarter; 0 where ticks are parts of SMPTE frames.
    changes
        Ticks from which a tempo is valid, (n,), beginning with 0.
    seconds_a_tick
        Of each of them.
    """

    resolution: int
    changes: np.ndarray
    seconds_a_tick: np.ndarray

    def seconds(self, ticks: Sequence[int] | np.ndarray) -> np.ndarray:
        """Convert ticks, (n,), to seconds."""
        ticks = np.asarray(ticks, np.int64)
        spans = np.diff(self.changes) * self.seconds_a_tick[:-1]
        begun = np.concatenate([[0.0], np.cumsum(spans)])
        i = np.searchsorted(self.changes, ticks, side="right") - 1
        return np.asarray(begun[i] + (ticks - self.changes[i]) * self.seconds_a_tick[i])


@dataclass(frozen=True)
class MidiFile:
    """What a MIDI file holds.

    Attributes
    ----------
    notes
        Of all channels but the drums', ordered by onset; none has an instrument where all are a piano's.
    drums
        The strokes on drums and cymbals, ordered by onset.
    pedals
        Spans in which the pedal of any channel is down, in order.
    pedal_moves
        Every event of the pedal of the one channel that has any: seconds and how far it is down, 0 to 127. Empty
        where several have.
    tells_pedal
        Whether there is any event of the pedal.
    texts
        Text events (of the type 1): seconds and text, in order.
    metres
        Tick, numerator and denominator, in order.
    keys
        Seconds, sharps (flats are negative) and whether it is minor, in order.
    clock
        Leads from ticks to seconds.
    last_onset
        Tick of the last note's beginning.
    duration
        Seconds to the end of the last note, or to the last other event of a channel or a text.
    warnings
        A line for everything that was left out.
    """

    notes: tuple[Note, ...]
    drums: tuple[Drum, ...]
    pedals: tuple[Pedal, ...]
    pedal_moves: list[tuple[float, int]]
    tells_pedal: bool
    texts: list[tuple[float, str]]
    metres: list[tuple[int, int, int]]
    keys: list[tuple[float, int, bool]]
    clock: Clock
    last_onset: int
    duration: float
    warnings: tuple[str, ...]


def read_midi(content: bytes) -> MidiFile:
    """Read a MIDI file, also within a RIFF container (RMID).

    Raises
    ------
    InputError
        If it is none, holds more than twice ``MAX_EVENTS`` events, or lasts longer than a month.
    """
    start = content.find(b"MThd", 0, _HEADER_WITHIN)
    if start < 0 or len(content) < start + 14:
        raise InputError("not a MIDI file: it has no header (MThd)")
    length = int.from_bytes(content[start + 4 : start + 8])
    form, n_tracks, division = (int.from_bytes(content[start + i : start + i + 2]) for i in (8, 10, 12))
    if form > 2 or not division or not 6 <= length <= _HEADER_WITHIN:
        raise InputError(f"not a MIDI file: its header says format {form}, {division} ticks a quarter, {length} bytes")
    events = _Events()
    damage: list[str] = []
    tracks = _tracks(content, start + 8 + length)
    if len(tracks) > n_tracks > 0:
        damage.append(f"holds {len(tracks)} tracks; the {n_tracks} that its header counts are read")
    elif len(tracks) < n_tracks:
        damage.append(f"breaks off: it holds {len(tracks)} of {n_tracks} tracks")
    for number, (first, end) in enumerate(tracks[: n_tracks or None], 1):
        if form == 2:
            events.begin_sequence()
        if not _Track(content, first, end, events).read():
            damage.append(f"track {number} is damaged; what precedes that is read")
    if form == 2 and n_tracks > 1:
        damage.append(f"holds {n_tracks} pieces (format 2); they are read one after the other")
    return events.finished(division, damage)


def _tracks(content: bytes, place: int) -> list[tuple[int, int]]:
    """Find where the content of the tracks begins and ends, passing over chunks of other kinds."""
    found = []
    while (kind := content[place : place + 4]) and len(content) >= place + 8:
        first = place + 8
        end = first + int.from_bytes(content[place + 4 : first])
        if kind == b"MThd":  # another file
            break
        if kind == b"MTrk":
            if end > len(content) or not (end == len(content) or content[end : end + 4].isalpha()):
                # A wrong length: the track lasts until the next one.
                following = content.find(b"MTrk", first)
                end = following if following >= 0 else len(content)
            found.append((first, end))
        elif not kind.isalpha() or end > len(content):  # rubbish
            end = content.find(b"MTrk", place)
            if end < 0:
                break
        place = end
    return found


@dataclass
class _Events:
    """What the tracks say, at ticks of the whole file."""

    tempi: list[tuple[int, int]] = field(default_factory=list)
    metres: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, bool]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    # Onset, offset, pitch, velocity, track, channel.
    notes: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)
    programs: Programs = field(default_factory=Programs)
    # Onset, key, velocity.
    strokes: list[tuple[int, int, int]] = field(default_factory=list)
    # By channel: tick, and how far the pedal is down.
    pedals: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    n_events: int = 0
    n_tracks: int = 0
    # Where the sequence that is read begins and ends, and where the last event of a channel or a text is.
    start: int = 0
    end: int = 0
    last: int = 0

    def begin_sequence(self) -> None:
        """Begin a piece of its own after what is there."""
        self.start = self.end
        self.tempi.append((self.start, _TEMPO))

    def finished(self, division: int, damage: list[str]) -> MidiFile:
        """Bring everything to seconds and in order."""
        clock = _clock(division, self.tempi)
        table = np.array(self.notes, np.int64).reshape(-1, 6)
        duration = float(clock.seconds([max(self.last, int(table[:, 1].max(initial=0)))])[0])
        if duration > _LONGEST:
            raise InputError("lasts longer than a month; no music does")
        onsets, offsets = clock.seconds(table[:, 0]), clock.seconds(table[:, 1])
        families = self.programs.families((onset, track, channel) for onset, *_, track, channel in self.notes)
        columns = (onsets.tolist(), table[:, 2].tolist(), offsets.tolist(), table[:, 3].tolist(), families)
        notes = tuple(
            sorted(
                Note(onset, pitch, offset, velocity, instrument=family)
                for onset, pitch, offset, velocity, family in zip(*columns, strict=True)
            )
        )
        stroke_times = clock.seconds([tick for tick, *_ in self.strokes]).tolist()
        drums, n_others = drums_of(
            (time, key, velocity) for time, (_, key, velocity) in zip(stroke_times, self.strokes, strict=True)
        )
        if n_others:
            damage.append("percussion that is no drum or cymbal of a kit (channel 10) is left out")
        times = clock.seconds([tick for tick, _ in self.texts]).tolist()
        key_times = clock.seconds([tick for tick, *_ in self.keys]).tolist()
        return MidiFile(
            notes,
            drums,
            _union([pedal for changes in self.pedals.values() for pedal in _spans(changes, clock, duration)]),
            _moves(self.pedals, clock),
            bool(self.pedals),
            sorted(zip(times, (text for _, text in self.texts), strict=True), key=lambda text: text[0]),
            sorted(self.metres),
            sorted((time, sharps, minor) for time, (_, sharps, minor) in zip(key_times, self.keys, strict=True)),
            clock,
            int(table[:, 0].max(initial=0)),
            duration,
            tuple(damage),
        )


def _clock(division: int, tempi: list[tuple[int, int]]) -> Clock:
    if division & 0x8000:  # frames a second, negative, and ticks a frame; 29 stands for 30 000 / 1001
        frames, parts = 256 - (division >> 8), max(1, division & 0xFF)
        rate = 30_000 / 1001 if frames == 29 else float(frames)
        return Clock(0, np.zeros(1, np.int64), np.array([1 / (rate * parts)]))
    # Of several at one tick the last is valid.
    valid = {0: _TEMPO, **dict(sorted(tempi, key=lambda tempo: tempo[0]))}
    ticks = np.array(list(valid), np.int64)
    return Clock(division, ticks, np.array(list(valid.values()), float) / 1e6 / division)


def _moves(channels: dict[int, list[tuple[int, int]]], clock: Clock) -> list[tuple[float, int]]:
    """Bring the events of the pedal to seconds; of several at one tick the last is valid."""
    if len(channels) != 1:
        return []
    (events,) = channels.values()
    valid = dict(sorted(events, key=lambda event: event[0]))
    return list(zip(clock.seconds(list(valid)).tolist(), valid.values(), strict=True))


def _spans(changes: list[tuple[int, int]], clock: Clock, end: float) -> list[Pedal]:
    """Turn a channel's events of the pedal into spans; one that is never lifted is down until the end."""
    changes.sort(key=lambda change: change[0])
    spans: list[Pedal] = []
    down: float | None = None
    for time, (_, value) in zip(clock.seconds([tick for tick, _ in changes]).tolist(), changes, strict=True):
        is_down = value >= PEDAL_DOWN
        if is_down and down is None:
            down = time
        elif not is_down and down is not None:
            if time > down:
                spans.append(Pedal(down, time))
            down = None
    if down is not None and end > down:
        spans.append(Pedal(down, end))
    return spans


def _union(pedals: list[Pedal]) -> tuple[Pedal, ...]:
    """Take together what several channels hold down: a piano has one pedal."""
    union: list[Pedal] = []
    for pedal in sorted(pedals):
        if union and pedal.onset < union[-1].offset:
            union[-1] = Pedal(union[-1].onset, max(union[-1].offset, pedal.offset))
        else:
            union.append(pedal)
    return tuple(union)


class _Track:
    """Reads the events of one track into :class:`_Events`."""

    def __init__(self, content: bytes, first: int, end: int, events: _Events) -> None:
        self._content, self._place, self._end = content, first, end
        self._events = events
        self._tick = events.start
        self._port = 0
        self._number_of_track = events.n_tracks
        events.n_tracks += 1
        # By channel and pitch: ticks and velocities of note-ons and (0) note-offs since no note of it sounded, and how
        # many notes of it sound.
        self._sounding: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._n_open: dict[tuple[int, int], int] = defaultdict(int)

    def read(self) -> bool:
        """Read to the end of the track; False where something makes no sense, which ends it too."""
        whole = True
        try:
            self._read()
        except ValueError:
            whole = False
        for key in list(self._sounding):
            self._release(key, self._tick)
        self._events.end = max(self._events.end, self._tick)
        return whole

    def _read(self) -> None:
        content, events = self._content, self._events
        running = 0
        while self._place < self._end:
            self._tick += self._number()
            status = self._byte()
            if status < 0x80:  # it is data of the status before, also after a meta event or SysEx, as players have it
                self._place -= 1
                status = running
            elif status < 0xF0:
                running = status
            if not status:
                raise ValueError("no status")
            events.n_events += 1
            if events.n_events > _MOST_EVENTS:
                raise InputError(f"holds more than {_MOST_EVENTS:,} events; cut it into parts")
            if status < 0xF0:
                self._channel_message(status)
            elif status in (0xF0, 0xF7, 0xFF):
                kind = self._byte() if status == 0xFF else 0
                length = self._number()
                data = content[self._place : min(self._place + length, self._end)]
                self._place += length
                if status == 0xFF and kind == 0x2F:
                    return
                if status == 0xFF:
                    self._meta(kind, data)
                if self._place > self._end:
                    raise ValueError("it breaks off")
            else:
                self._place += _SYSTEM.get(status, 0)

    def _byte(self) -> int:
        if self._place >= self._end:
            raise ValueError("it breaks off")
        self._place += 1
        return self._content[self._place - 1]

    def _number(self) -> int:
        """Read a number of variable length, of four bytes at the most."""
        value = 0
        for _ in range(4):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                return value
        raise ValueError("a number of more than four bytes")

    def _channel_message(self, status: int) -> None:
        kind, channel = status & 0xF0, status & 0x0F
        first = self._byte()
        second = self._byte() if kind not in (0xC0, 0xD0) else 0
        self._events.last = max(self._events.last, self._tick)
        if kind in (0x80, 0x90) and first < 128:
            self._note(channel, first, min(second, 127) if kind == 0x90 else 0)
        elif kind == 0xB0:
            self._control(channel, first, second)
        elif kind == 0xC0 and first < 128:
            self._events.programs.add(self._number_of_track, self._port << 4 | channel, self._tick, first)

    def _note(self, channel: int, pitch: int, velocity: int) -> None:
        if channel == DRUM_CHANNEL:
            if velocity:
                self._events.strokes.append((self._tick, pitch, velocity))
            return
        key = (channel, pitch)
        if velocity:
            self._sounding.setdefault(key, []).append((self._tick, velocity))
            self._n_open[key] += 1
        elif key in self._sounding:
            self._sounding[key].append((self._tick, 0))
            self._n_open[key] -= 1
            if not self._n_open[key]:
                self._end_in_turn(key)

    def _control(self, channel: int, number: int, value: int) -> None:
        if channel == DRUM_CHANNEL:
            return
        if number == PEDAL_CONTROL:
            self._events.pedals[self._port << 4 | channel].append((self._tick, value))
        elif number == _RESET_CONTROLLERS and self._port << 4 | channel in self._events.pedals:
            self._events.pedals[self._port << 4 | channel].append((self._tick, 0))
        elif number in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
            for key in [key for key in self._sounding if key[0] == channel]:
                self._release(key, self._tick)

    def _end_in_turn(self, key: tuple[int, int]) -> None:
        """Where every note-on of a pitch has its note-off: the first to begin is the first to end."""
        events = self._sounding.pop(key)
        ends = (tick for tick, velocity in events if not velocity)
        for (onset, velocity), offset in zip((event for event in events if event[1]), ends, strict=True):
            self._add(onset, offset, key, velocity)

    def _release(self, key: tuple[int, int], end: int) -> None:
        """Where note-offs are missing: a note ends at whatever comes next for its pitch, the last one at ``end``."""
        events = self._sounding.pop(key)
        self._n_open[key] = 0
        for (onset, velocity), (offset, _) in zip(events, [*events[1:], (end, 0)], strict=True):
            if velocity:
                self._add(onset, offset, key, velocity)

    def _add(self, onset: int, offset: int, key: tuple[int, int], velocity: int) -> None:
        channel, pitch = key
        row = (pitch, velocity, self._number_of_track, self._port << 4 | channel)
        self._events.notes.append((onset, max(offset, onset + 1), *row))  # a note of no ticks sounds for one

    def _meta(self, kind: int, data: bytes) -> None:
        events, tick = self._events, self._tick
        if kind == 0x51 and len(data) >= 3 and any(data[:3]):
            events.tempi.append((tick, int.from_bytes(data[:3])))
        elif kind == 0x58 and len(data) >= 2:
            events.metres.append((tick, data[0], 2 ** data[1]))
        elif kind == 0x59 and len(data) >= 2:
            sharps = int.from_bytes(data[:1], signed=True)
            if abs(sharps) <= 7 and data[1] <= 1:
                events.keys.append((tick, sharps, data[1] == 1))
        elif kind == 0x01:
            events.texts.append((tick, _text(data)))
            events.last = max(events.last, tick)
        elif kind == 0x21 and data:
            self._port = data[0]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
