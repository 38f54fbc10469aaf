"""Tables as others write them: decimal commas, other separators, other encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.beats.datasets import read_beats
from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats import lab as chart
from transcribe.formats.csv import from_csv
from transcribe.formats.reading import Numbers, decode, rows
from transcribe.formats.table import read_transcription
from transcribe.notes.datasets import read_labels
from transcribe.report.document import to_dict

HEADING = "onset{0}offset{0}pitch{0}velocity{0}confidence\n"


def beats_of(tmp_path: Path, text: str | bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
    path = tmp_path / "a.beats"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = read_beats(path)
    return found.beats, found.downbeats


@pytest.mark.parametrize(
    "text",
    [
        "0.5\t1\n1.5\t2\n2.5\t1\n",
        "0,5\t1\n1,5\t2\n2,5\t1\n",  # decimal commas
        "0,5 1\n1,5 2\n2,5 1\n",
        "0,5;1\n1,5;2\n2,5;1\n",
        "0,5 ; 1\r\n1,5 ; 2\r\n2,5 ; 1\r\n",
        "0,5;1;\n1,5;2;\n2,5;1;\n",
        "# Takt\n0,50 1\n\n1,50 2\n2,50 1",
        "0.5,1\n1.5,2\n2.5,1\n",  # commas between columns
        "0.5, 1\n1.5, 2\n2.5, 1\n",
        "time,bar,beat\n0.5,1,1\n1.5,1,2\n2.5,2,1\n",
        "time;bar;beat\n0,5;1;1\n1,5;1;2\n2,5;2;1\n",
        "5e-1\t1\n+1.5\t2\n2.50000\t1\n",
        "\ufeff0,5\t1\n1,5\t2\n2,5\t1\n",
        "0,5\t1\n1,5\t2\n2,5\t1\n".encode("utf-16"),
    ],
)
def test_beats_as_others_write_them(tmp_path: Path, text: str | bytes) -> None:
    assert beats_of(tmp_path, text) == ((0.5, 1.5, 2.5), (0.5, 2.5))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,5\n1,5\n2,5\n", "may hold decimal commas"),  # as well times of 0, 1, 2 s
        ("0,5,1\n1,5,2\n2,5,1\n", "may hold decimal commas"),
        ("time,beat\n0,5,1\n1,5,2\n", "may hold decimal commas"),
        ("0.5\t1\n1,5\t2\n", "line 2.*another decimal mark"),
        ("1.000,5\t1\n1.001,5\t1\n", "line 1.*no number"),  # thousands
        ("0_5\t1\n1_5\t2\n", "line 1.*no number"),
        ("0.5 1\n٢.5 1\n", "line 2.*no number"),
        (b"0.5 1\n1.5 \xe4\n", "no text"),
    ],
)
def test_what_may_mean_two_things_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        beats_of(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        HEADING.format(",") + "0.5,1.25,60,80,0.9\n",
        HEADING.format(";") + "0,5;1,25;60;80;0,9\n",
        HEADING.format("\t") + "0,5\t1,25\t60\t80\t0,9\n",
        HEADING.format(",") + '"0,5","1,25",60,80,"0,9"\n',
        HEADING.format(", ") + "0.5, 1.25, 60, 80, 0.9\n",
        "pitch,velocity,onset,offset,confidence,hand\n60,80,0.5,1.25,0.9,left\n",
        "\ufeff" + HEADING.format(";") + "0,5;1,25;60,0;80;0,9\r\n",
        "sep=;\r\n" + HEADING.format(";") + "0,5;1,25;60;80;0,9\r\n",
        (HEADING.format(",") + "0.5,1.25,60,80,0.9\n").replace("\n", "\r"),
        HEADING.format(",").upper() + "0.5,1.25,60,80,0.9\n",
        "\n\n" + HEADING.format(",") + "\n0.5,1.25,60,80,0.9\n\n",
    ],
)
def test_tables_of_notes_as_spreadsheets_write_them(text: str) -> None:
    (note,) = from_csv(text.encode()).notes
    assert (note.onset, note.offset, note.pitch, note.velocity, note.confidence) == (0.5, 1.25, 60, 80, 0.9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADING.format(",") + "0,5,1,25,60,80,0,9\n", "line 2 has more columns.*decimal commas"),
        (HEADING.format(",") + "0.5,1.25,60\n", "no number"),
        (HEADING.format(",") + '0.5,"1,25",60,80,0.9\n', "another decimal mark"),
        (HEADING.format(",") + "0.5,1.25,60.5,80,0.9\n", "no whole number"),
        (HEADING.format(",") + "nan,1.25,60,80,0.9\n", "no number"),
        (HEADING.format(",") + "0.5,1.25,6_0,80,0.9\n", "no number"),
        (HEADING.format(",") + "0.5,1.25,C4,80,0.9\n", "no number"),
        (HEADING.format(",") + "0\0,1.25,60,80,0.9\n", "no number"),
        (HEADING.format(",") + "-0.5,1.25,60,80,0.9\n", "between 0 and a month"),
        (HEADING.format(",") + '0.5,1.25,60,80,"0.9\n0.5,1.25,60,80,0.9\n', "no number"),
        (HEADING.format(",") + "0.5,1.25,60,80," + "1" * 200_000 + "\n", "field larger"),
        (HEADING.format(",").replace("offset", "pitch") + "0.5,60,60,80,0.9\n", "twice"),
    ],
)
def test_tables_that_may_mean_two_things_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        from_csv(text.encode())


@pytest.mark.parametrize("text", ["0.5 1.5 60 80\n", "0,5\t1,5\t60\t80\n", "0,5;1,5;60;80\n", "0.5,1.5,60,80\n"])
@pytest.mark.parametrize("heading", ["", "OnsetTime\tOffsetTime\tMidiPitch\tVelocity\n", "# onset, offset\n"])
def test_labels_with_decimal_commas(tmp_path: Path, heading: str, text: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text((heading.replace("\t", ",") if text == "0.5,1.5,60,80\n" else heading) + text)
    (note,) = read_labels(path).notes
    assert (note.onset, note.offset, note.pitch, note.velocity) == (0.5, 1.5, 60, 80)


@pytest.mark.parametrize("text", ["1.5 1 60 80\n", "0.5 1 60 0.8\n", "0.5 1 60 80 left\n", "0.5 1\n", "nan 1 60 80\n"])
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.tsv"):
        read_labels(path)


@pytest.mark.parametrize(
    "change",
    [
        {"tempo": float("inf")},
        {"tempo": float("nan")},
        {"beat_confidence": "high"},
        {"beats": [True]},
        {"duration": True},
        {"notes": [{"onset": 0.0, "pitch": True, "offset": 1.0, "velocity": 80, "confidence": 1.0}]},
        {"notes": [{"onset": 0.0, "pitch": 60.0, "offset": 1.0, "velocity": 80, "confidence": 1.0}]},
        {"notes": [{"onset": 0.0, "pitch": 60, "offset": 10**300, "velocity": 80, "confidence": 1.0}]},
        {"notes": None},
        {"beats": [1.0, "2"]},
    ],
)
def test_json_of_strange_values_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**to_dict(Transcription(duration=2.0)), **change}))
    with pytest.raises(InputError) as caught:
        read_transcription(path)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_json_in_other_encodings_and_orders(tmp_path: Path) -> None:
    chords = [{"onset": float(k), "offset": k + 1.0, "label": "C:maj", "confidence": 1.0} for k in (1, 0)]
    text = json.dumps({**to_dict(Transcription(duration=4.0)), "beats": [3.0, 1.0, 2.0], "chords": chords})
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path = tmp_path / f"{encoding}.json"
        path.write_bytes(text.encode(encoding))
        read = read_transcription(path)
        assert read.beats == (1.0, 2.0, 3.0)
        assert [chord.onset for chord in read.chords] == [0.0, 1.0]


def test_separators_of_lines_within_a_line_do_not_part_it() -> None:
    with pytest.raises(InputError, match="line 1: it has 6 columns"):
        chart.from_lab("0 1 C:maj\u20281 2 D:min\n".encode())


def test_chords_with_decimal_commas() -> None:
    (chord,) = chart.from_lab(b"0,5\t1,5\tC:maj(9,11)\n").chords
    assert (chord.onset, chord.offset) == (0.5, 1.5)
    with pytest.raises(InputError, match=r"line 2.*another decimal mark"):
        chart.from_lab(b"0,5 1,5 C:maj\n1.5 2.5 C:maj\n")


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 9)), min_size=1, max_size=5), st.sampled_from("\t ;"))
def test_a_decimal_comma_means_what_a_point_means(table: list[tuple[float, int]], mark: str) -> None:
    lines = "".join(f"{time:.3f}{mark}{place}\n" for time, place in table)
    number, other = Numbers(), Numbers()
    points = [[number(word) for word in words] for _, words in rows(lines.encode())]
    commas = [[other(word) for word in words] for _, words in rows(lines.replace(".", ",").encode())]
    assert points == commas == [[float(f"{time:.3f}"), place] for time, place in table]


@given(st.text(max_size=30))
def test_text_of_any_encoding_that_says_so(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        assert decode(text.encode(encoding, "ignore")) == text.encode(encoding, "ignore").decode("utf-8-sig")
    if text:
        encoded = text.encode("utf-16", "ignore")
        assert len(encoded) == 2 or decode(encoded) == encoded.decode("utf-16")
