from __future__ import annotations

import io
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pretty_midi
import pytest
from hypothesis import given

from tests.strategies import transcriptions
from transcribe.batch.atomic import write_atomically
from transcribe.errors import InputError, OutputError, UsageError
from transcribe.events import Chord, Note, Pedal, Tag, Transcription
from transcribe.formats.format import Rendering
from transcribe.formats.json import from_json, to_json
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.schema import schema
from transcribe.formats.table import FORMATS, format_of, read_transcription
from transcribe.report.document import to_dict

TICK = 60 / 120 / 960
READABLE = [form for form in FORMATS.values() if form.read]


def read(name: str, content: bytes) -> Transcription:
    """Read bytes of a format that can be read."""
    reader = FORMATS[name].read
    assert reader is not None
    return reader(content)


def test_the_pedals_of_several_tracks_are_one_pedal() -> None:
    midi = pretty_midi.PrettyMIDI()
    for spans in ([(1.0, 5.0), (7.0, 8.0)], [(2.0, 3.0), (4.5, 6.0)], [(8.0, 9.0)]):
        track = pretty_midi.Instrument(0)
        track.notes = [pretty_midi.Note(64, 60, 0.0, 0.5)]
        for down, up in spans:
            changes = (pretty_midi.ControlChange(64, 127, down), pretty_midi.ControlChange(64, 0, up))
            track.control_changes += changes
        midi.instruments.append(track)
    content = io.BytesIO()
    midi.write(content)
    spans = [(p.onset, p.offset) for p in from_midi(content.getvalue()).pedals]
    np.testing.assert_allclose(spans, [(1.0, 6.0), (7.0, 8.0), (8.0, 9.0)], atol=2e-3)


@given(transcription=transcriptions())
def test_midi_gives_back_notes_and_pedal_within_a_tick(transcription: Transcription) -> None:
    back = read("midi", FORMATS["midi"].write(transcription))
    ours, theirs = (sorted((n.pitch, n.onset, n.offset, n.velocity) for n in t.notes) for t in (transcription, back))
    assert [n[0] for n in theirs] == [n[0] for n in ours]
    assert [n[3] for n in theirs] == [n[3] for n in ours]
    assert [t for n in theirs for t in n[1:3]] == pytest.approx([t for n in ours for t in n[1:3]], abs=TICK)
    if not ours:  # pretty_midi leaves out a track without notes
        return
    assert [t for p in back.pedals for t in (p.onset, p.offset)] == pytest.approx(
        [t for p in transcription.pedals for t in (p.onset, p.offset)], abs=TICK
    )


@given(transcription=transcriptions())
def test_json_and_csv_give_back_what_they_hold(transcription: Transcription) -> None:
    assert read("json", FORMATS["json"].write(transcription)) == transcription
    assert read("csv", FORMATS["csv"].write(transcription)).notes == transcription.notes


def test_midi_does_not_drift_in_an_hour() -> None:
    notes = tuple(Note(k * 0.1, 60, k * 0.1 + 0.05, 64) for k in range(36_000))
    back = read("midi", FORMATS["midi"].write(Transcription(notes=notes))).notes
    assert len(back) == len(notes)
    assert max(abs(a.onset - b.onset) for a, b in zip(notes, back, strict=True)) <= TICK


@pytest.mark.parametrize("hours", [2, 10])
def test_long_recordings_can_be_read_back(hours: int) -> None:
    notes = (Note(0.0, 60, 1.0, 64), Note(hours * 3600.0 - 1, 60, hours * 3600.0, 64))
    back = read("midi", FORMATS["midi"].write(Transcription(notes=notes))).notes
    assert [t for n in back for t in (n.onset, n.offset)] == pytest.approx(
        [t for n in notes for t in (n.onset, n.offset)], abs=4e-3
    )


def test_midi_carries_the_beats_as_its_tempo_and_keeps_performed_time() -> None:
    beats = (0.91, 1.4, 1.93, 2.41, 2.98, 3.4, 3.9, 4.5, 5.1)
    notes = tuple(Note(time, 60, time + 0.2, 64) for time in (0.0, 0.913, 1.37, 2.5, 2.99, 4.44, 6.2))
    whole = Transcription(notes, beats=beats, downbeats=beats[1::3], tempo=120.0, key="Eb major")
    midi = pretty_midi.PrettyMIDI(io.BytesIO(to_midi(whole)))
    # 0.91 s are 1.86 quarters of 0.49 s, and one that ends a bar: the first bar has 23 of its 24 thirty-seconds.
    signatures = [(round(m.time, 3), m.numerator, m.denominator) for m in midi.time_signature_changes]
    assert signatures == [(0.0, 23, 32), (1.4, 3, 4)]
    assert [k.key_number for k in midi.key_signature_changes] == [3]
    back = from_midi(to_midi(whole))
    assert [t for n in back.notes for t in (n.onset, n.offset)] == pytest.approx(
        [t for n in notes for t in (n.onset, n.offset)], abs=6e-4
    )
    # A quarter leads to the first beat, which ends a bar.
    assert back.beats[1:10] == pytest.approx(beats, abs=2e-6)
    assert back.downbeats[:3] == pytest.approx(beats[1::3], abs=2e-6)
    assert [metre.label for metre in back.metres] == ["3/4"]


def test_slow_beats_keep_performed_time_too() -> None:
    beats = tuple(10.0 * k for k in range(9))
    notes = tuple(Note(time, 60, time + 0.3, 0) for time in (0.1234, 17.7777, 55.4321))
    back = from_midi(to_midi(Transcription(notes, beats=beats)))
    assert [note.onset for note in back.notes] == pytest.approx([note.onset for note in notes], abs=6e-4)


def test_metres_that_no_music_has_say_nothing() -> None:
    midi = pretty_midi.PrettyMIDI()
    midi.instruments.append(pretty_midi.Instrument(0))
    midi.instruments[0].notes = [pretty_midi.Note(64, 60, 0.5 * k, 0.5 * k + 0.4) for k in range(32)]
    buffer = io.BytesIO()
    midi.write(buffer)
    content = buffer.getvalue()
    place = content.index(b"\xff\x58\x04") + 4
    for power in (20, 255):
        assert from_midi(content[:place] + bytes([power]) + content[place + 1 :]).beats == ()


def test_json_in_disorder_is_put_in_order_and_half_characters_are_refused() -> None:
    whole = Transcription(notes=(Note(1.0, 60, 2.0, 64), Note(0.0, 62, 1.0, 64)), duration=2.0)
    assert [note.onset for note in from_json(to_json(whole)).notes] == [0.0, 1.0]
    with pytest.raises(InputError):
        from_json(to_json(replace(whole, warnings=("x",))).replace(b'"x"', b'"\\ud800"'))


def test_a_pick_up_is_a_bar_of_its_own_in_midi() -> None:
    beats = tuple(0.05 + 0.5 * k for k in range(10))
    notes = tuple(Note(beat, 60, beat + 0.2, 64) for beat in beats)
    midi = pretty_midi.PrettyMIDI(io.BytesIO(to_midi(Transcription(notes, beats=beats, downbeats=beats[1::4]))))
    signatures = [(round(m.time, 2), m.numerator, m.denominator) for m in midi.time_signature_changes]
    # A tenth of a quarter leads to the pick-up: to the nearest sixteenth of one, since the tempo is to be one.
    assert signatures == [(0.0, 9, 32), (0.56, 4, 4)]
    assert midi.get_tempo_changes()[1] == pytest.approx([120.0])


@pytest.mark.parametrize("beats", [(1.0,), (2.0, 1.0), (0.0, 0.01, 0.02), (0.0, 50.0), (1e6, 1e6 + 0.1)])
def test_beats_that_make_no_tempo_are_left_out_of_midi(beats: tuple[float, ...]) -> None:
    whole = Transcription((Note(0.1, 60, 0.2, 64),), beats=beats, downbeats=beats, duration=9.0)
    assert from_midi(to_midi(whole)).notes[0].onset == pytest.approx(0.1, abs=TICK)


def test_no_notes_at_all() -> None:
    for form in READABLE:
        assert form.read is not None
        assert form.read(form.write(Transcription())).notes == ()


def test_repeated_notes_that_touch_stay_apart_in_midi() -> None:
    notes = (Note(0.0, 60, 0.5, 64), Note(0.5, 60, 1.0, 70))
    back = read("midi", FORMATS["midi"].write(Transcription(notes=notes))).notes
    assert [(n.onset, n.offset, n.velocity) for n in back] == [(0.0, 0.5, 64), (0.5, 1.0, 70)]


def test_json_holds_everything_under_a_version() -> None:
    whole = Transcription(notes=(Note(0.1, 60, 0.2, 64, 0.9),), pedals=(Pedal(0.0, 1.0),), duration=1.5, tempo=120.0)
    document = json.loads(FORMATS["json"].write(whole))
    assert document["version"] == 1
    assert document["notes"] == [{"onset": 0.1, "pitch": 60, "offset": 0.2, "velocity": 64, "confidence": 0.9}]
    assert set(document) == {"version", *to_dict(whole)}


@pytest.mark.parametrize("name", [form.name for form in READABLE])
@pytest.mark.parametrize("content", [b"nonsense", b"\xff\xfe\x00", b"[1, 2]", b"MThd\x00\x00\x00\x06\x00"])
def test_damaged_files_are_input_errors(name: str, content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read(name, content)
    assert "\n" not in str(caught.value)


def test_json_with_numbers_that_no_float_holds_or_tables_for_lists_is_refused() -> None:
    whole = to_dict(Transcription((Note(0.5, 60, 1.0, 64),), duration=2.0))
    note = {"onset": 0.5, "offset": 1.0, "pitch": 60, "velocity": 64, "confidence": 1.0}
    for name in note:
        with pytest.raises(InputError):
            from_json(json.dumps({**whole, "notes": [{**note, name: 10**400}]}).encode())
    for name in ("duration", "tempo", "novelty", "tuning"):
        with pytest.raises(InputError):
            from_json(json.dumps({**whole, name: 10**400}).encode())
    for name in ("notes", "pedals", "chords", "keys", "metres", "beats", "downbeats", "warnings"):
        for wrong in ("{}", "5", "null", '""'):
            with pytest.raises(InputError, match=f"{name} are no list"):
                from_json(json.dumps({**whole, name: json.loads(wrong)}).encode())


def test_json_of_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="version"):
        from_json(b'{"version": 99, "notes": []}')


def test_format_by_suffix() -> None:
    assert format_of(Path("a.MID")).name == "midi"
    with pytest.raises(UsageError, match=r"\.xyz"):
        format_of(Path("a.xyz"))
    with pytest.raises(InputError, match=r"nothing\.mid"):
        read_transcription(Path("nothing.mid"))


def test_writing_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mid"
    write_atomically(path, b"one")
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600
    with pytest.raises(OutputError, match="--overwrite"):
        write_atomically(path, b"two")
    assert path.read_bytes() == b"one"

    def full(descriptor: int, *_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", full)
        with pytest.raises(OutputError, match="No space left"):
            write_atomically(path, b"two", overwrite=True)
    assert path.read_bytes() == b"one"
    write_atomically(path, b"two", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mid"]
    with pytest.raises(OutputError, match="can't be written"):
        write_atomically(tmp_path / "nowhere" / "a.mid", b"")


def test_chords_are_texts_in_midi() -> None:
    chords = (Chord(0.0, 1.0, "N"), Chord(1.0, 2.5, "A:min7/b3"), Chord(2.5, 4.0, "F:maj"))
    read = from_midi(to_midi(Transcription(notes=(Note(1.0, 60, 2.0, 80),), chords=chords, duration=4.0)))
    assert [chord.label for chord in read.chords] == ["N", "A:min7/b3", "F:maj"]
    assert [time for chord in read.chords for time in (chord.onset, chord.offset)] == pytest.approx(
        [0.0, 1.0, 1.0, 2.5, 2.5, 4.0], abs=1e-3
    )
    midi = pretty_midi.PrettyMIDI(io.BytesIO(to_midi(Transcription())))
    midi.text_events = [pretty_midi.Text("Hello", 0.0), pretty_midi.Text("made by hand", 1.0)]
    buffer = io.BytesIO()
    midi.write(buffer)
    assert from_midi(buffer.getvalue()).chords == ()


@given(transcriptions())
def test_json_is_as_the_schema_says(transcription: Transcription) -> None:
    full = replace(
        transcription,
        chords=(Chord(0.0, 1.0, "N"),),
        instruments=(Tag(0.0, 1.0, "piano", 0.9),),
        beats=(0.5, 1.0),
        tempo=120.0,
        models={"notes": "x"},
    )
    for document in (transcription, full):
        jsonschema.validate(json.loads(to_json(document)), schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**to_dict(full), "notes": [{"onset": 1.0}]}, schema())


def test_each_hand_has_a_track_with_the_pedal() -> None:
    right = [Note(0.5 * k, 76 + k % 3, 0.5 * k + 0.4, 70) for k in range(8)]
    left = [Note(1.0 * k, 43, 1.0 * k + 0.9, 60) for k in range(4)]
    whole = Transcription(tuple(sorted([*right, *left])), (Pedal(0.5, 1.5),), duration=4.0)
    content = FORMATS["midi"].write(whole)
    midi = pretty_midi.PrettyMIDI(io.BytesIO(content))
    assert [(track.name, len(track.notes)) for track in midi.instruments] == [
        ("Piano, right hand", 8),
        ("Piano, left hand", 4),
    ]
    assert [len(track.control_changes) for track in midi.instruments] == [2, 2]
    assert from_midi(content) == from_midi(to_midi(whole))
    assert FORMATS["midi"].write(whole, Rendering(one_track=True)) == to_midi(whole)
    # One hand has no use for two tracks.
    alone = Transcription(tuple(right), duration=4.0)
    assert FORMATS["midi"].write(alone) == to_midi(alone)
