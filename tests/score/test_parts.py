"""Some instruments of several, in everything that is written and in scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.formats.test_parts import BAND
from transcribe.cli.main import main as cli
from transcribe.events import Note, Transcription
from transcribe.formats.json import from_json, to_json
from transcribe.score.hands import find_hands
from transcribe.score.parts import only


def test_parts_are_kept_and_the_settings_say_so() -> None:
    some = only(BAND, ("drums", "bass"))
    assert [note.pitch for note in some.notes] == [40, 40]
    assert (some.drums, some.pedals, some.duration) == (BAND.drums, (), BAND.duration)
    assert some.settings["kept"] == ["bass", "drums"]
    piano = only(BAND, ("piano",))
    assert (len(piano.notes), piano.drums, piano.pedals) == (1, (), BAND.pedals)
    assert only(BAND, ()) is BAND


def test_notes_of_nobody_are_a_pianos() -> None:
    plain = Transcription(notes=(Note(0.0, 60, 1.0, 80),))
    assert only(plain, ("piano",)).notes == plain.notes
    assert only(plain, ("bass",)).notes == ()


def test_a_part_has_one_hand_and_a_keyboard_two() -> None:
    low, high = (tuple(Note(k, p, k + 1, 80, 1.0, "strings") for k in range(4) for p in ps) for ps in ((36, 48), (72,)))
    assert not find_hands(low).any()
    assert find_hands(high).all()
    both = tuple(sorted(Note(k, p, k + 1, 80, 1.0, "organ") for k in range(4) for p in (36, 72)))
    assert find_hands(both).tolist() == [False, True] * 4


@pytest.fixture
def band(tmp_path: Path) -> Path:
    path = tmp_path / "band.json"
    path.write_bytes(to_json(BAND))
    return path


def test_convert_keeps_instruments(band: Path) -> None:
    target = band.with_name("some.json")
    assert cli(["convert", str(band), str(target), "--instruments", "voice, bass"]) == 0
    assert {note.instrument for note in from_json(target.read_bytes()).notes} == {"voice", "bass"}


def test_a_score_may_be_of_one_part_on_one_staff(band: Path) -> None:
    music21 = pytest.importorskip("music21")
    part, all_of_it, notes = (band.with_name(name) for name in ("part.musicxml", "all.musicxml", "notes.csv"))
    assert cli(["convert", str(band), str(part), str(notes), "--part", "bass"]) == 0
    assert len(notes.read_text().splitlines()) == 1 + 4 + 3  # the heading, all notes, all strokes
    assert cli(["convert", str(band), str(all_of_it)]) == 0
    (staff,) = music21.converter.parse(part).parts
    assert (staff.partName, {p.midi for p in staff.pitches}) == ("Bass", {40})
    assert len(music21.converter.parse(all_of_it).parts) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--instruments", "kazoo"], "there is no instrument 'kazoo'"),
        (["--instruments", ","], "names nobody"),
        (["--part", "kazoo"], "there is no instrument 'kazoo'"),
        (["--part", "drums"], "drums have no score"),
        (["--part", "bass"], "--part is for scores"),
        (["--part", "bass", "--instruments", "piano"], "leaves it out"),
    ],
)
def test_what_makes_no_sense_is_refused(
    band: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert cli(["convert", str(band), str(band.with_name("a.mid")), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_pianos_model_is_not_asked_for_others(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([str(wav), "--model", "small", "--instruments", "bass"]) == 2
    assert "doesn't tell instruments apart" in capsys.readouterr().err
    assert not wav.with_suffix(".mid").exists()
