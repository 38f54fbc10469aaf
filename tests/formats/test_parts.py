"""Instruments and drums in files: written and read back."""

from __future__ import annotations

import io

import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.events import Drum, Note, Pedal, Transcription
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.parts import DRUM_CHANNEL, parts_of
from transcribe.formats.table import FORMATS
from transcribe.theory.families import DRUMS, FAMILIES, FAMILY_OF_PROGRAM

BAND = Transcription(
    notes=(
        Note(0.0, 60, 1.0, 80, 0.9, "piano"),
        Note(0.0, 40, 0.5, 90, 0.8, "bass"),
        Note(0.5, 60, 1.0, 70, 0.7, "voice"),
        Note(0.5, 40, 1.0, 90, 0.8, "bass"),
    ),
    pedals=(Pedal(0.0, 1.0),),
    drums=(Drum(0.0, "bass drum", 100, 0.9), Drum(0.0, "hi-hat", 60, 0.6), Drum(0.5, "snare drum", 127, 1.0)),
    duration=1.0,
)


def test_every_family_has_a_track_and_a_channel() -> None:
    parts = parts_of(BAND)
    assert [(p.name, p.channel, p.program, p.pedalled) for p in parts] == [
        ("Piano", 0, 0, True), ("Bass", 1, 33, False), ("Voice", 2, 52, False), ("Drums", DRUM_CHANNEL, None, False)
    ]  # fmt: skip
    assert [len(p.notes) for p in parts] == [1, 2, 1, 3]


def test_all_families_together_leave_channel_10_to_the_drums() -> None:
    notes = tuple(Note(0.0, 60, 1.0, 80, instrument=family) for family in FAMILIES)
    parts = parts_of(Transcription(notes=notes, drums=BAND.drums))
    assert [p.channel for p in parts] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 9]


def test_another_program_reads_the_instruments() -> None:
    midi = pretty_midi.PrettyMIDI(io.BytesIO(to_midi(BAND)))
    assert [(i.name, FAMILY_OF_PROGRAM[i.program], i.is_drum) for i in midi.instruments] == [
        ("Piano", "piano", False), ("Bass", "bass", False), ("Voice", "voice", False), ("Drums", "piano", True)
    ]  # fmt: skip
    assert [(n.pitch, n.velocity) for n in midi.instruments[-1].notes] == [(36, 100), (42, 60), (38, 127)]


def test_midi_gives_back_instruments_drums_and_the_pedal() -> None:
    back = from_midi(to_midi(BAND))
    assert [(n.pitch, n.instrument) for n in back.notes] == [
        (40, "bass"), (60, "piano"), (40, "bass"), (60, "voice")
    ]  # fmt: skip
    assert [(d.onset, d.label, d.velocity) for d in back.drums] == [
        (0.0, "bass drum", 100), (0.0, "hi-hat", 60), (0.5, "snare drum", 127)
    ]  # fmt: skip
    assert len(back.pedals) == 1
    assert back.warnings == ()


def test_notes_alone_are_a_piano_and_nothing_is_an_empty_one() -> None:
    plain = Transcription(notes=(Note(0.0, 60, 1.0, 80),))
    (part,) = parts_of(plain)
    assert (part.name, part.channel, part.program) == ("Piano", 0, 0)
    assert [n.instrument for n in from_midi(to_midi(plain)).notes] == [None]
    assert len(parts_of(Transcription())) == 1


def test_drums_alone_have_one_track() -> None:
    drums = Transcription(drums=BAND.drums, duration=1.0)
    assert [p.name for p in parts_of(drums)] == ["Drums"]
    assert len(from_midi(to_midi(drums)).drums) == 3


events = st.builds(
    lambda onset, pitch, family: Note(onset, pitch, onset + 0.5, 80, 0.5, family),
    st.integers(0, 40).map(float), st.integers(21, 108), st.sampled_from((None, *FAMILIES)),
)  # fmt: skip
strokes = st.builds(Drum, st.integers(0, 40).map(float), st.sampled_from(DRUMS), st.integers(1, 127), st.just(0.25))


@given(st.lists(events, unique_by=lambda note: (note.onset, note.pitch)), st.lists(strokes))
def test_json_and_csv_give_back_all_of_it(notes: list[Note], drums: list[Drum]) -> None:
    whole = Transcription(notes=tuple(sorted(notes)), drums=tuple(sorted(drums)), duration=60.0)
    for name in ("json", "csv"):
        form = FORMATS[name]
        assert form.read is not None
        back = form.read(form.write(whole))
        assert (back.notes, back.drums) == (whole.notes, whole.drums)


def test_csv_has_the_column_where_something_is_known() -> None:
    lines = FORMATS["csv"].write(BAND).decode().splitlines()
    assert lines[0] == "onset,offset,pitch,velocity,confidence,instrument"
    assert lines[-1] == "0.5000,0.5000,38,127,1.000,snare drum"
    plain = Transcription(notes=(Note(0.0, 60, 1.0, 80),))
    assert FORMATS["csv"].write(plain).decode().splitlines() == [
        "onset,offset,pitch,velocity,confidence", "0.0000,1.0000,60,80,1.000"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["0,1,60,80,1,kazoo", "0,0,36,200,1,bass drum", "-1,0,36,100,1,hi-hat", "0,0,36,100,1.5,toms"]
)
def test_what_makes_no_sense_is_refused(line: str) -> None:
    from transcribe.errors import InputError

    read = FORMATS["csv"].read
    assert read is not None
    with pytest.raises(InputError):
        read(f"onset,offset,pitch,velocity,confidence,instrument\n{line}\n".encode())
