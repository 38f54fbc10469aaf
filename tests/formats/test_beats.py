from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.pieces import performed, waltz
from transcribe.beats.datasets import read_beats
from transcribe.beats.metrics import evaluate_beats, read_truth, score_beats
from transcribe.beats.task import BEATS
from transcribe.cli.main import main
from transcribe.errors import InputError
from transcribe.events import Key, Note, Transcription
from transcribe.formats.beats import to_beats
from transcribe.formats.csv import beats_to_csv as to_csv
from transcribe.formats.midi import from_midi
from transcribe.formats.table import FORMATS
from transcribe.registry import load_dataset
from transcribe.score.numbering import numbered

EXAMPLE = Path(__file__).parents[2] / "examples" / "waltz.flac"
WHOLE = Transcription(beats=(0.5, 1.0, 1.5, 2.0, 2.5), downbeats=(1.0, 2.5), beat_confidence=0.8, duration=3.0)


def test_beats_have_numbers_within_their_bars() -> None:
    assert list(numbered(WHOLE)) == [(0.5, 0, 3), (1.0, 1, 1), (1.5, 1, 2), (2.0, 1, 3), (2.5, 2, 1)]
    assert to_beats(WHOLE) == b"0.5000\t3\n1.0000\t1\n1.5000\t2\n2.0000\t3\n2.5000\t1\n"
    assert to_csv(WHOLE).splitlines()[:2] == [b"time,bar,beat", b"0.5000,0,3"]


def test_a_pick_up_ends_the_bar_before() -> None:
    whole = Transcription(beats=tuple(0.5 * k for k in range(10)), downbeats=(0.5, 2.0, 3.5))
    assert [number for _, _, number in numbered(whole)][:4] == [3, 1, 2, 3]
    assert [bar for _, bar, _ in numbered(whole)][:4] == [0, 1, 1, 1]


def test_beats_without_bars_are_times() -> None:
    whole = Transcription(beats=(0.5, 1.0))
    assert to_beats(whole) == b"0.5000\n1.0000\n"
    assert to_beats(Transcription()) == b""


@pytest.mark.parametrize("form", ["beats", "csv", "json", "midi"])
def test_what_was_written_is_read(form: str, tmp_path: Path) -> None:
    beats = tuple(round(0.5 * k, 4) for k in range(9))
    notes = tuple(Note(beat, 60, beat + 0.4, 64) for beat in beats)
    whole = Transcription(notes, beats=beats, downbeats=beats[::3], duration=5.0)
    path = tmp_path / f"a{BEATS.formats[form].suffixes[0]}"
    path.write_bytes(BEATS.formats[form].write(whole))
    found = read_beats(path)
    assert found.beats == pytest.approx(beats, abs=1e-4)
    assert found.downbeats == pytest.approx(beats[::3], abs=1e-4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least two"),
        ("1.0\n0.5\n", "in order"),
        ("0\n20\n", "0.1 to 10 s apart"),
        ("a\nb\n", "line 1"),
        ("0.0 1\nnan 2\n", "line 2"),
        ("0.0\n-1.0\n", "line 2"),
        ("\x00\xff", "line 1"),
    ],
)
def test_what_is_no_list_of_beats_is_said_in_a_line(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.beats"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_beats(path)
    assert "\n" not in str(caught.value)


def test_comments_and_commas_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("# beats\n0.5, 1\n1.0; 2\n\n1.5\t1\n")
    assert read_beats(path).downbeats == (0.5, 1.5)
    with pytest.raises(InputError, match="no such file"):
        read_beats(tmp_path / "nothing.beats")


def test_the_command_prints_and_writes_beats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [str(tmp_path / f"w.{suffix}") for suffix in ("beats", "json", "csv", "mid", "jams")]
    words = ["beats", str(EXAMPLE), "--model", "small", *(word for path in outputs for word in ("-o", path))]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "3 beats a bar" in printed
    assert "C major" in printed
    found = json.loads((tmp_path / "w.json").read_text())
    assert found["tempo"] == pytest.approx(131, abs=2)
    assert len(read_beats(tmp_path / "w.beats").beats) == len(found["beats"]) > 20
    jams = json.loads((tmp_path / "w.jams").read_text())
    assert {"beat", "key_mode"} <= {annotation["namespace"] for annotation in jams["annotations"]}


def test_tempo_beats_and_quantizing_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes, _ = performed(waltz(np.random.default_rng(1), 8), np.random.default_rng(2))
    source, beats = tmp_path / "a.json", tmp_path / "a.beats"
    source.write_bytes(FORMATS["json"].write(Transcription(tuple(notes), duration=notes[-1].offset)))
    beats.write_text("".join(f"{0.5 * k}\t{k % 5 + 1}\n" for k in range(60)))
    target = tmp_path / "a.mid"
    assert main(["convert", str(source), str(target), "--beats", str(beats), "--quantize"]) == 0
    read = from_midi(target.read_bytes())
    assert read.downbeats[:3] == pytest.approx((0.0, 2.5, 5.0), abs=1e-3)
    off = [abs(note.onset * 48 - round(note.onset * 48)) for note in read.notes]
    assert max(off) < 0.05
    assert main(["convert", str(source), str(tmp_path / "b.json"), "--tempo", "63"]) == 0
    assert json.loads((tmp_path / "b.json").read_text())["tempo"] == pytest.approx(63, rel=0.05)
    capsys.readouterr()
    assert main(["convert", str(source), str(tmp_path / "c.mid"), "--tempo", "60", "--beats", str(beats)]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert not (tmp_path / "c.mid").exists()


def test_scores_by_hand() -> None:
    times = tuple(0.5 * k for k in range(40))
    truth = Transcription(beats=times, downbeats=times[::4], key="C# major")
    assert score_beats(truth, Transcription(beats=times, downbeats=times[::4], key="Db major")) == {
        "beats": 1.0,
        "downbeats": 1.0,
        "key": 1.0,
        "key_weighted": 1.0,
    }
    fifth = score_beats(truth, Transcription(beats=times[::2], key="Ab major"))
    assert fifth["beats"] == pytest.approx(2 / 3, abs=0.02)
    assert (fifth["downbeats"], fifth["key"], fifth["key_weighted"]) == (0.0, 0.0, 0.5)
    assert score_beats(Transcription(key="C major"), Transcription()) == {"key": 0.0, "key_weighted": 0.0}


def test_a_folder_with_beats_and_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples, rate = soundfile.read(EXAMPLE)
    soundfile.write(tmp_path / "a.flac", samples, rate)
    (tmp_path / "a.beats").write_text("".join(f"{0.39 + 0.4555 * k}\t{k % 3 + 1}\n" for k in range(25)))
    (tmp_path / "a.key").write_text("0.0\t3.0\tG major\n3.0\t12.0\tC major\n")
    (piece,) = load_dataset("beats", tmp_path)
    assert read_truth(piece).key == "C major"
    assert main(["eval", "--dataset", "beats", "--data", str(tmp_path), "--model", "small", "--json", "--quiet"]) == 0
    means = json.loads(capsys.readouterr().out)["means"]
    assert means["beats"] > 0.9
    assert means["key"] == 1.0
    assert main(["eval", "--dataset", "beats", "--data", str(tmp_path), "--model", "small", "--quiet"]) == 0
    assert "beats, F1" in capsys.readouterr().out
    (tmp_path / "a.key").write_text("nonsense\n")
    with pytest.raises(InputError, match=r"a\.key"):
        read_truth(piece)


def test_no_pieces_have_no_means() -> None:
    assert evaluate_beats([], None).means == {}  # type: ignore[arg-type]


def test_keys_of_sections_are_read_back() -> None:
    whole = Transcription(key="C major", keys=(Key(0.0, 4.0, "C major"), Key(4.0, 9.0, "A minor")), duration=9.0)
    read = FORMATS["json"].read
    assert read is not None
    assert read(FORMATS["json"].write(whole)) == whole
