from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile
import typer

from tests.cli.conftest import Call, one_line
from tests.conftest import FIVE_NOTES
from tests.signals import RATE
from transcribe.cli import listen
from transcribe.cli.listen import command_of
from transcribe.cli.options import Part
from transcribe.engine.task import Option
from transcribe.events import Transcription
from transcribe.formats.midi import to_midi
from transcribe.formats.table import FORMATS, read_transcription
from transcribe.instruments.decoder import FAMILIES
from transcribe.registry import TASKS, Task
from transcribe.report.tables import Table
from transcribe.score.analysis import Timing
from transcribe.transcriber import Transcriber


def test_a_recording_becomes_midi_beside_it(call: Call, wav: Path) -> None:
    code, out, err = call(wav)
    assert (code, err) == (0, "")
    assert "song.mid" in out
    assert "0:03" in out or "3.0 s" in out
    found = read_transcription(wav.with_suffix(".mid")).notes
    assert sorted(note.pitch for note in found) == sorted(note.pitch for note in FIVE_NOTES)


def test_json_is_pure_and_quiet_prints_paths(call: Call, wav: Path) -> None:
    code, out, err = call(wav, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["input"] == str(wav)
    assert document["outputs"] == []
    assert not wav.with_suffix(".mid").exists()
    assert document["duration"] == 3.0
    code, out, err = call(wav, "--json", "-o", wav.with_suffix(".mid"))
    assert json.loads(out)["outputs"] == [str(wav.with_suffix(".mid"))]
    assert wav.with_suffix(".mid").exists()
    code, out, err = call(wav, "--quiet", "-o", wav.with_suffix(".csv"))
    assert (code, out, err) == (0, f"{wav.with_suffix('.csv')}\n", "")


def test_odd_recordings_give_a_valid_result_and_a_warning(call: Call, tmp_path: Path) -> None:
    recordings = {
        "silence": (np.zeros(RATE), RATE),
        "one": (np.ones(1) * 0.5, RATE),
        "nan": (np.full(RATE, np.nan), RATE),
        "low": (np.sin(np.arange(8000) / 5), 8000),
        "high": (np.sin(np.arange(96000) / 50), 96000),
        "six": (np.zeros((RATE, 6)), RATE),
    }
    for name, (samples, rate) in recordings.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, rate, subtype="FLOAT")
        code, out, err = call(path, "--json")
        assert code == 0
        assert json.loads(out)["duration"] == pytest.approx(len(samples) / rate, abs=1e-3)
        assert all(line.startswith(f"pitchai: {name}.wav: ") for line in err.splitlines())
        if name in ("silence", "nan", "six"):
            assert "silent" in err


@pytest.mark.skipif(os.name == "nt", reason="POSIX named pipes")
def test_a_named_pipe_is_a_recording(call: Call, wav: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    writer = subprocess.Popen(f'cat "{wav}" > "{tmp_path / "pipe.wav"}"', shell=True)
    code, _, err = call(tmp_path / "pipe.wav", "-o", tmp_path / "x.json", "-q")
    writer.wait()
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "x.json").read_text())["duration"] == 3.0


def test_chords_are_printed_and_written_only_when_asked(call: Call, strums: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = call("chords", strums)
    assert (code, err) == (0, "")
    assert "| C | Am |" in out
    assert "A:min" in out
    assert set(tmp_path.iterdir()) == before
    outputs = [tmp_path / f"song.{suffix}" for suffix in ("lab", "json", "csv", "jams", "mid", "cho", "txt")]
    code, out, err = call("chords", strums, "-q", *(word for path in outputs for word in ("-o", path)))
    assert (code, out.split(), err) == (0, [str(path) for path in outputs], "")
    assert outputs[-1].read_text() == "strums\nNo bars are known: the chords stand by time.\n\n| C | Am |\n"
    code, out, _ = call("chords", strums, "-o", "-", "--format", "lab")
    assert out == outputs[0].read_text()
    code, out, _ = call("chords", strums, "--json", "--vocabulary", "majmin")
    assert [chord["label"] for chord in json.loads(out)["chords"]] == ["C:maj", "A:min"]


def test_chords_of_bad_input_and_options(call: Call, strums: Path, tmp_path: Path) -> None:
    for arguments, expected in (
        ((tmp_path / "none.wav",), 3),
        ((strums, "--vocabulary", "jazz"), 2),
        ((strums, "-o", "x.foo"), 2),
        ((strums, "-o", "-"), 2),
        ((strums, "-o", tmp_path), 2),
        ((strums, "--model", "large"), 2),
        ((strums, "--tempo", "90"), 2),
    ):
        code, out, err = call("chords", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_instruments_are_printed_and_written_only_when_asked(call: Call, wav: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = call("instruments", wav)
    assert (code, err) == (0, "")
    assert "% of the time" in out or "unknown" in out
    assert set(tmp_path.iterdir()) == before
    outputs = [tmp_path / f"song.{suffix}" for suffix in ("lab", "json", "csv", "jams")]
    # Something is always at least so probable.
    anything = ("--threshold", "0.0001", "--vocabulary", "families")
    code, out, err = call("instruments", wav, "-q", *anything, *(word for path in outputs for word in ("-o", path)))
    assert (code, out.split(), err) == (0, [str(path) for path in outputs], "")
    tags = json.loads(outputs[1].read_text())["instruments"]
    assert {tag["label"] for tag in tags} <= set(FAMILIES)
    assert [line.split("\t")[2] for line in outputs[0].read_text().splitlines()] == [tag["label"] for tag in tags]
    assert len(outputs[2].read_text().splitlines()) == len(tags) + 1 > 1
    assert read_transcription(outputs[1]).instruments
    for arguments, expected in (
        ((tmp_path / "none.wav",), 3),
        ((wav, "--vocabulary", "colours"), 2),
        ((wav, "-o", tmp_path / "x.mid"), 2),
        ((wav, "--transpose", "2"), 2),
    ):
        code, out, err = call("instruments", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_silence_has_no_instruments(call: Call, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * RATE), RATE)
    code, out, err = call("instruments", tmp_path / "silence.wav")
    assert code == 0
    assert "unknown" in out
    assert "silent" in err


def test_reports_and_activations(call: Call, wav: Path, tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("song.html", "song.png", "plain.png", "song.npz")]
    outputs = [argument for target in (targets[0], targets[1], targets[3]) for argument in ("-o", target)]
    assert call(wav, *outputs, "--spectrogram")[0] == 0
    assert b'id="sound-recording"' in targets[0].read_bytes()
    heard = np.load(targets[3], allow_pickle=False)
    assert heard["onset"].shape == heard["frame"].shape == (len(heard["pedal"]), 88)
    assert len(heard["pedal"]) == round(3 * heard["frames_per_second"])
    assert heard["onset"].max() > 0.5  # there are notes
    assert call(wav, "-o", targets[2])[0] == 0
    assert targets[1].read_bytes() != targets[2].read_bytes()
    assert call(wav, "-o", targets[0], "--no-sound", "--overwrite")[0] == 0
    assert b'id="sound-' not in targets[0].read_bytes()
    for arguments in (("-o", tmp_path / "x.mid", "--spectrogram"), ("-o", tmp_path / "x.html", "--spectrogram")):
        code, out, err = call(wav, *arguments)
        assert (code, out) == (2, "")
        assert one_line(err)
    (tmp_path / "a.mid").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
    assert call("convert", tmp_path / "a.mid", tmp_path / "a.html")[0] == 0
    code, _, err = call("convert", tmp_path / "a.mid", tmp_path / "a.npz")
    assert code == 2
    assert one_line(err)


def test_a_result_on_the_screen_is_printed_quietly_too(call: Call, strums: Path) -> None:
    code, out, err = call("chords", strums, "-q")
    assert (code, err) == (0, "")
    assert "A:min" in out


def test_part_of_a_recording(call: Call, wav: Path, strums: Path, tmp_path: Path) -> None:
    """Times count from the start of what is heard; every command that listens knows of it."""
    code, out, err = call(wav, "--start", "1.9", "--end", "0:02.9", "--json", "--no-chords")
    assert (code, err) == (0, "")
    part = json.loads(out)
    assert part["duration"] == pytest.approx(1.0, abs=1e-3)
    assert part["settings"]["excerpt"] == {"start": 1.9, "end": 2.9}
    whole = json.loads(call(wav, "--json", "--no-chords")[1])["notes"]
    late = [(n["pitch"], round(n["onset"] - 1.9, 1)) for n in whole if n["onset"] > 1.95]
    assert [(n["pitch"], round(n["onset"], 1)) for n in part["notes"] if n["onset"] > 0.05] == late
    code, out, _ = call("chords", strums, "--start", "2.2", "--json")
    assert [chord["label"] for chord in json.loads(out)["chords"]] == ["A:min"]
    for command in ("beats", "instruments"):
        assert call(command, wav, "--end", "1", "-q")[0] == 0
    sound = tmp_path / "part.wav"
    assert call(wav, "--start", "2", "-o", sound, "--one-ear")[0] == 0
    assert soundfile.read(sound)[0][: RATE // 2, 0] == pytest.approx(
        soundfile.read(wav)[0][2 * RATE : 2 * RATE + RATE // 2], abs=1e-3
    )
    (tmp_path / "a.mid").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
    for words, expected in (
        ((wav, "--start", "4"), 3),
        ((wav, "--start", "2", "--end", "1"), 2),
        ((wav, "--start", "1:75"), 2),
        ((wav, "--end", "soon"), 2),
        (("beats", tmp_path / "a.mid", "--start", "1"), 2),
    ):
        code, out, err = call(*words)
        assert (code, out, one_line(err)) == (expected, "", True)
        assert "--start" in err or "--end" in err


def test_sound_is_a_result_like_any_other(call: Call, wav: Path, tmp_path: Path) -> None:
    heard = tmp_path / "heard.ogg"
    code, out, err = call(wav, "-o", heard)
    assert (code, err) == (0, "")
    assert str(heard) in out
    before = heard.read_bytes()
    assert call(wav, "-o", heard)[0] == 5
    code, _, err = call(wav, "-o", heard, "--skip-existing")
    assert (code, heard.read_bytes()) == (0, before)
    assert "skipped" in err
    assert call(wav, "-o", heard, "--overwrite", "--transpose", "12", "-q")[:2] == (0, f"{heard}\n")
    assert heard.read_bytes() != before
    code, out, _ = call(wav, "-o", tmp_path / "x.json", "--sonify", tmp_path / "x.mp3", "-q")
    assert (code, out.split()) == (0, [str(tmp_path / name) for name in ("x.json", "x.mp3")])
    code, out, err = call(wav, "-o", wav)
    assert (code, out, one_line(err)) == (2, "", True)


def test_sonify(call: Call, wav: Path, tmp_path: Path) -> None:
    code, _, err = call(wav, "--sonify", tmp_path / "heard.flac", "--one-ear")
    assert (code, err) == (0, "")
    both, _ = soundfile.read(tmp_path / "heard.flac")
    assert both.shape[1] == 2
    recording, _ = soundfile.read(wav)
    assert both[: len(recording), 0] == pytest.approx(recording, abs=1e-3)
    for arguments in (
        ("--sonify", tmp_path / "heard.aac"),
        ("--sonify", wav, "--overwrite"),
        ("--one-ear",),
    ):
        code, out, err = call(wav, "-o", tmp_path / "x.mid", *arguments)
        assert (code, out) == (2, "")
        assert one_line(err)
    assert call(wav, "-o", tmp_path / "x.mid", "--sonify", tmp_path / "heard.flac")[0] == 5
    assert soundfile.read(wav)[0] == pytest.approx(recording)


class Loudness:
    """A task that is like any other to the command line, and needs notes only so as to hear something."""

    name = "loudness"
    help = "Tell how loud it is. In numbers."
    by_default = False
    requires = ("notes",)
    options = (Option("floor", float, "Silence, in dB.", -120.0, 0.0),)
    formats = {"json": FORMATS["json"]}  # noqa: RUF012

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        yield Table(("what", "value"), ((title, f"{result.duration:.1f} [bold]s[/]"),))


def test_a_command_is_made_for_any_task(
    capsys: pytest.CaptureFixture[str], wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = typer.Typer(add_completion=False)
    program.command()(command_of(cast(Task, Loudness())))  # of a task this takes no more
    seen: list[object] = []

    def opener(
        _: object, tasks: Sequence[Task], settings: object, known: Timing, heard: Part
    ) -> Callable[..., Transcriber]:
        assert heard == Part()
        seen.append((tasks[0].name, settings, known.tempo))
        return partial(Transcriber, tasks=["notes"], model="small")

    monkeypatch.setattr(listen, "_opener", opener)
    program([str(wav), "--floor", "-60", "--tempo", "90"], standalone_mode=False)
    out = capsys.readouterr().out
    assert "song.wav" in out
    assert "3.0 [bold]s[/]" in out  # text that is found is never markup
    assert seen == [("loudness", {"floor": -60.0}, 90.0)]
    program(["--help"], standalone_mode=False)
    out = capsys.readouterr().out
    for words in ("Tell how loud it is", "--floor", "Silence, in dB", "--tempo", "say: json."):
        assert words in out


def test_the_help_of_a_command_names_what_its_task_offers(call: Call) -> None:
    for task in TASKS:
        out = " ".join(call(*([] if task.name == "notes" else [task.name]), "--help")[1].split())
        for option in task.options:
            assert f"--{option.name.replace('_', '-')}" in out
        for form in task.formats:
            assert form in out
    assert ("--precision" in call("genre", "--help")[1]) is False
    assert "--precision" in call("beats", "--help")[1]
