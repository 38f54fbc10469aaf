"""Transcriptions as objects of other libraries."""

from __future__ import annotations

from transcribe.events import Note, Pedal, Transcription


def test_pretty_midi_has_the_notes_and_the_pedals_at_their_times() -> None:
    notes = (Note(0.5, 60, 1.25, 80), Note(0.75, 64, 2.0, 1))
    midi = Transcription(notes=notes, pedals=(Pedal(0.4, 1.5), Pedal(1.6, 2.5))).to_pretty_midi()
    (piano,) = midi.instruments
    assert (piano.program, piano.is_drum) == (0, False)
    assert [Note(n.start, n.pitch, n.end, n.velocity) for n in piano.notes] == list(notes)
    changes = [(change.number, change.value, change.time) for change in piano.control_changes]
    assert changes == [(64, 127, 0.4), (64, 0, 1.5), (64, 127, 1.6), (64, 0, 2.5)]
    assert midi.get_end_time() == 2.5


def test_pretty_midi_of_nothing_is_an_empty_piano() -> None:
    (piano,) = Transcription().to_pretty_midi().instruments
    assert piano.notes == piano.control_changes == []
