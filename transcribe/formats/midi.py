"""Transcriptions as MIDI, and back.

MIDI keeps performed time. Where beats are known they are its quarters, or what their metre says, through a map of the
tempo (:mod:`transcribe.formats.tempo_map`); else there are 120 quarters a minute. A quarter has 960 ticks.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from transcribe.events import Chord, Key, Metre, Note, Pedal, Transcription
from transcribe.formats.midi_reader import PEDAL_CONTROL, MidiFile, read_midi
from transcribe.formats.parts import Part, by_hand, parts_of
from transcribe.formats.tempo_map import TICKS_PER_QUARTER, TempoMap
from transcribe.score.beats import BeatGrid, Beats, is_grid
from transcribe.theory.chords import parse
from transcribe.theory.keys import key_of, signature
from transcribe.theory.metres import beat_length, beats_in_bar

# Beats that are read: those of a day at 700 a minute.
MAX_BEATS = 1_000_000
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


def to_midi(transcription: Transcription, two_hands: bool = False, title: str = "") -> bytes:
    """Write a track for each instrument, the pedal as CC64, and the chords as text events in Harte's syntax.

    Where no instrument is known, there is one track, a piano's; with ``two_hands`` a piano that plays alone has two,
    the right hand's first, where both play. Each has a channel of its own, so that one can be muted; drums are on
    channel 10. The first track holds the tempo, the metres where there are downbeats, the keys, each from a bar line
    on, and the chords; its name is the title, where there is one.
    """
    t = transcription
    parts = parts_of(t)
    return _file(t, by_hand(parts, t) if two_hands else parts, t.pedals, t.chords, _key_changes(t), title)


def block_chords(transcription: Transcription) -> bytes:
    """Block chords: the bass in one octave, the other notes above it in another."""
    notes = [Note(chord.onset, pitch, chord.offset, 80) for chord in transcription.chords for pitch in block(chord)]
    return _file(transcription, [Part("Chords", notes)])


def block(chord: Chord) -> list[int]:
    """Pitches of a block chord, the bass first; none for no chord."""
    label = parse(chord.label)
    if label.root is None:
        return []
    bass = _LOWEST_BASS + (label.root + label.bass - _LOWEST_BASS) % 12
    upper = sorted(_LOWEST_BLOCK + (label.root + i - _LOWEST_BLOCK) % 12 for i in label.intervals)
    return [bass, *upper]


def _file(
    t: Transcription,
    parts: Sequence[Part],
    pedals: Sequence[Pedal] = (),
    chords: Sequence[Chord] = (),
    keys: Sequence[tuple[float, str]] = (),
    title: str = "",
) -> bytes:
    events: list[Note | Pedal | Chord] = [*(note for part in parts for note in part.notes), *pedals, *chords]
    tempo_map = TempoMap(t, max((event.offset for event in events), default=0.0))
    first = [(0, _meta(_NAME, title.encode("utf-8", "replace")))] if title else []
    first += [(tick, _meta(_TEMPO, tempo.to_bytes(3))) for tick, tempo in tempo_map.tempi]
    first += [
        (tick, _meta(_METRE, bytes([numerator, unit.bit_length() - 1, 24, 8])))
        for tick, numerator, unit in tempo_map.metres
    ]
    ticks = tempo_map.ticks(time for time, _ in keys)
    for tick, (_, key) in zip(ticks.tolist(), keys, strict=True):
        sharps, minor = signature(key)
        if abs(sharps) <= MOST_SHARPS:
            first.append((tick, _meta(_KEY, struct.pack("bB", sharps, minor))))
    texts: list[tuple[float, str]] = []
    for chord, following in zip_longest(chords, chords[1:]):
        texts.append((chord.onset, chord.label))
        if following is None or following.onset > chord.offset + tempo_map.tick:
            texts.append((chord.offset, END_OF_CHORDS))
    ticks = tempo_map.ticks(time for time, _ in texts)
    first += [(int(tick), _meta(_TEXT, text.encode())) for tick, (_, text) in zip(ticks, texts, strict=True)]
    # In the order of their ticks; what the file says of itself before the words.
    conductor = _track(iter(sorted(first, key=lambda event: event[0])))
    tracks = [conductor, *(_track(_played(tempo_map, part, pedals if part.pedalled else ())) for part in parts)]
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS_PER_QUARTER) + b"".join(tracks)


def _key_changes(t: Transcription) -> list[tuple[float, str]]:
    """List the keys, each from a bar line on, the first from the start."""
    sections = [(section.onset, section.label) for section in t.keys] or ([] if t.key is None else [(0.0, t.key)])
    lines = np.array(t.downbeats)
    found: list[tuple[float, str]] = []
    for time, label in sections:
        if not found:
            found.append((0.0, label))
        elif label != found[-1][1]:
            found.append((float(lines[np.abs(lines - time).argmin()]) if len(lines) else time, label))
    return found


def _played(tempo_map: TempoMap, part: Part, pedals: Sequence[Pedal]) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a part's track: tick and message."""
    notes = part.notes
    yield 0, _meta(_NAME, part.name.encode())
    if part.program is not None:
        yield 0, bytes([0xC0 | part.channel, part.program])
    onsets = tempo_map.ticks(note.onset for note in notes)
    # A note of no ticks would be read back as a note without end.
    offsets = np.maximum(tempo_map.ticks(note.offset for note in notes), onsets + 1)
    pitches, velocities = (np.array([getattr(n, what) for n in notes], np.uint8) for what in ("pitch", "velocity"))
    down, up = (tempo_map.ticks(getattr(pedal, what) for pedal in pedals) for what in ("onset", "offset"))
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
        yield tick, bytes([_STATUS[kind] | part.channel, *data])


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
    """Read notes with their instruments, drums, the sustain pedal, the key, and text events that are chords.

    Beats are those of a file whose tempo changes, or whose notes lie on its beats; in others they say nothing. Nor does
    C major, which programs write that know of no key, or a piano that plays alone.

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
        metres=found.metres,
        drums=midi.drums,
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
    spans = list(pairwise([*changes, (last + 1, 0, 4)]))
    if _begins_with_lead(changes, resolution):
        (_, following), *spans = spans
        step = _beat_ticks(following, resolution)
        ticks.append(np.round(np.arange(following[0] - step, -0.5, -step)[::-1]).astype(np.int64))
    for (start, n_units, unit), (end, *_) in spans:
        inside = np.round(np.arange(start, end, _beat_ticks((start, n_units, unit), resolution))).astype(np.int64)
        ticks.append(inside)
        n_beats = beats_in_bar(f"{n_units}/{unit}") if n_units else 0
        if n_beats > 1 or len(changes) > 2:
            first.append(inside[:: max(1, n_beats)])
    beats = midi.clock.seconds(np.concatenate(ticks)).tolist()
    if not is_grid(beats) or not (len(midi.clock.changes) > 1 or _on_grid(midi.notes, beats)):
        return Beats()
    downbeats = midi.clock.seconds(np.concatenate(first)).tolist() if first else []
    metres = _metres(midi, spans) if downbeats else ()
    return Beats(tuple(beats), tuple(downbeats), metres=metres)


def _begins_with_lead(changes: Sequence[tuple[int, int, int]], resolution: int) -> bool:
    """Whether the first bar is a lead-in: a single one, shorter than those that follow or of a finer note."""
    if len(changes) < 2 or changes[0][0] != 0 or not changes[0][1]:
        return False
    lengths = [resolution * 4 * n_units / unit for _, n_units, unit in changes[:2]]
    single = abs(changes[1][0] - lengths[0]) < 1
    return single and (lengths[0] < lengths[1] or changes[0][2] > changes[1][2])


def _beat_ticks(metre: tuple[int, int, int], resolution: int) -> float:
    _, n_units, unit = metre
    return float(resolution * (beat_length(f"{n_units}/{unit}") if n_units else 1))


def _metres(midi: MidiFile, spans: Sequence[tuple[tuple[int, int, int], tuple[int, int, int]]]) -> tuple[Metre, ...]:
    """Name the metres of spans; one that is written again goes on."""
    found: list[Metre] = []
    for (start, n_units, unit), (end, *_) in spans:
        onset, offset = midi.clock.seconds([start, end]).tolist()
        label = f"{n_units}/{unit}"
        if found and found[-1].label == label:
            found[-1] = Metre(found[-1].onset, offset, label)
        elif n_units:
            found.append(Metre(onset, offset, label))
    return tuple(found)


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
