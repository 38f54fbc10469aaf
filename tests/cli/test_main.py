from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import PITCHAI, one_line
from tests.conftest import EXAMPLE, FIVE_NOTES
from tests.signals import RATE
from tests.test_datasets import make_maestro, make_maps
from transcribe import __version__
from transcribe.events import Chord, Transcription
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.table import FORMATS, read_transcription
from transcribe.instruments.decoder import FAMILIES


def test_a_recording_becomes_midi_beside_it(call, wav: Path) -> None:
    code, out, err = call(wav)
    assert (code, err) == (0, "")
    assert "song.mid" in out
    assert "0:03" in out or "3.0 s" in out
    assert read_transcription(wav.with_suffix(".mid")) is not None


def test_json_is_pure_and_quiet_prints_paths(call, wav: Path) -> None:
    code, out, err = call(wav, "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["input"] == str(wav)
    assert document["outputs"] == [str(wav.with_suffix(".mid"))]
    assert document["duration"] == 3.0
    code, out, err = call(wav, "--quiet", "-o", wav.with_suffix(".csv"))
    assert (code, out, err) == (0, f"{wav.with_suffix('.csv')}\n", "")


def test_existing_results_are_safe(call, wav: Path) -> None:
    target = wav.with_suffix(".mid")
    target.write_text("precious")
    code, _, err = call(wav)
    assert code == 5
    assert one_line(err)
    assert "--overwrite" in err
    code, out, err = call(wav, "--skip-existing")
    assert (code, out) == (0, "")
    assert "skipped" in err
    assert target.read_text() == "precious"
    assert call(wav, "--overwrite")[0] == 0
    assert target.read_bytes()[:4] == b"MThd"


def test_stdout_carries_the_result_alone(wav: Path) -> None:
    done = subprocess.run([*PITCHAI, str(wav), "-o", "-"], capture_output=True, check=True)
    assert done.stderr == b""
    assert from_midi(done.stdout) is not None
    done = subprocess.run(
        [*PITCHAI, "-", "-o", "-", "-f", "json"], input=wav.read_bytes(), capture_output=True, check=True
    )
    assert json.loads(done.stdout)["duration"] == 3.0


def test_a_batch_goes_on_past_a_bad_file_and_fails(call, wav: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("Dear diary")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "two.wav").write_bytes(wav.read_bytes())
    code, out, err = call(tmp_path, "-r", "-o", tmp_path / "out", "-q")
    assert code == 3
    assert one_line(err)
    assert "bad.wav" in err
    assert sorted(out.split()) == [str(tmp_path / "out" / "deep" / "two.mid"), str(tmp_path / "out" / "song.mid")]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.wav"], 3, "no such file"),
        ([""], 3, "empty"),
        (["SONG", "-o", "nowhere/x.mid"], 5, "not there"),
        (["SONG", "-o", "x.xyz"], 2, "unknown format"),
        (["SONG", "--format", "tex"], 2, "unknown format"),
        (["SONG", "--colour"], 2, "--colour"),
        (["SONG", "--onset-threshold", "2"], 2, "onset-threshold"),
        (["SONG", "--onset-threshold", "nan"], 2, "threshold"),
        (["SONG", "--min-note-length", "nan"], 2, "min-note-length"),
        (["SONG", "--min-pitch", "90", "--max-pitch", "30"], 2, "min_pitch"),
        (["SONG", "--min-note-length", "inf"], 2, "min_note_length"),
        (["SONG", "--device", "quantum"], 2, "quantum"),
        (["SONG", "--device", "meta"], 2, "meta"),
        (["SONG", "-o", ""], 2, "-o"),
        (["x" * 300 + ".wav"], 3, "no such file"),
        (["SONG", "-o", "x" * 300 + ".mid"], 5, "can't be"),
        (["SONG", "--model", "nothing"], 2, "nothing"),
        (["SONG", "--model", "no.safetensors"], 4, "no.safetensors"),
        (["SONG", "--overwrite", "--skip-existing"], 2, "exclude"),
        (["SONG", "--json", "-o", "-"], 2, "stdout"),
        (["-"], 2, "-o"),
        (["eval"], 2, "--dataset"),
        (["eval", "--dataset", "nothing"], 2, "choose one"),
        (["eval", "--dataset", "maestro"], 2, "PITCHAI_DATA"),
        (["eval", "--reference", "a.mid"], 2, "belong together"),
        (["eval", "--reference", "a.mid", "--estimate", "b.mid"], 3, "a.mid"),
        (["doctor", "--wings"], 2, "--wings"),
    ],
)
def test_mistakes_give_one_line_and_their_code(
    call, wav: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(wav.parent)
    monkeypatch.delenv("PITCHAI_DATA", raising=False)
    found, out, err = call(*[str(wav) if a == "SONG" else a for a in arguments])
    assert (found, out) == (code, "")
    assert one_line(err)
    assert words in err
    assert [p.name for p in wav.parent.iterdir()] == ["song.wav"]


def test_names_with_control_characters_cannot_drive_the_terminal(call, wav: Path) -> None:
    if os.name == "nt":
        pytest.skip("no such names there")
    odd = wav.with_name("a\x1b[31m\nb.wav")
    odd.write_bytes(wav.read_bytes())
    code, out, err = call(odd)
    assert code == 0
    assert "\x1b" not in out + err
    odd.write_text("no audio")
    code, _, err = call(odd)
    assert code == 5 or code == 3
    assert one_line(err)
    assert "\x1b" not in err


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_that_are_no_unicode(call, wav: Path) -> None:
    odd = os.fsencode(wav.parent) + b"/\xff\xfe.wav"
    Path(os.fsdecode(odd)).write_bytes(wav.read_bytes())
    done = subprocess.run([*map(os.fsencode, PITCHAI), odd], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (Path(os.fsdecode(odd)).with_suffix(".mid")).exists()


def test_odd_recordings_give_a_valid_result_and_a_warning(call, tmp_path: Path) -> None:
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


def test_a_folder_that_cannot_be_written(call, wav: Path) -> None:
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    locked = wav.parent / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = call(wav, "-o", locked / "x.mid")
    assert code == 5
    assert one_line(err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_leaves_nothing(wav: Path, monkeypatch: pytest.MonkeyPatch, call) -> None:
    real = os.fdopen

    def onto_a_full_disk(descriptor: int, mode: str) -> object:
        os.close(descriptor)
        return real(os.open("/dev/full", os.O_WRONLY), mode)

    monkeypatch.setattr("transcribe.batch.atomic.os.fdopen", onto_a_full_disk)
    code, _, err = call(wav)
    assert code == 5
    assert one_line(err)
    assert "No space left" in err
    assert [p.name for p in wav.parent.iterdir()] == ["song.wav"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes and devices")
def test_streams_that_nobody_reads(wav: Path, tmp_path: Path) -> None:
    (tmp_path / "two.wav").write_bytes(wav.read_bytes())
    done = subprocess.run(
        f'"{sys.executable}" -m transcribe "{wav}" "{tmp_path / "two.wav"}" -q -o "{tmp_path / "out"}" | true; '
        "exit ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["song.mid", "two.mid"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*PITCHAI, str(wav), "-o", "-"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 5
    assert one_line(done.stderr.decode())
    done = subprocess.run(
        f'"{sys.executable}" -m transcribe nowhere.wav 2>&-',
        shell=True,
        executable="/bin/bash",
        stdout=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"")


@pytest.mark.skipif(os.name == "nt", reason="POSIX named pipes")
def test_a_named_pipe_is_a_recording(call, wav: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    writer = subprocess.Popen(f'cat "{wav}" > "{tmp_path / "pipe.wav"}"', shell=True)
    code, _, err = call(tmp_path / "pipe.wav", "-o", tmp_path / "x.json", "-q")
    writer.wait()
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "x.json").read_text())["duration"] == 3.0


def test_a_recording_is_safe_under_any_spelling(call, wav: Path) -> None:
    (wav.parent / "sub").mkdir()
    before = wav.read_bytes()
    code, _, err = call(wav, "-o", wav.parent / "sub" / ".." / wav.name, "-f", "midi", "--overwrite")
    assert code == 2
    assert one_line(err)
    assert wav.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX devices")
def test_what_is_no_ordinary_file_is_never_replaced(call, wav: Path) -> None:
    os.mkfifo(wav.parent / "pipe.mid")
    code, _, err = call(wav, "-o", wav.parent / "pipe.mid", "--overwrite")
    assert code == 5
    assert one_line(err)
    assert (wav.parent / "pipe.mid").is_fifo()


def test_version_and_help(call) -> None:
    assert call("--version") == (0, f"pitchai {__version__}\n", "")
    for arguments in ([], ["--help"], ["eval", "--help"], ["doctor", "--help"]):
        code, out, _ = call(*arguments)
        assert code == 0
        assert "Usage: pitchai" in out


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from transcribe.cli.main import main; main(['--help']); "
        "assert not {'torch', 'numpy', 'pretty_midi'} & set(sys.modules), 'heavy imports'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_cpu_needs_no_torch(tmp_path: Path) -> None:
    code = (
        f"import sys; from transcribe.cli.main import main; assert main([{str(EXAMPLE)!r}, '--device', 'cpu', "
        f"'-o', {str(tmp_path / 'waltz.mid')!r}]) == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_doctor_finds_all_well(call) -> None:
    code, out, _ = call("doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert set(report) == {"program", "packages", "devices", "decoders", "weights"}
    assert "checked" in report["weights"]["notes-medium-8"]
    assert "FAULTY" not in out
    code, out, _ = call("doctor")
    assert "onnxruntime" in out


def test_eval_of_two_files(call, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.mid").write_bytes(to_midi(Transcription(notes=tuple(FIVE_NOTES))))
    code, out, _ = call("eval", "--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid", "--json")
    assert code == 0
    assert json.loads(out)["means"]["note_offset_velocity"]["f1"] == 1.0
    code, out, _ = call("eval", "--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid")
    assert "note + offset + velocity" in out


def test_eval_of_a_tree_in_maestros_and_in_maps_own_layout(call, tmp_path: Path) -> None:
    make_maestro(tmp_path / "maestro")
    make_maps(tmp_path / "maps")
    code, out, err = call("eval", "--dataset", "maestro", "--data", tmp_path / "maestro", "--json", "--sweep")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert [piece["name"] for piece in report["pieces"]] == ["piece3"]
    assert set(report["sweep"]) == {f"{k / 10}" for k in range(1, 10)}
    code, out, err = call("eval", "--dataset", "maps", "--data", tmp_path / "maps", "--split", "train")
    assert code == 0
    assert "was trained on maps (train)" in err
    assert "exact slices" in out
    code, _, err = call("eval", "--dataset", "maps", "--data", tmp_path / "maps", "--labels", tmp_path)
    assert code == 3
    assert one_line(err)


def test_chords_are_printed_and_written_only_when_asked(call, strums: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = call("chords", strums)
    assert (code, err) == (0, "")
    assert "| C | Am |" in out
    assert "A:min" in out
    assert set(tmp_path.iterdir()) == before
    outputs = [tmp_path / f"song.{suffix}" for suffix in ("lab", "json", "csv", "jams", "mid", "cho", "txt")]
    code, out, err = call("chords", strums, "-q", *(word for path in outputs for word in ("-o", path)))
    assert (code, out.split(), err) == (0, [str(path) for path in outputs], "")
    assert outputs[-1].read_text() == "| C | Am |\n"
    code, out, _ = call("chords", strums, "-o", "-", "--format", "lab")
    assert out == outputs[0].read_text()
    code, out, _ = call("chords", strums, "--json", "--vocabulary", "majmin")
    assert [chord["label"] for chord in json.loads(out)["chords"]] == ["C:maj", "A:min"]


def test_chords_of_bad_input_and_options(call, strums: Path, tmp_path: Path) -> None:
    for arguments, expected in (
        ((tmp_path / "none.wav",), 3),
        ((strums, "--vocabulary", "jazz"), 2),
        ((strums, "-o", "x.foo"), 2),
        ((strums, "-o", "-"), 2),
        ((strums, "-o", tmp_path), 2),
        ((strums, "--model", "large"), 2),
        ((strums, "--quiet"), 2),
    ):
        code, out, err = call("chords", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_instruments_are_printed_and_written_only_when_asked(call, wav: Path, tmp_path: Path) -> None:
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
        ((wav, "--quiet"), 2),
    ):
        code, out, err = call("instruments", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_silence_has_no_instruments(call, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * RATE), RATE)
    code, out, err = call("instruments", tmp_path / "silence.wav")
    assert code == 0
    assert "unknown" in out
    assert "silent" in err


def test_eval_of_instruments(call, wav: Path, tmp_path: Path) -> None:
    for name in ("piano", "flute"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        (tmp_path / "clips" / name / "a.wav").write_bytes(wav.read_bytes())
    plot = tmp_path / "confusion.png"
    code, out, err = call("eval", "--dataset", "clips", "--data", tmp_path / "clips", "--plot", plot)
    assert (code, err) == (0, "")
    assert "accuracy: 0.5000" in out
    assert plot.read_bytes()[:4] == b"\x89PNG"
    code, out, _ = call("eval", "--dataset", "clips", "--data", tmp_path / "clips", "--json")
    assert json.loads(out)["n_clips"] == 2
    for arguments, expected in ((("nsynth",), 3), (("clips", "--sweep"), 2), (("irmas", "--report", "x.html"), 2)):
        code, out, err = call("eval", "--data", tmp_path, "--dataset", *arguments)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_eval_of_chords(call, strums: Path, tmp_path: Path) -> None:
    strums.with_suffix(".lab").write_text("0\t2\tC:maj\n2\t4\tA:min\n")
    code, out, err = call("eval", "--dataset", "chords", "--data", tmp_path)
    assert (code, err) == (0, "")
    assert "majmin" in out
    code, out, err = call("eval", "--reference", strums.with_suffix(".lab"), "--estimate", strums.with_suffix(".lab"))
    assert (code, err) == (0, "")
    assert "1.0000" in out
    code, _, err = call("eval", "--dataset", "chords", "--data", tmp_path, "--plot", tmp_path / "x.png")
    assert code == 2
    assert one_line(err)
    (tmp_path / "clips" / "Am").mkdir(parents=True)
    strums.rename(tmp_path / "clips" / "Am" / "1.wav")
    code, out, err = call("eval", "--dataset", "chords", "--data", tmp_path / "clips", "--plot", tmp_path / "x.png")
    assert (code, err) == (0, "")
    assert "accuracy" in out
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_show_and_schema(call, tmp_path: Path) -> None:
    path = tmp_path / "five.mid"
    path.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)), duration=3.0)))
    code, out, err = call("show", path, "--width", 30)
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line[5:] for line in out.splitlines() if line[:4].strip() and line[5:6] in " ▄▀█"}
    # C4 sounds from 0.5 to 1 s and from 2 s to the end, at 2.9 s: some ten columns a second.
    assert rows["C4"] == " " * 5 + "▄" * 5 + " " * 10 + "▄" * 10
    code, out, err = call("show", tmp_path / "none.mid")
    assert (code, out) == (3, "")
    assert one_line(err)
    code, out, err = call("schema")
    assert (code, err) == (0, "")
    assert json.loads(out)["title"] == "pitchai transcription"


def test_pictures_beside_the_truth(call, tmp_path: Path) -> None:
    truth, heard = tmp_path / "truth.mid", tmp_path / "heard.mid"
    truth.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    heard.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES[:4])))))
    assert call("convert", heard, tmp_path / "roll.svg", "--plot-reference", truth)[0] == 0
    assert "missed" in (tmp_path / "roll.svg").read_text()
    assert call("convert", heard, tmp_path / "plain.svg")[0] == 0
    assert "missed" not in (tmp_path / "plain.svg").read_text()
    code, _, err = call("convert", heard, tmp_path / "x.json", "--plot-reference", truth)
    assert code == 2
    assert one_line(err)
    assert not (tmp_path / "x.json").exists()


def test_reports_and_activations(call, wav: Path, tmp_path: Path) -> None:
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


def test_a_report_on_a_data_set(call, tmp_path: Path) -> None:
    root = make_maestro(tmp_path)
    page = tmp_path / "report.html"
    code, out, err = call("eval", "--dataset", "maestro", "--data", root, "--split", "all", "--report", page, "--json")
    assert code == 0, err
    scores = sorted(json.loads(out)["pieces"], key=lambda piece: piece["scores"]["note"]["f1"])
    text = page.read_text()
    places = [text.index(f"<strong>{piece['name']}</strong>") for piece in scores]
    assert places == sorted(places)
    assert len(set(places)) == len(scores) > 1
    code, _, err = call("eval", "--dataset", "maestro", "--data", root, "--report", page)
    assert code == 5
    assert one_line(err)
    code, _, err = call("eval", "--dataset", "maestro", "--data", root, "--report", tmp_path / "report.pdf")
    assert code == 2
    assert one_line(err)
    for name, notes in (("a", FIVE_NOTES), ("b", FIVE_NOTES[:4])):
        (tmp_path / f"{name}.mid").write_bytes(to_midi(Transcription(notes=tuple(sorted(notes)))))
    two = ("--reference", tmp_path / "a.mid", "--estimate", tmp_path / "b.mid")
    assert call("eval", *two, "--report", tmp_path / "two.html")[0] == 0
    assert "estimate" in (tmp_path / "two.html").read_text()


def test_sonify(call, wav: Path, tmp_path: Path) -> None:
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


def test_results_that_make_no_sense_are_refused_in_a_line(call, tmp_path: Path) -> None:
    good = json.loads(FORMATS["json"].write(Transcription(chords=(Chord(0.0, 1.0, "C:maj"),), duration=1.0)))
    path = tmp_path / "song.json"
    for changes in (
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": "H", "confidence": 1.0}]},
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": 5, "confidence": 1.0}]},
        {"chords": [{"onset": -5.0, "offset": -4.0, "label": "C:maj", "confidence": 1.0}]},
        {"chords": [{"onset": 0.0, "offset": 1.0, "label": "C:maj", "confidence": 7}]},
        {"duration": "x"},
        {"tempo": "fast"},
        {"models": [1]},
        {"beats": ["a"]},
        {"warnings": [1]},
        {"key": 3},
    ):
        path.write_text(json.dumps({**good, **changes}))
        for command in (("show", path), ("convert", path, tmp_path / "x.lab")):
            code, out, err = call(*command)
            assert (code, out) == (3, ""), changes
            assert one_line(err)
    assert not (tmp_path / "x.lab").exists()


def test_chords_are_shown_and_converted(call, tmp_path: Path) -> None:
    lab, table = tmp_path / "song.lab", tmp_path / "song.csv"
    lab.write_text("0 59.998 C\n59.998 70 A:min7/b7\n")
    code, out, err = call("show", lab)
    assert (code, err) == (0, "")
    assert "| C | Am7/G |" in out
    assert "1:00.00" in out
    assert call("convert", lab, table, tmp_path / "song.mid")[0] == 0
    assert call("convert", lab, tmp_path / "song.png")[0] == 0
    assert "A:min7/b7" in table.read_text()
    assert call("convert", table, tmp_path / "again.lab")[0] == 0
    assert len(read_transcription(tmp_path / "song.mid").notes) == 4 + 5
    notes = tmp_path / "notes.mid"
    notes.write_bytes(to_midi(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    for arguments in (
        ("convert", notes, tmp_path / "x.lab"),
        ("eval", "--reference", lab, "--estimate", notes),
        ("eval", "--dataset", "chords", "--data", tmp_path, "--sweep"),
    ):
        code, out, err = call(*arguments)
        assert (code, out) == (2, "")
        assert one_line(err)


def test_a_mistyped_command_writes_nothing(call, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wav.parent)
    before = wav.read_bytes()
    for words in (("chrods", wav.name, "--overwrite"), ("instrument", wav.name), ("sho", wav.name)):
        code, out, err = call(*words)
        assert (code, out) == (2, "")
        assert one_line(err)
        assert f"did you mean {'chords' if words[0] == 'chrods' else words[0]}" in err
    assert [(p.name, p.read_bytes()) for p in wav.parent.iterdir()] == [(wav.name, before)]


def test_every_input_is_looked_for_before_the_first_is_read(call, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(wav.parent)
    for missing in ("gone.wav", "gone/*.wav"):
        code, out, err = call(wav, missing, "other.wav", "-o", "out/", "--workers", "2")
        assert (code, out) == (3, "")
        assert one_line(err)
        assert missing in err
    assert [p.name for p in wav.parent.iterdir()] == [wav.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_standard_output_that_is_full_or_closed_early(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    for words in (["--help"], ["chords", "--help"], ["--version"], ["schema"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*PITCHAI, *words], stdout=full, stderr=subprocess.PIPE, check=False, env=environment, text=True
            )
        assert done.returncode == 5
        assert one_line(done.stderr)
        assert "No space left" in done.stderr
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*PITCHAI, *words], stdout=writing, stderr=subprocess.PIPE, check=False, env=environment, text=True
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX folders")
def test_a_working_folder_that_is_gone(call, wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = tmp_path / "five.json"
    result.write_bytes(FORMATS["json"].write(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    for words in ((wav, "-o", "x.mid"), ("song.wav",), ("convert", result, "x.mid")):
        code, out, err = call(*words)
        assert (code, out) == (5, "")
        assert one_line(err)
        assert "working folder" in err
    assert call("convert", result, tmp_path / "x.mid")[0] == 0


@pytest.mark.parametrize("impossible", ["x.npz", "x.lab", "x.xyz", "new/a.mid", "../song/a.mid"])
def test_convert_writes_all_or_nothing(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impossible: str) -> None:
    folder = tmp_path / "song"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("five.json").write_bytes(FORMATS["json"].write(Transcription(notes=tuple(sorted(FIVE_NOTES)))))
    Path("new").write_text("no folder")
    code, out, err = call("convert", "five.json", "a.mid", impossible)
    assert (code, out) == (5 if impossible == "new/a.mid" else 2, "")
    assert one_line(err)
    assert sorted(path.name for path in folder.iterdir()) == ["five.json", "new"]
    assert call("convert", "five.json", "a.mid", "b.csv")[:2] == (0, "a.mid\nb.csv\n")
