from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.conftest import FIVE_NOTES, ROOT
from tests.strategies import transcriptions
from transcribe.cli.main import main as cli
from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.formats.json import to_json
from transcribe.formats.table import FORMATS
from transcribe.report import roll


def size_of(png: bytes) -> tuple[int, int]:
    import matplotlib.image

    height, width, _ = matplotlib.image.imread(io.BytesIO(png), format="png").shape
    return width, height


def test_hits_misses_and_extras() -> None:
    late = Note(1.2, 64, 1.5, 90)
    hits, misses, extras = roll.compare(FIVE_NOTES, [FIVE_NOTES[0], late, *FIVE_NOTES[2:4]])
    assert hits == [FIVE_NOTES[0], *FIVE_NOTES[2:4]]
    assert misses == [FIVE_NOTES[1], FIVE_NOTES[4]]
    assert extras == [late]
    assert roll.compare([], FIVE_NOTES) == ([], [], FIVE_NOTES)
    assert roll.compare(FIVE_NOTES, []) == ([], FIVE_NOTES, [])


def test_the_same_notes_give_the_same_picture() -> None:
    song = Transcription(notes=tuple(FIVE_NOTES), pedals=(Pedal(0.5, 2.0),), duration=3.0)
    for name in ("png", "svg"):
        assert FORMATS[name].write(song) == FORMATS[name].write(song)
    assert roll.to_png(song) != roll.to_png(Transcription(notes=tuple(FIVE_NOTES[:4]), duration=3.0))


def test_every_note_pedal_and_chord_is_drawn() -> None:
    chords = (Chord(0.0, 1.5, "C:maj", 0.9), Chord(1.5, 3.0, "A$<&>:min", 0.9))
    song = Transcription(notes=tuple(FIVE_NOTES), pedals=(Pedal(0.5, 2.0),), chords=chords, duration=3.0)
    axes, key = roll.draw(song, roll.Scene("A $ong")).axes
    assert key.get_label() == "key"
    boxes = [box for collection in axes.collections for box in collection.get_paths()]
    assert len(boxes) == len(FIVE_NOTES) + 1
    first = boxes[0].get_extents()
    assert (first.x0, first.x1, (first.y0 + first.y1) / 2) == pytest.approx((0.5, 1.0, 60))
    texts = {text.get_text().strip() for text in axes.texts}
    assert {"C", r"A\$<&>:min", "Ped.", "C4"} <= texts
    assert b"A$&lt;&amp;&gt;:min" in roll.to_svg(song)


def test_there_is_a_title_and_what_is_played_is_shown_with_its_bars() -> None:
    song = Transcription(
        notes=tuple(FIVE_NOTES), beats=(0.0, 0.5, 1.0, 1.5, 2.0, 2.5), downbeats=(0.0, 1.0, 2.0), duration=3.0
    )
    figure = roll.draw(song, roll.Scene("My $ong"))
    assert [text.get_text() for text in figure.texts] == [r"My \$ong"]
    axes, key = figure.axes
    assert {text.get_text() for text in key.texts} == {"soft 1", "127 loud"}
    assert {"1", "2", "3"} <= {text.get_text() for text in axes.texts}
    low, high = min(note.pitch for note in FIVE_NOTES), max(note.pitch for note in FIVE_NOTES)
    assert axes.get_ylim() == pytest.approx((low - 1.5, high + 1.5)) or high - low < 11


def test_names_of_chords_do_not_run_into_each_other() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    chords = tuple(Chord(0.2 * k, 0.2 * k + 0.2, "F#:min7") for k in range(100))
    figure = roll.draw(Transcription(chords=chords, duration=20.0))
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    named = [text for text in figure.axes[0].texts if "F" in text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in named]
    assert len(boxes) > 40
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_the_colours_are_those_of_the_page() -> None:
    style = (ROOT / "transcribe/report/assets/page.css").read_text(encoding="utf-8").lower()
    for name, colour in (("hit", roll.HIT), ("miss", roll.MISS), ("extra", roll.EXTRA), ("pedal", roll.PEDAL)):
        assert f"--{name}: {colour.lower()}" in style


def test_a_long_piece_has_rows_and_an_hour_fits() -> None:
    notes = tuple(Note(k * 1.0, 40 + k % 40, k + 0.8, 64) for k in range(120))
    assert len(roll.draw(Transcription(notes=notes, duration=120.0)).axes) == 6 + 1
    hours = Transcription(notes=tuple(Note(k * 60.0, 60, k * 60 + 1, 64) for k in range(200)), duration=12_000)
    assert len(roll.draw(hours).axes) == roll.MOST_ROWS + 1
    width, height = size_of(roll.to_png(Transcription(notes=notes, duration=120.0)))
    assert width == roll.INCHES * roll.DPI
    assert height < 65_536


def test_beside_a_reference_there_is_a_legend() -> None:
    figure = roll.draw(
        Transcription(notes=tuple(FIVE_NOTES[1:])), roll.Scene(reference=Transcription(notes=tuple(FIVE_NOTES[:4])))
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["hit", "missed", "extra"]


@given(transcription=transcriptions())
@settings(max_examples=8)
def test_anything_can_be_drawn(transcription: Transcription) -> None:
    assert roll.to_svg(transcription).startswith(b"<?xml")


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    song = Transcription(notes=tuple(FIVE_NOTES), duration=3.0)
    (tmp_path / "a.json").write_bytes(to_json(song))
    targets = [str(tmp_path / name) for name in ("a.mid", "a.csv", "a.png", "a.svg")]
    assert cli(["convert", str(tmp_path / "a.json"), *targets]) == 0
    assert capsys.readouterr().out.splitlines() == targets
    assert all(Path(target).stat().st_size for target in targets)
    assert cli(["convert", str(tmp_path / "a.mid"), str(tmp_path / "b.json")]) == 0
    read = FORMATS["json"].read
    assert read is not None
    assert [note.pitch for note in read((tmp_path / "b.json").read_bytes()).notes] == [
        note.pitch for note in sorted(FIVE_NOTES)
    ]


def test_convert_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_bytes(to_json(Transcription()))
    assert cli(["convert", str(tmp_path / "a.json"), str(tmp_path / "a.xyz")]) == 2
    assert cli(["convert", str(tmp_path / "a.png"), str(tmp_path / "b.mid")]) == 3
    assert "written only" in capsys.readouterr().err
    (tmp_path / "b.mid").write_bytes(b"mine")
    assert cli(["convert", str(tmp_path / "a.json"), str(tmp_path / "b.mid")]) == 5
    assert (tmp_path / "b.mid").read_bytes() == b"mine"
