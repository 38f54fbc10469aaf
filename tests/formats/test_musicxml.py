from __future__ import annotations

import importlib.util
import io
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings

from tests.pieces import PIECES, performed, placed
from tests.strategies import transcriptions
from transcribe.beats.analysis import analysed
from transcribe.errors import UsageError
from transcribe.events import Chord, Key, Metre, Note, Pedal, Transcription
from transcribe.formats import engraving
from transcribe.formats import musicxml as score
from transcribe.formats.musicxml_staff import spelled
from transcribe.formats.table import FORMATS
from transcribe.score.analysis import Timing
from transcribe.score.beats import Beats

music21 = pytest.importorskip("music21")
pytest.importorskip("verovio")

BEATS = tuple(0.5 * k for k in range(33))
# Few bars of a jig tell little of how many beats make one.
KNOWN = {"jig": Timing(metre="6/8")}


def heard(name: str, seed: int = 1, n_bars: int = 8) -> Transcription:
    notes, _ = performed(PIECES[name](np.random.default_rng(seed), n_bars), np.random.default_rng(seed + 100))
    found = analysed(Transcription(tuple(notes)), KNOWN.get(name, Timing()))
    start, end = notes[0].onset, max(note.offset for note in notes)
    chords = tuple(
        Chord(on, on + 1, label)
        for on, label in zip(
            np.linspace(start, end - 1, 8).tolist(),
            ("C:maj", "A:min7", "Bb:maj/3", "G:7", "F#:hdim7", "Eb:sus4(b7)", "N", "D:min(9)"),
            strict=True,
        )
    )
    pedals = tuple(Pedal(on, on + 1.1) for on in np.arange(start, end, 1.3).tolist())
    return replace(found, chords=chords, pedals=pedals)


@pytest.mark.parametrize("name", PIECES)
def test_scores_are_as_the_schema_says_and_read_back_with_their_notes(name: str, schema: Any) -> None:
    from lxml import etree

    whole = heard(name)
    content = score.to_musicxml(whole)
    assert schema.validate(etree.fromstring(content)), schema.error_log
    back = music21.converter.parseData(content, format="musicxml")
    pitches = Counter(
        pitch.midi
        for element in back.recurse().notes
        if not isinstance(element, music21.harmony.ChordSymbol)
        for one in (element.notes if element.isChord else [element])
        for pitch in [one.pitch]
        if one.tie is None or one.tie.type == "start"
    )
    assert pitches == Counter(note.pitch for note in whole.notes)


@pytest.mark.slow
def test_another_library_reads_the_same_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where it finds FluidSynth it downloads a sound font as soon as it is imported.
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    partitura = pytest.importorskip("partitura")
    whole = heard("waltz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says what it doesn't read: tempo marks, chord symbols
        back = partitura.load_musicxml(io.BytesIO(score.to_musicxml(whole)))
    assert sorted(note["pitch"] for note in back.note_array()) == sorted(note.pitch for note in whole.notes)


def test_every_bar_is_full_and_every_length_can_be_written() -> None:
    back = music21.converter.parseData(score.to_musicxml(heard("jig")), format="musicxml")
    for part in back.parts:
        measures = list(part.getElementsByClass("Measure"))
        assert {m.duration.quarterLength for m in measures[1:]} == {3.0}
        assert measures[1].getContextByClass("TimeSignature").ratioString == "6/8"


NOTHING = Transcription(duration=3.0)
ONE = Transcription((Note(1.0, 60, 2.0, 64),), duration=3.0)
FIVE = tuple(0.5 * k for k in range(21))


@pytest.mark.parametrize(
    "whole",
    [
        NOTHING,
        ONE,
        Transcription(
            tuple(Note(0.25 * k, 60 + k % 7, 0.25 * k + 0.2, 64) for k in range(40)), beats=FIVE, downbeats=FIVE[::5]
        ),
        Transcription((Note(0.5, 21, 9.0, 64), Note(0.5, 108, 9.0, 64)), beats=FIVE, downbeats=FIVE[1::3]),
        Transcription((Note(0.1, 60, 0.2, 64),), beats=(3.0, 3.5, 4.0), downbeats=(3.5,)),
        Transcription((Note(0.1, 60, 30.0, 64),), beats=(3.0, 3.5, 4.0), key="G# minor", keys=(Key(0, 9, "D# major"),)),
    ],
    ids=["silence", "one note", "5/4", "ends of the keyboard", "before the beats", "strange key"],
)
def test_odd_transcriptions_make_valid_scores(whole: Transcription, schema: Any) -> None:
    from lxml import etree

    content = score.to_musicxml(whole)
    assert schema.validate(etree.fromstring(content)), schema.error_log
    assert len(engraving.to_pages(whole)) >= 1


def test_five_four_is_five_four() -> None:
    notes = tuple(Note(0.5 * k, 60 + k % 7, 0.5 * k + 0.4, 64) for k in range(20))
    content = score.to_musicxml(Transcription(notes, beats=FIVE, downbeats=FIVE[::5]))
    assert b"<beats>5</beats>" in content


def test_triplets_that_go_on_are_numbered_in_two_bars_alone() -> None:
    beats = tuple(1.0 * k for k in range(25))
    notes = tuple(Note(k / 3, 72 + k % 4, k / 3 + 0.3, 64) for k in range(72))
    whole = Transcription(notes, beats=beats, downbeats=beats[::4], metres=(Metre(0.0, 24.0, "4/4"),))
    root = ElementTree.fromstring(score.to_musicxml(whole))
    shown = [
        [tuplet.get("show-number") != "none" for tuplet in bar.iter("tuplet") if tuplet.get("type") == "start"]
        for bar in root.iter("measure")
    ]
    assert [bar for bar in shown if bar] == [[True] * 4] * 2 + [[False] * 4] * 4


def test_a_dotted_note_of_a_triplet_is_a_part_of_it() -> None:
    """By its length alone it would be a plain eighth, and MuseScore found more in the bar than it holds."""
    beats = tuple(1.0 * k for k in range(9))
    spans = ((0.0, 1 / 3), (1 / 3, 5 / 6), (5 / 6, 1.0))
    notes = tuple(Note(k + a, 72, k + b - 0.02, 64) for k in range(8) for a, b in spans)
    whole = Transcription(notes, beats=beats, downbeats=beats[::4], metres=(Metre(0.0, 8.0, "4/4"),))
    root = ElementTree.fromstring(score.to_musicxml(whole))
    first = [
        (note.findtext("type"), len(note.findall("dot")), note.findtext("time-modification/actual-notes"))
        for note in list(root.iter("note"))[:3]
    ]
    assert first == [("eighth", 0, "3"), ("eighth", 1, "3"), ("16th", 0, "3")]


@pytest.mark.parametrize(
    ("tones", "key", "main", "mark"),
    [
        ((74, 72), "C major", "C5", None),  # begun with its upper note
        ((69, 70), "C major", "A4", "flat"),
        ((71, 73), "A minor", "B4", "sharp"),
        ((73, 74), "F major", "C#5", None),
    ],
)
def test_trills_are_of_their_lower_note_and_show_the_accidental_of_the_upper(
    tones: tuple[int, int], key: str, main: str, mark: str | None
) -> None:
    notes = [Note(0.5 * k, pitch, 0.5 * k + 0.45, 70) for k, pitch in enumerate((60, 64, 67, 64))]
    notes += [Note(2 + 0.07 * k, tones[k % 2], 2.06 + 0.07 * k, 70) for k in range(14)]
    notes.append(Note(3.0, 67, 3.5, 70))
    whole = Transcription(tuple(sorted(notes)), beats=BEATS[:9], downbeats=BEATS[:9:4], key=key)
    root = ElementTree.fromstring(score.to_musicxml(whole))
    (trilled,) = (note for note in root.iter("note") if note.find("notations/ornaments/trill-mark") is not None)
    sign = {"1": "#", "-1": "b"}.get(trilled.findtext("pitch/alter") or "", "")
    assert f"{trilled.findtext('pitch/step')}{sign}{trilled.findtext('pitch/octave')}" == main
    assert trilled.findtext("notations/ornaments/accidental-mark") == mark


def test_a_pick_up_has_number_0() -> None:
    notes = tuple(Note(time, 60, time + 0.4, 64) for time in FIVE[2:])
    back = music21.converter.parseData(score.to_musicxml(Transcription(notes, beats=FIVE, downbeats=FIVE[3::4])))
    measures = list(back.parts[0].getElementsByClass("Measure"))
    assert [(m.number, m.duration.quarterLength) for m in measures[:2]] == [(0, 1.0), (1, 4.0)]


@given(transcriptions())
@settings(max_examples=15, deadline=None)
def test_anything_can_be_written_down(whole: Transcription) -> None:
    assert music21.converter.parseData(score.to_musicxml(analysed(whole)), format="musicxml")


@pytest.mark.parametrize(
    ("pitch", "key", "name"),
    [
        (61, "C major", "C#4"),
        (63, "C major", "E-4"),
        (63, "A minor", "D#4"),
        (70, "Eb major", "B-4"),
        (65, "F# major", "E#4"),
        (71, "Gb major", "C-5"),
        (60, "C# minor", "B#3"),
    ],
)
def test_pitches_are_spelled_by_the_key(pitch: int, key: str, name: str) -> None:
    assert spelled(pitch, key) == (name[:-1], int(name[-1]))
    assert music21.pitch.Pitch(name).midi == pitch


def test_all_pitches_are_spelled_as_what_they_are() -> None:
    from transcribe.theory.keys import name_of

    for key in map(name_of, range(24)):
        for pitch in range(128):
            name, octave = spelled(pitch, key)
            assert music21.pitch.Pitch(name, octave=octave).midi == pitch


def test_the_lowest_pitches_are_read_back() -> None:
    notes = tuple(Note(0.5 * k, pitch, 0.5 * k + 0.4, 64) for k, pitch in enumerate((0, 5, 11, 12, 120, 127)))
    back = music21.converter.parseData(score.to_musicxml(Transcription(notes)), format="musicxml")
    assert sorted(pitch.midi for pitch in back.pitches) == [0, 5, 11, 12, 120, 127]


def test_scores_are_the_same_bytes_each_time() -> None:
    whole = heard("pop", n_bars=4)
    for form in ("musicxml", "mxl", "score", "pdf"):
        if form == "pdf" and importlib.util.find_spec("typst") is None:
            continue
        assert FORMATS[form].write(whole) == FORMATS[form].write(whole), form


def test_the_forms_hold_what_they_say() -> None:
    whole = heard("waltz", n_bars=120)
    with zipfile.ZipFile(io.BytesIO(score.to_mxl(whole))) as archive:
        assert archive.read("score.musicxml") == score.to_musicxml(whole)
        assert b'full-path="score.musicxml"' in archive.read("META-INF/container.xml")
    picture = engraving.to_svg(whole)
    assert picture.count(b"<svg") > len(engraving.to_pages(whole)) > 1
    pytest.importorskip("typst")
    assert engraving.to_pdf(whole).startswith(b"%PDF")


def test_a_score_is_engraved_in_any_thread() -> None:
    whole = heard("waltz", n_bars=4)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(engraving.to_svg, whole).result() == engraving.to_svg(whole)


def test_detail_makes_rhythms_finer() -> None:
    notes = tuple(
        Note(time, 60, time + 0.1, 64) for k in range(8) for time in (0.5 * k, 0.5 * k + 0.13, 0.5 * k + 0.25)
    )
    beats = Beats(tuple(0.5 * k for k in range(10)), confidence=1.0)
    whole = analysed(Transcription(notes), Timing(beats=beats))
    simple, fine = (score.to_musicxml(whole, detail).count(b"<type>16th</type>") for detail in (0.1, 3.0))
    assert simple < fine


def test_what_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'pitchai\[score\]'"):
        engraving.to_pdf(NOTHING)


@pytest.mark.slow
def test_musescore_opens_it(tmp_path: Path) -> None:
    program = shutil.which("mscore3") or shutil.which("musescore3") or shutil.which("mscore")
    if program is None:
        pytest.skip("no MuseScore here")
    source, target = tmp_path / "a.musicxml", tmp_path / "a.mid"
    source.write_bytes(score.to_musicxml(heard("pop")))
    done = subprocess.run(
        [program, "-o", str(target), str(source)],
        env={"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)},
        timeout=300,
    )
    assert done.returncode == 0
    assert target.stat().st_size > 100


@pytest.mark.parametrize("name", PIECES)
def test_what_was_played_comes_back_as_it_was_written(name: str) -> None:
    place, length, hand = np.mean(
        [placed(PIECES[name](np.random.default_rng(seed)), seed, KNOWN.get(name)) for seed in range(40, 43)], axis=0
    )
    # Even scales tell nothing of where bars begin: their place isn't found.
    assert place >= 0.9 or name == "scales"
    assert length >= 0.8
    assert hand >= 0.9
