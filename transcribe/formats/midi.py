"""Transcriptions as MIDI, and back.

MIDI keeps performed time. Where beats are known they are its quarters, through a map of the tempo that changes with
every beat; else there are 120 quarters a minute. A quarter has 960 ticks or more, or as many as fit: pretty_midi reads
no more than ten million ticks, which are of 4 ms in ten hours.
"""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from transcribe.events import Chord, Key, Note, Pedal, Transcription
from transcribe.formats.midi_reader import PEDAL_CONTROL, MidiFile, read_midi
from transcribe.score.beats import BeatGrid, Beats, is_grid
from transcribe.theory.chords import parse
from transcribe.theory.keys import key_of, signature

# Ticks a quarter, or more where quarters are long: a tick is a millisecond at the most. MIDI has so many at the most.
TICKS_PER_QUARTER, LONGEST_TICK, MOST_TICKS = 960, 1e-3, 32_767
# Where there are no beats, in seconds: 120 a minute.
QUARTER = 0.5
MAX_TICKS = 9_800_000
# Beats that are read: those of a day at 700 a minute.
MAX_BEATS = 1_000_000
# Coarser ticks than so many a quarter are worse than none of the beats'.
_FEWEST_TICKS = 24
MOST_SHARPS = 7
END_OF_CHORDS = "end of chords"
# What a metre may count.
_UNITS = (1, 2, 4, 8, 16, 32)
# So near, in beats, a note lies on one, or on a part of it.
_ON_BEAT = 0.01
# Block chords stand between these pitches, their bass an octave or so below.
_LOWEST_BLOCK, _LOWEST_BASS = 55, 36
# What happens at one tick happens in this order: what ends, the pedal, what begins.
_OFF, _PEDAL, _ON = range(3)
_STATUS = (0x80, 0xB0, 0x90)
_TEXT, _NAME, _END, _TEMPO, _METRE, _KEY = 0x01, 0x03, 0x2F, 0x51, 0x58, 0x59


def to_midi(transcription: Transcription) -> bytes:
    """One piano track with the notes, the pedal as CC64, and the chords as text events in Harte's syntax.

    The first track holds the tempo, the metre where there are downbeats, the key and the chords.
    """
    clock = _Clock(transcription)
    texts: list[tuple[float, str]] = []
    for chord, following in zip_longest(transcription.chords, transcription.chords[1:]):
        texts.append((chord.onset, chord.label))
        if following is None or following.onset > chord.offset + clock.tick:
            texts.append((chord.offset, END_OF_CHORDS))
    return _file(clock, "Piano", transcription.notes, transcription.pedals, texts, transcription.key)


def block_chords(transcription: Transcription) -> bytes:
    """Block chords: the bass in one octave, the other notes above it in another."""
    notes = [Note(chord.onset, pitch, chord.offset, 80) for chord in transcription.chords for pitch in block(chord)]
    return _file(_Clock(transcription), "Chords", notes)


def block(chord: Chord) -> list[int]:
    """Pitches of a block chord, the bass first; none for no chord."""
    label = parse(chord.label)
    if label.root is None:
        return []
    bass = _LOWEST_BASS + (label.root + label.bass - _LOWEST_BASS) % 12
    upper = sorted(_LOWEST_BLOCK + (label.root + i - _LOWEST_BLOCK) % 12 for i in label.intervals)
    return [bass, *upper]


class _Clock:
    """Seconds → ticks, and the tempo and the metre that lead from one to the other.

    Attributes
    ----------
    resolution
        Ticks a quarter.
    tick
        Seconds of the longest tick.
    tempi
        The tempo of every quarter: microseconds.
    metres
        Where the metre changes, and how many quarters a bar has from there on.
    """

    def __init__(self, t: Transcription) -> None:
        events: tuple[Note | Pedal | Chord, ...] = (*t.notes, *t.pedals, *t.chords)
        seconds, before = _quarters(t.beats, max((event.offset for event in events), default=0.0))
        finest = max(TICKS_PER_QUARTER, math.ceil(np.diff(seconds).max() / LONGEST_TICK))
        self.resolution = max(1, min(finest, MAX_TICKS // len(seconds), MOST_TICKS))
        # Quarters of whole microseconds: what is rounded off one is made up for by the next.
        self._microseconds = np.round(seconds * 1e6).astype(np.int64)
        self.tempi = np.diff(self._microseconds)
        self.tick = float(self.tempi.max()) / 1e6 / self.resolution
        self.metres = _metres(before + np.searchsorted(t.beats, np.array(t.downbeats) - 1e-6)) if before >= 0 else []

    def ticks(self, times: Iterable[float]) -> np.ndarray:
        """Convert seconds, (n,), to ticks."""
        microseconds = np.fromiter(times, float) * 1e6
        quarters = np.interp(microseconds, self._microseconds, np.arange(len(self._microseconds)))
        return np.asarray(np.round(quarters * self.resolution).astype(np.int64))


def _quarters(beats: Sequence[float], end: float) -> tuple[np.ndarray, int]:
    """Find the seconds of all quarters from 0 to beyond the end, and how many of them precede the beats.

    They are the beats, as far apart before and after them; where there are no beats (-1 precede them), of one length.
    """
    if not is_grid(beats) or max(end, beats[0]) / min(np.diff(beats)) > MAX_TICKS / _FEWEST_TICKS:
        return np.arange(int(end / QUARTER) + 2) * QUARTER, -1
    inner = np.array(beats)
    before = round(float(inner[0] / (inner[1] - inner[0])))
    if before == 0:  # too near the start for a quarter of its own
        inner[0] = 0.0
    last = float(inner[-1] - inner[-2])
    after = max(0, int((end - inner[-1]) / last) + 1)
    lead = np.linspace(0, inner[0], before, endpoint=False)
    return np.concatenate([lead, inner, inner[-1] + last * np.arange(1, after + 1)]), before


def _metres(downbeats: np.ndarray) -> list[tuple[int, int]]:
    """Say where the metre changes, from the quarters that begin bars; a pick-up is a bar of its own."""
    bars = np.diff(downbeats)
    if not len(bars) or bars.min() < 1 or bars.max() > 255:
        return []
    first = int(downbeats[0] % bars[0])
    found = [(0, first)] if first else []
    for start, length in zip([first, *downbeats[1:]], bars, strict=False):
        if not found or found[-1][1] != length or start == first:
            found.append((int(start), int(length)))
    return found


def _file(
    clock: _Clock,
    name: str,
    notes: Sequence[Note],
    pedals: Sequence[Pedal] = (),
    texts: Sequence[tuple[float, str]] = (),
    key: str | None = None,
) -> bytes:
    tempi = np.flatnonzero(np.diff(clock.tempi, prepend=0))
    first = [(int(q) * clock.resolution, _meta(_TEMPO, int(clock.tempi[q]).to_bytes(3))) for q in tempi]
    first += [(q * clock.resolution, _meta(_METRE, bytes([length, 2, 24, 8]))) for q, length in clock.metres]
    sharps, minor = signature(key) if key is not None else (MOST_SHARPS + 1, False)
    if abs(sharps) <= MOST_SHARPS:
        first.append((0, _meta(_KEY, struct.pack("bB", sharps, minor))))
    ticks = clock.ticks(time for time, _ in texts)
    first += [(int(tick), _meta(_TEXT, text.encode())) for tick, (_, text) in zip(ticks, texts, strict=True)]
    # In the order of their ticks; what the file says of itself before the words.
    conductor = _track(iter(sorted(first, key=lambda event: event[0])))
    piano = _track(_played(clock, name, notes, pedals))
    return b"MThd" + struct.pack(">IHHH", 6, 1, 2, clock.resolution) + conductor + piano


def _played(clock: _Clock, name: str, notes: Sequence[Note], pedals: Sequence[Pedal]) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a piano's track: tick and message."""
    yield 0, _meta(_NAME, name.encode())
    yield 0, bytes([0xC0, 0])
    onsets = clock.ticks(note.onset for note in notes)
    # A note of no ticks would be read back as a note without end.
    offsets = np.maximum(clock.ticks(note.offset for note in notes), onsets + 1)
    pitches, velocities = (np.array([getattr(n, what) for n in notes], np.uint8) for what in ("pitch", "velocity"))
    down, up = (clock.ticks(getattr(pedal, what) for pedal in pedals) for what in ("onset", "offset"))
    up = np.maximum(up, down + 1)  # as with notes
    table = np.concatenate(
        [
            _rows(offsets, _OFF, pitches, 0),
            _rows(up, _PEDAL, PEDAL_CONTROL, 0),
            _rows(down, _PEDAL, PEDAL_CONTROL, 127),
            _rows(onsets, _ON, pitches, np.maximum(velocities, 1)),  # at velocity 0 it would end
        ]
    )
    for i in np.lexsort((table[:, 1], table[:, 0])):
        tick, kind, *data = table[i].tolist()
        yield tick, bytes([_STATUS[kind], *data])


def _rows(ticks: np.ndarray, kind: int, first: Any, second: Any) -> np.ndarray:
    """Put events into rows: tick, kind and two bytes."""
    table = np.empty((len(ticks), 4), np.int64)
    table[:, 0], table[:, 1], table[:, 2], table[:, 3] = ticks, kind, first, second
    return table


def _track(events: Iterator[tuple[int, bytes]]) -> bytes:
    """Encode a track of events, ordered by their ticks."""
    content = bytearray()
    now = 0
    for tick, message in events:
        content += _length(tick - now) + message
        now = tick
    content += _length(0) + _meta(_END, b"")
    return b"MTrk" + struct.pack(">I", len(content)) + bytes(content)


def _meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _length(len(content)) + content


def _length(value: int) -> bytes:
    """Encode a number of variable length: seven bits a byte, all but the last with the eighth set."""
    encoded = [value & 0x7F]
    while value := value >> 7:
        encoded.append(value & 0x7F | 0x80)
    return bytes(reversed(encoded))


def from_midi(content: bytes) -> Transcription:
    """Read the notes of all pitched channels, the sustain pedal, the key, and text events that are chords.

    Beats are those of a file whose tempo changes, or whose notes lie on its beats; in others they say nothing. Nor does
    C major, which programs write that know of no key.

    Raises
    ------
    InputError
        If it isn't a MIDI file, or :func:`transcribe.formats.midi_reader.read_midi` refuses it.
    """
    midi = read_midi(content)
    chords = _chords(midi.texts)
    duration = max([midi.duration, *(chord.offset for chord in chords)])
    found = _beats(midi)
    keys = _keys(midi, duration)
    return Transcription(
        midi.notes,
        midi.pedals,
        found.beats,
        found.downbeats,
        chords,
        duration=duration,
        tempo=found.tempo,
        key=max(keys, key=lambda key: key.offset - key.onset).label if keys else None,
        keys=keys,
        warnings=midi.warnings,
    )


def _keys(midi: MidiFile, duration: float) -> tuple[Key, ...]:
    if all((sharps, minor) == (0, False) for _, sharps, minor in midi.keys):
        return ()
    # Of several at one time the last is valid.
    valid = {time: key_of(sharps, minor) for time, sharps, minor in midi.keys if time < duration}
    spans = pairwise([*valid.items(), (duration, "")])
    return tuple(Key(onset, offset, label) for (onset, label), (offset, _) in spans)


def _beats(midi: MidiFile) -> Beats:
    """Read the beats that a file's tempo and metres say, if they mean something."""
    resolution, last = midi.clock.resolution, midi.last_onset
    if not midi.notes or not resolution or last / resolution > MAX_BEATS:
        return Beats()
    changes = [metre for metre in midi.metres if metre[0] <= last] or [(0, 0, 4)]
    if any(unit not in _UNITS for _, _, unit in changes):
        return Beats()
    ticks: list[np.ndarray] = []
    first: list[np.ndarray] = []
    for (start, n_units, unit), (end, *_) in pairwise([*changes, (last + 1, 0, 4)]):
        compound = unit >= 8 and n_units % 3 == 0 and n_units > 3
        step = resolution * 4 / unit * (3 if compound else 1)
        inside = np.round(np.arange(start, end, step)).astype(np.int64)
        ticks.append(inside)
        if n_units:
            first.append(inside[:: n_units // 3 if compound else n_units])
    beats = midi.clock.seconds(np.concatenate(ticks)).tolist()
    if not is_grid(beats) or not (len(midi.clock.changes) > 1 or _on_grid(midi.notes, beats)):
        return Beats()
    downbeats = midi.clock.seconds(np.concatenate(first)).tolist() if first else []
    return Beats(tuple(beats), tuple(downbeats))


def _on_grid(notes: Sequence[Note], beats: Sequence[float]) -> bool:
    """Whether nearly all notes begin on eighths or twelfths of a beat."""
    positions = BeatGrid(beats).to_beats(np.array([note.onset for note in notes]))
    off = np.min([np.abs(positions * parts - np.round(positions * parts)) / parts for parts in (8, 12)], axis=0)
    return float(np.mean(off < _ON_BEAT)) > 0.9


def _chords(texts: list[tuple[float, str]]) -> tuple[Chord, ...]:
    """Read chords from texts and their times; without a text that ends them they are somebody's lyrics."""
    if not any(text == END_OF_CHORDS for _, text in texts):
        return ()
    spans = []
    for time, text in sorted(texts):
        with contextlib.suppress(ValueError):
            spans.append((time, "" if text == END_OF_CHORDS else str(parse(text))))
    return tuple(Chord(on, off, label) for (on, label), (off, _) in pairwise(spans) if label)
