"""Charts in bars: what they look like, and that ChordPro's readers understand them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.cli.main import main
from transcribe.events import Chord, Key, Transcription
from transcribe.files import load, save
from transcribe.formats.json import from_json, to_json
from transcribe.formats.leadsheet import to_chordpro, to_lead_sheet
from transcribe.formats.schema import schema
from transcribe.report.document import to_dict
from transcribe.score.harmony import spelled
from transcribe.theory.chords import parse_name

# Two bars a line here; a beat lasts half a second, the first bar begins at 1 s, after a lead-in of two beats.
BARS = ["E:maj", "C#:min", "A:maj", "A:maj B:7/3", "E:maj", "C#:min", "A:maj", "A:maj B:7/3"]


def song() -> Transcription:
    chords = [Chord(0.0, 0.5, "N"), Chord(0.5, 1.0, "B:7")]
    for i, bar in enumerate([*BARS, "E:maj", "E:maj", "Ab:dim7"]):
        labels = bar.split()
        length = 2.0 / len(labels)
        chords += [Chord(1 + 2 * i + k * length, 1 + 2 * i + (k + 1) * length, one) for k, one in enumerate(labels)]
    beats = tuple(i / 2 for i in range(46))
    return Transcription(
        chords=tuple(chords),
        beats=beats,
        downbeats=beats[2::4],
        tempo=119.7,
        key="E major",
        keys=(Key(0.0, 23.0, "E major"),),
        duration=23.0,
    )


LEAD_SHEET = """\
Song
Key: E major   Tempo: 120   Time: 4/4

Lead-in
| B7             |

A
| E              | C#m            | A              | A . B7/D# .    |

A
| E              | C#m            | A              | A . B7/D# .    |

B
| E              | %              | G#dim7         |
"""
CHORDPRO = """\
{title: Song}
{key: D}
{tempo: 120}
{time: 4/4}
{capo: 2}

{start_of_grid shape="4x4" label="Lead-in"}
| A7 |
{end_of_grid}

{start_of_grid shape="4x4" label="A"}
| D . . . | Bm . . . | G . . . | G . A7/C# . |
{end_of_grid}

{start_of_grid shape="4x4" label="A"}
| D . . . | Bm . . . | G . . . | G . A7/C# . |
{end_of_grid}

{start_of_grid shape="4x4" label="B"}
| D . . . | % . . . | F#dim7 . . . |
{end_of_grid}
"""


def test_a_lead_sheet_by_hand() -> None:
    found = to_lead_sheet(song(), "Song").decode()
    assert re.sub(r" +\|", " |", found) == re.sub(r" +\|", " |", LEAD_SHEET)
    # Cells are as wide as the widest, so that bars stand below each other.
    assert len({len(cell) for line in found.splitlines() if line[:1] == "|" for cell in line.split("|")[1:-1]}) == 1


def test_chordpro_by_hand() -> None:
    assert to_chordpro(song(), "Song", capo=2).decode() == CHORDPRO


def test_a_bar_of_another_length_is_written_beat_by_beat() -> None:
    t = song()
    uneven = replace(t, chords=(Chord(1.0, 9.0, "E:maj"),), downbeats=(1.0, 3.0, 4.0, 6.0, 8.0))
    rows = [line for line in to_lead_sheet(uneven).decode().splitlines() if line.startswith("|")]
    assert re.sub(r" +\|", " |", rows[0]) == "| E | E . | E | % |"


def test_titles_cannot_end_a_directive() -> None:
    assert to_chordpro(song(), "a}\n{comment: b").decode().splitlines()[0] == "{title: a) (comment: b}"
    assert to_chordpro(song(), "\udcff").decode().startswith("{title: ?}")


def test_chordpros_readers_understand() -> None:
    chordsketch = pytest.importorskip("chordsketch", reason="chordsketch isn't installed")
    for chart in (to_chordpro(song(), "Song", 2), to_chordpro(replace(song(), beats=()), "Song")):
        assert chordsketch.validate(chart.decode()) == []
    read = chordsketch.parse_and_render_text(to_chordpro(song(), "Song").decode(), None, None)
    for part in ("Song", "E major", "120", "4/4", "Lead-in", "| E . . . | % . . . | G#dim7 . . . |"):
        assert part in read
    # It knows the chords as such: a tone higher they are others.
    by_time = to_chordpro(replace(song(), beats=())).decode()
    higher = chordsketch.parse_and_render_text(by_time, None, 2)
    assert re.findall(r"\S+", higher.split("0:00)")[1])[:4] == ["N.C.", "Db7", "Gb", "Ebm"]


@given(
    st.lists(
        st.tuples(st.floats(0.2, 3), st.sampled_from(["C:maj", "Db:min7/b3", "Ab:dim7", "N", "X", "G:sus4(b7)"])),
        max_size=15,
    ),
    st.integers(0, 11),
    st.integers(2, 4),
)
def test_every_sign_of_a_chart_is_known(spans: list[tuple[float, str]], capo: int, n_beats: int) -> None:
    time, chords = 0.0, []
    for length, label in spans:
        chords.append(Chord(time, time + length, label))
        time += length
    beats = tuple(i / 2 for i in range(12))
    t = Transcription(chords=tuple(chords), beats=beats, downbeats=beats[1::n_beats], tempo=120.0, duration=time)
    for chart in (to_lead_sheet(t, capo=capo), to_chordpro(t, capo=capo)):
        for line in chart.decode().splitlines():
            if line.startswith("|"):
                bars = [bar.split() for bar in line.strip("|").split("|")]
                assert 1 <= len(bars) <= 4
                for bar in bars:
                    assert len(bar) <= n_beats
                    for sign in bar:
                        if sign not in (".", "%", "N.C.", "?"):
                            parse_name(sign)


def test_json_tells_bar_and_beat() -> None:
    document = to_dict(song())
    chords = document["chords"]
    assert isinstance(chords, list)
    places = [(chord["label"], chord["bar"], chord["beat"]) for chord in chords]
    assert places[:4] == [("N", 0, 3), ("B:7", 0, 4), ("E:maj", 1, 1), ("C#:min", 2, 1)]
    assert places[5:7] == [("A:maj", 4, 1), ("B:7/3", 4, 3)]
    assert from_json(to_json(song())) == song()
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(document, schema())
    without = to_dict(replace(song(), beats=(), downbeats=()))
    jsonschema.validate(without, schema())
    assert {(chord["bar"], chord["beat"]) for chord in without["chords"]} == {(None, None)}


@pytest.mark.parametrize("suffix", ["lab", "json", "csv", "jams", "mid", "cho", "txt", "html", "svg"])
def test_chords_are_spelled_alike_everywhere(suffix: str, tmp_path: Path) -> None:
    flat = replace(song(), chords=tuple(replace(c, label=c.label.replace("C#:", "Db:")) for c in song().chords))
    path = tmp_path / f"song.{suffix}"
    # A table of notes holds no chords; MIDI has them as text beside the notes.
    save(spelled(flat), path, task="chords" if suffix == "csv" else "notes")
    written = path.read_bytes()
    if suffix == "html":  # beside its data it holds sounds and scripts
        written = written.partition(b'id="data">')[2].partition(b"</script>")[0]
    assert b"C#m" in written or b"C#:min" in written
    assert b"Db" not in written


def test_convert_makes_charts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, chart, sheet = tmp_path / "Song.json", tmp_path / "a.cho", tmp_path / "a.txt"
    save(song(), result)
    assert main(["convert", str(result), str(chart), str(sheet), "--capo", "2", "-q"]) == 0
    assert chart.read_text() == CHORDPRO
    assert "Capo: 2" in sheet.read_text()
    assert main(["convert", str(result), str(tmp_path / "b.json"), str(tmp_path / "b.lab"), "--transpose", "-4"]) == 0
    moved = load(tmp_path / "b.json")
    assert (moved.key, moved.chords[2].label, moved.chords[3].label) == ("C major", "C:maj", "A:min")
    assert moved.settings["transpose"] == -4
    assert "C:maj" in (tmp_path / "b.lab").read_text()
    # A file without a key is spelled too.
    lab = tmp_path / "flat.lab"
    lab.write_text("0 2 E\n2 4 Db:min\n4 6 A\n6 8 B\n8 10 E\n")
    assert main(["convert", str(lab), str(tmp_path / "flat.cho"), "--title", "Flat"]) == 0
    assert "[C#m]" in (tmp_path / "flat.cho").read_text()
    assert (tmp_path / "flat.cho").read_text().startswith("{title: Flat}\n{key: E}\n")
    capsys.readouterr()
    assert main(["show", str(lab)]) == 0
    assert "C#:min" in capsys.readouterr().out
    assert main(["convert", str(result), str(tmp_path / "c.json"), "--capo", "2"]) == 2
    assert "--title and --capo are for charts" in capsys.readouterr().err
    assert json.loads(result.read_text())["chords"][2]["bar"] == 1
