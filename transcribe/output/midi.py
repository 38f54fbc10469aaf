"""Transcriptions as MIDI, and back.

MIDI keeps performed time: 120 quarters a minute, 960 ticks each, so that a tick is 0.52 ms and nothing drifts; more
than 85 minutes have slower quarters, and ticks of 1 ms up to three hours, since pretty_midi reads no more than ten
million of them.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

from transcribe.errors import InputError
from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.harte import parse
from transcribe.output.chart import block

TICKS_PER_QUARTER = 960
QUARTERS_PER_MINUTE = 120.0
MAX_TICKS = 10_000_000
PEDAL_CONTROL = 64
END_OF_CHORDS = "end of chords"


@dataclass(slots=True)
class _MidiNote:
    """What pretty_midi asks of a note, in a third of the memory: ten hours have hundreds of thousands."""

    start: float
    end: float
    pitch: int
    velocity: int


def to_midi(transcription: Transcription) -> bytes:
    """One piano track with the notes, the pedal as CC64, and the chords as text events in Harte's syntax."""
    import pretty_midi

    midi, tick = _blank(transcription)
    piano = pretty_midi.Instrument(program=0, name="Piano")
    # A note of no ticks would be read back as a note without end.
    piano.notes = [
        _MidiNote(note.onset, max(note.offset, note.onset + tick), note.pitch, note.velocity)
        for note in transcription.notes
    ]
    for pedal in transcription.pedals:
        piano.control_changes += [
            pretty_midi.ControlChange(PEDAL_CONTROL, 127, pedal.onset),
            pretty_midi.ControlChange(PEDAL_CONTROL, 0, pedal.offset),
        ]
    midi.instruments.append(piano)
    for chord, following in zip_longest(transcription.chords, transcription.chords[1:]):
        midi.text_events.append(pretty_midi.Text(chord.label, chord.onset))
        if following is None or following.onset > chord.offset + tick:
            midi.text_events.append(pretty_midi.Text(END_OF_CHORDS, chord.offset))
    return _written(midi)


def block_chords(transcription: Transcription) -> bytes:
    """Block chords: the bass in one octave, the other notes above it in another."""
    import pretty_midi

    midi, tick = _blank(transcription)
    piano = pretty_midi.Instrument(program=0, name="Chords")
    for chord in transcription.chords:
        for pitch in block(chord):
            piano.notes.append(pretty_midi.Note(80, pitch, chord.onset, max(chord.offset, chord.onset + tick)))
    midi.instruments.append(piano)
    return _written(midi)


def _blank(transcription: Transcription) -> tuple[Any, float]:
    """Make a MIDI file whose ticks are fine enough and not too many; and the seconds of a tick."""
    import pretty_midi

    events: tuple[Note | Pedal | Chord, ...] = (*transcription.notes, *transcription.pedals, *transcription.chords)
    end = max((event.offset for event in events), default=0.0)
    tempo = QUARTERS_PER_MINUTE
    while end * tempo / 60 * TICKS_PER_QUARTER > 0.98 * MAX_TICKS:
        tempo /= 2
    midi = pretty_midi.PrettyMIDI(resolution=TICKS_PER_QUARTER, initial_tempo=tempo)
    return midi, 60 / tempo / TICKS_PER_QUARTER


def _written(midi: Any) -> bytes:
    buffer = io.BytesIO()
    midi.write(buffer)
    return buffer.getvalue()


def from_midi(content: bytes) -> Transcription:
    """Read the notes of all pitched tracks, the sustain pedal (CC64 of 64 and more), and text events that are chords.

    Raises
    ------
    InputError
        If it isn't a MIDI file.
    """
    import warnings

    import pretty_midi

    try:
        with warnings.catch_warnings():
            # Tempo changes on other tracks than the first: harmless, and common.
            warnings.simplefilter("ignore", RuntimeWarning)
            midi = pretty_midi.PrettyMIDI(io.BytesIO(content))
    except Exception as error:  # mido raises whatever the damage leads to
        raise InputError(f"not a MIDI file: {' '.join(str(error).split()) or type(error).__name__}") from None
    notes, pedals = [], []
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        notes += [Note(n.start, n.pitch, n.end, n.velocity) for n in instrument.notes if n.velocity > 0]
        down: float | None = None
        for change in sorted(instrument.control_changes, key=lambda c: float(c.time)):
            if change.number != PEDAL_CONTROL:
                continue
            if change.value >= 64 and down is None:
                down = change.time
            elif change.value < 64 and down is not None:
                pedals.append(Pedal(down, change.time))
                down = None
        if down is not None:
            pedals.append(Pedal(down, midi.get_end_time()))
    chords = _chords([(event.time, event.text) for event in midi.text_events])
    duration = max([midi.get_end_time(), *(chord.offset for chord in chords)])
    return Transcription(tuple(sorted(notes)), tuple(sorted(pedals)), chords=chords, duration=duration)


def _chords(texts: list[tuple[float, str]]) -> tuple[Chord, ...]:
    """Read chords from texts and their times; without a text that ends them they are somebody's lyrics."""
    if not any(text == END_OF_CHORDS for _, text in texts):
        return ()
    spans = []
    for time, text in sorted(texts):
        with contextlib.suppress(ValueError):
            spans.append((time, "" if text == END_OF_CHORDS else str(parse(text))))
    return tuple(Chord(on, off, label) for (on, label), (off, _) in pairwise(spans) if label)
