"""What others and we wrote as beats, JAMS and MusicXML is read back."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings

from tests.conftest import FIVE_NOTES
from tests.strategies import transcriptions
from transcribe.errors import InputError
from transcribe.events import Chord, Key, Note, Tag, Transcription
from transcribe.formats.beats import from_beats, to_beats
from transcribe.formats.jams import from_jams, to_jams
from transcribe.formats.musicxml_played import from_musicxml
from transcribe.formats.reading import MAX_BYTES

# A pick-up of a quarter, a bar of 3/4 in two voices with a tie into the next, at 90 quarters a minute from there.
SCORE = b"""<?xml version="1.0"?><score-partwise version="4.0"><part-list/><part id="P1">
<measure number="0"><attributes><divisions>2</divisions><key><fifths>-1</fifths></key>
<time><beats>3</beats><beat-type>4</beat-type></time></attributes><sound tempo="60"/>
<note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration></note></measure>
<measure number="1"><note><pitch><step>F</step><octave>4</octave></pitch><duration>6</duration></note>
<backup><duration>6</duration></backup>
<note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch><duration>6</duration>
<tie type="start"/></note></measure>
<measure number="2"><direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>90</per-minute>
</metronome></direction-type></direction>
<note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch><duration>6</duration>
<tie type="stop"/></note></measure>
</part></score-partwise>"""


def test_beats() -> None:
    song = Transcription(beats=(0.5, 1.0, 1.5, 2.0), downbeats=(0.5, 2.0), duration=2.0)
    found = from_beats(to_beats(song))
    assert (found.beats, found.downbeats, found.tempo) == (song.beats, song.downbeats, 120)
    assert from_beats(b"# tapped\n0.5\n\n1.25 1\n").downbeats == (1.25,)
    assert from_beats(b"").beats == ()
    for content in (b"x", b"1\n0.5\n", b"1 2 3\n", b"-1\n", b"\xff\xfe\xff"):
        with pytest.raises(InputError, match="list of beats"):
            from_beats(content)


def test_jams() -> None:
    song = Transcription(
        notes=tuple(sorted(FIVE_NOTES)),
        chords=(Chord(0.0, 1.5, "C:maj", 0.9), Chord(1.5, 3.0, "A:min", 0.8)),
        instruments=(Tag(0.0, 3.0, "piano", 0.7),),
        keys=(Key(0.0, 3.0, "Eb major"),),
        beats=(0.5, 1.0, 1.5),
        downbeats=(0.5,),
        duration=3.0,
    )
    found = from_jams(to_jams(song))
    for field in ("chords", "instruments", "keys", "beats", "downbeats", "duration"):
        assert getattr(found, field) == getattr(song, field)
    assert found.key == "Eb major"
    assert [(n.pitch, n.velocity) for n in found.notes] == [(n.pitch, n.velocity) for n in song.notes]
    assert [n.offset for n in found.notes] == pytest.approx([n.offset for n in song.notes])


def test_jams_of_others() -> None:
    columns = {"time": [0.0], "duration": [1.0], "value": [440.0], "confidence": [None]}
    document = {"annotations": [{"namespace": "note_hz", "data": columns}, {"namespace": "tempo", "data": []}]}
    assert from_jams(json.dumps(document).encode()).notes == (Note(0.0, 69, 1.0, 64),)
    odd = {"namespace": "note_midi", "data": [{"time": 1, "duration": "x", "value": 1}]}
    values: list[object] = [[], {}, {"annotations": [{"namespace": "beat", "data": 1}]}, {"annotations": [odd]}]
    for value in values:
        content = json.dumps(value).encode()
        with pytest.raises(InputError, match="JAMS"):
            from_jams(content)


@given(song=transcriptions())
@settings(max_examples=30)
def test_whatever_jams_holds_is_read(song: Transcription) -> None:
    found = from_jams(to_jams(song))
    assert [(n.pitch, n.velocity) for n in found.notes] == [(n.pitch, n.velocity) for n in song.notes]
    assert [chord.label for chord in found.chords] == [chord.label for chord in song.chords]
    assert len(found.beats) == len(song.beats)


def test_a_score_is_played_as_it_is_written() -> None:
    found = from_musicxml(SCORE)
    assert [(n.pitch, round(n.onset, 6), round(n.offset, 6)) for n in found.notes] == [
        (72, 0.0, 1.0),
        (58, 1.0, 6.0),  # three quarters at 60, tied to three at 90 a minute
        (65, 1.0, 4.0),
    ]
    assert found.downbeats == pytest.approx((1.0, 4.0))
    assert found.beats == pytest.approx((0.0, 1.0, 2.0, 3.0, 4.0, 4 + 2 / 3, 4 + 4 / 3))
    assert [key.label for key in found.keys] == ["F major"]
    assert [metre.label for metre in found.metres] == ["3/4"]
    assert found.duration == pytest.approx(6.0)


def test_what_is_no_score() -> None:
    broken = SCORE.replace(b"<divisions>2<", b"<divisions>0<")
    for content in (b"", b"<a/>", b"PK\x03\x04", b"\x1f\x8b", broken, SCORE.replace(b"<octave>5<", b"<octave>x<")):
        with pytest.raises(InputError, match="MusicXML"):
            from_musicxml(content)
    zipped, hidden = io.BytesIO(), b"<container><rootfile full-path='a.xml'/></container>"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", hidden)
        archive.writestr("a.xml", bytes(MAX_BYTES + 1))
    for bomb in (zipped.getvalue(), gzip.compress(bytes(MAX_BYTES + 1), 1)):
        with pytest.raises(InputError, match="larger than"):
            from_musicxml(bomb)
    assert from_musicxml(b"<score-partwise><part/></score-partwise>") == replace(Transcription(), duration=0.0)
