from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.chords.decoder import N_CLASSES, label_of
from transcribe.chords.task import CHORDS
from transcribe.errors import InputError
from transcribe.events import Chord, Note, Tag, Transcription
from transcribe.formats.csv import chords_to_csv
from transcribe.formats.csv import from_csv as read_csv
from transcribe.formats.jams import to_jams
from transcribe.formats.json import from_json, to_json
from transcribe.formats.lab import chords_to_lab, from_lab
from transcribe.formats.leadsheet import to_chordpro, to_lead_sheet
from transcribe.formats.midi import block, block_chords, from_midi, to_midi

SONG = Transcription(
    chords=(
        Chord(0.0, 0.5, "N", 0.99),
        Chord(0.5, 2.5, "C:maj", 0.9),
        Chord(2.5, 4.5, "A:min7/b7", 0.8),
        Chord(4.5, 5.0, "F:maj", 0.7),
        Chord(5.0, 7.0, "G:sus4(b7)", 0.6),
        Chord(7.0, 8.0, "G:7", 0.6),
    ),
    duration=8.0,
)


@st.composite
def chords(draw: st.DrawFn) -> Transcription:
    time, found = 0.0, []
    for _ in range(draw(st.integers(0, 12))):
        end = round(time + draw(st.floats(0.1, 9)), 4)
        label = label_of(draw(st.integers(0, N_CLASSES - 1)))
        found.append(Chord(time, end, str(label), round(draw(st.floats(0, 1)), 3)))
        time = end
    return Transcription(chords=tuple(found), duration=time)


def test_lab_by_hand() -> None:
    lab = chords_to_lab(SONG).decode()
    assert lab.splitlines()[:3] == ["0.0000\t0.5000\tN", "0.5000\t2.5000\tC:maj", "2.5000\t4.5000\tA:min7/b7"]
    read = from_lab(b"# made by hand\n\n0 1.5 C\n1.5\t2 A#:min/b3\n")
    assert read.chords == (Chord(0, 1.5, "C:maj"), Chord(1.5, 2, "Bb:min/b3"))
    assert from_lab(b"") == Transcription()


@pytest.mark.parametrize(
    "lab", [b"0 1", b"0 1 H:maj", b"a b C:maj", b"1 0 C:maj", b"-1 2 C:maj", b"\xff\xfe", b"0 inf C:maj"]
)
def test_what_is_no_lab_is_refused(lab: bytes) -> None:
    with pytest.raises(InputError, match=r"not a \.lab file"):
        from_lab(lab)


@given(chords())
def test_chords_survive_lab_and_json(song: Transcription) -> None:
    read = from_lab(chords_to_lab(song))
    assert [(c.onset, c.offset, c.label) for c in read.chords] == [(c.onset, c.offset, c.label) for c in song.chords]
    assert from_json(to_json(song)).chords == song.chords
    assert read_csv(chords_to_csv(song)).chords == song.chords


@given(chords())
def test_every_format_holds_every_chord(song: Transcription) -> None:
    for form in CHORDS.formats.values():
        assert isinstance(form.write(song), bytes)
    rows = list(csv.DictReader(io.StringIO(chords_to_csv(song).decode())))
    assert [row["label"] for row in rows] == [chord.label for chord in song.chords]
    assert [d["value"] for d in json.loads(to_jams(song))["annotations"][0]["data"]] == [
        chord.label for chord in song.chords
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jams_is_valid() -> None:
    jams = pytest.importorskip("jams", reason="jams isn't installed")
    document = jams.load(io.StringIO(to_jams(SONG).decode()), validate=True, strict=True)
    assert document.search(namespace="chord")[0].data[1].value == "C:maj"
    with_notes = replace(SONG, notes=(Note(0.5, 60, 1.0, 80, 0.9),))
    document = jams.load(io.StringIO(to_jams(with_notes).decode()), validate=True, strict=True)
    tags = Transcription(instruments=(Tag(0.0, 2.0, "violin", 0.8), Tag(1.0, 3.0, "piano", 0.6)), duration=3.0)
    (tagged,) = jams.load(io.StringIO(to_jams(tags).decode()), validate=True, strict=True).annotations
    assert [(o.time, o.duration, o.value) for o in tagged.data] == [(0.0, 2.0, "violin"), (1.0, 2.0, "piano")]
    document = jams.load(io.StringIO(to_jams(with_notes).decode()), validate=True, strict=True)
    assert document.search(namespace="note_midi")[0].data[0].value == 60


def test_block_chords_by_hand() -> None:
    assert block(Chord(0, 1, "C:maj")) == [36, 55, 60, 64]
    assert block(Chord(0, 1, "A:min7/b7")) == [43, 55, 57, 60, 64]
    assert block(Chord(0, 1, "N")) == []
    midi = pretty_midi.PrettyMIDI(io.BytesIO(block_chords(SONG)))
    sounding = {note.pitch % 12 for note in midi.instruments[0].notes if note.start <= 1.0 < note.end}
    assert sounding == {0, 4, 7}
    assert block_chords(Transcription())[:4] == b"MThd"


def test_hours_of_chords_are_read_back_from_midi() -> None:
    song = Transcription(chords=(Chord(0.0, 7000.0, "C:maj"), Chord(7100.0, 7200.0, "G:7")), duration=7200.0)
    assert pretty_midi.PrettyMIDI(io.BytesIO(block_chords(song))).instruments[0].notes[-1].end == pytest.approx(7200)
    read = from_midi(to_midi(song)).chords
    assert [(round(c.onset, 2), round(c.offset, 2), c.label) for c in read] == [
        (c.onset, c.offset, c.label) for c in song.chords
    ]


def test_charts_by_time_say_so() -> None:
    head, _, rows = to_lead_sheet(SONG).decode().partition("\n\n")
    assert head == "Key: C major\nNo bars are known: the chords stand by time."
    assert rows == "| N.C. | C | Am7/G | F |\n| G7sus4 | G7 |\n"
    about, *lines = to_chordpro(SONG, "Song").decode().splitlines()
    assert [about, *lines[:2]] == [
        "{title: Song}",
        "{key: C}",
        "{comment: No bars are known: the chords stand by time.}",
    ]
    assert lines[2:] == ["{comment: 0:00}", "[N.C.]  [C]  [Am7/G]  [F]", "{comment: 0:05}", "[G7sus4]  [G7]"]
    assert to_lead_sheet(Transcription()) == b""
    assert to_chordpro(Transcription()) == b""
