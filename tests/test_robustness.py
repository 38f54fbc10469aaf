"""Nothing breaks it: a corpus of bad input through the library and the command, and faults of the machine.

A short selection runs always, the whole with ``pytest -m corpus``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import corpus
from tests.conftest import needs_torch
from transcribe.audio import reader as audio
from transcribe.audio.reader import AudioReader
from transcribe.batch import atomic
from transcribe.batch.atomic import write_atomically
from transcribe.batch.manifest import Line, Manifest
from transcribe.batch.pool import DiedError, each
from transcribe.engine.weights import parse_model
from transcribe.errors import InputError, OutputError, PitchaiError, WeightsError
from transcribe.formats.table import read_transcription
from transcribe.notes.task import NOTES

EXIT_CODES = {0, 2, 3}


# The corpus through the library -------------------------------------------------------------------


def read(case: tuple[str, bytes], folder: Path) -> str:
    """Read a recording; say what is wrong with what came of it, nothing if all is well."""
    name, content = case
    path = folder / name
    path.write_bytes(content)
    began = time.monotonic()
    n_samples = 0
    try:
        with AudioReader(path, 16_000) as reader:
            for block in reader.blocks():
                n_samples += len(block)
                if block.dtype != np.float32 or not np.isfinite(block).all():
                    return f"{name}: no finite float32"
    except InputError as error:
        if "\n" in str(error) or not str(error).isprintable():
            return f"{name}: more than a line: {error!r}"
    finally:
        path.unlink()
    if time.monotonic() - began > 20:
        return f"{name}: took {time.monotonic() - began:.0f} s"
    return f"{name}: {n_samples} samples of a short sound" if n_samples > 100 * 16_000 else ""


def reader(folder: Path) -> partial[str]:
    return partial(read, folder=folder)


def faults(cases: list[tuple[str, bytes]], folder: Path) -> list[str]:
    """Read every case in a process that may die of it."""
    found = each(cases, partial(reader, folder), 2)
    return [said if isinstance(said, str) else f"{case[0]}: {said!r}" for case, said in found if said]


def test_a_selection_of_bad_recordings(tmp_path: Path) -> None:
    cases = list(corpus.recordings(seed=1, n_mangled=290))
    chosen = cases[:-290:4] + cases[-290:]
    assert faults(chosen, tmp_path) == []


@pytest.mark.corpus
@pytest.mark.parametrize("seed", range(10))
def test_bad_recordings(tmp_path: Path, seed: int) -> None:
    assert faults(list(corpus.recordings(seed=100 + seed, n_mangled=580)), tmp_path) == []


@pytest.mark.parametrize("n_mangled", [200, pytest.param(4000, marks=pytest.mark.corpus)])
def test_bad_results(tmp_path: Path, n_mangled: int) -> None:
    for name, content in corpus.results(2, n_mangled):
        path = tmp_path / name
        path.write_bytes(content)
        with contextlib.suppress(InputError):
            read_transcription(path)
        path.unlink()


@needs_torch
@pytest.mark.parametrize("n_mangled", [40, pytest.param(1000, marks=pytest.mark.corpus)])
def test_bad_weights(n_mangled: int) -> None:
    for name, content in corpus.weights(3, n_mangled):
        with contextlib.suppress(WeightsError):
            parse_model(NOTES, content, name)


# The corpus through the command -------------------------------------------------------------------


def pitchai(*arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "transcribe", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **more)  # type: ignore[call-overload, no-any-return]


def check_output(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode in EXIT_CODES, run.stderr
    assert "Traceback" not in run.stderr + run.stdout
    assert "a bug" not in run.stderr
    assert all(line.startswith("pitchai: ") and line.isprintable() for line in run.stderr.splitlines()), run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, pytest.param(400, marks=pytest.mark.corpus)])
def test_a_folder_of_bad_recordings_through_the_command(tmp_path: Path, n: int) -> None:
    cases = list(corpus.recordings(seed=5, n_mangled=n))
    cases = [*cases[:: len(cases) // n], ("good.wav", corpus.written("WAV", "PCM_16", corpus.sound(2.0)))]
    folder = tmp_path / "in"
    folder.mkdir()
    for i, (name, content) in enumerate(cases):
        (folder / f"{i}-{name}".replace(".m3u8", ".mp4")).write_bytes(content)
    options = ["--workers", "2", "--model", "small", "--no-chords", "--no-instruments", "--quiet"]
    run = pitchai(folder, "-o", tmp_path / "out", *options)
    check_output(run)
    lines = [json.loads(line) for line in (tmp_path / "out/pitchai.jsonl").read_text().splitlines()]
    assert sorted(Path(line["input"]).name for line in lines) == sorted(path.name for path in folder.iterdir())
    for line in lines:
        for output in line["outputs"]:
            assert os.path.exists(output) == (line["error"] is None)
            if line["error"] is None:
                read_transcription(Path(output))
    made = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(made) == 1 + sum(line["error"] is None for line in lines)


STRANGE_NAMES = [
    "two words.wav", "line\nbreak.wav", "\x1b[31mred.wav", "über.wav", "-o.wav", "percent%s.wav", "{brace}.wav",
    "[bracket].wav", "quote'\".wav", "x" * 251 + ".wav", os.fsdecode(b"\xff\xfe.wav"), "$(id).wav", "a;b.wav",
]  # fmt: skip


@pytest.mark.slow
def test_strange_names_through_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    good, bad = corpus.written("WAV", "PCM_16", corpus.sound(1.0)), b"nothing"
    for i, name in enumerate(STRANGE_NAMES):
        (folder / name).write_bytes(good if i % 2 else bad)
    (folder / "x.wav").mkdir()
    (folder / "dangling.wav").symlink_to(tmp_path / "nowhere")
    options = ["--workers", "1", "--model", "small", "--no-chords", "--no-instruments", "--quiet"]
    run = pitchai(folder, "-o", tmp_path / "out", *options, encoding="utf-8", errors="surrogateescape")
    assert run.returncode == 3
    check_output(run)
    assert len(list((tmp_path / "out").rglob("*.mid"))) == len(STRANGE_NAMES) // 2
    for name in ("x.wav", "dangling.wav"):
        run = pitchai(folder / name, "-o", tmp_path / "one.mid", *options)
        assert run.returncode == 3
        check_output(run)


def test_devices_and_endless_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="empty"):
        AudioReader("/dev/zero", 16_000)
    monkeypatch.setattr(audio, "_ROOM_LEFT", 1 << 23)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    fifo = tmp_path / "endless.wav"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["sh", "-c", f"cat /dev/zero > '{fifo}'"], stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(InputError, match="nearly full"):
            AudioReader(fifo, 16_000)
    finally:
        writer.kill()
        writer.wait()


def test_a_small_file_that_unpacks_to_years(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(20):
            file.write(np.zeros(8000 * 60, np.float32))
    with pytest.raises(InputError, match="says that it lasts 1200 seconds, more than the 360"):
        AudioReader(path, 16_000, max_duration=360)
    path = tmp_path / "long.aac"  # says less than it holds
    path.write_bytes(corpus.encoded("adts", "aac", corpus.sound(90.0)))
    with AudioReader(path, 16_000, max_duration=10) as stream, pytest.raises(InputError, match="lasts longer than"):
        list(stream.blocks())


# Faults of the machine ----------------------------------------------------------------------------


def die_of_three(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 5:
        raise InputError("five")
    return item * item


def make_dying() -> object:
    return die_of_three


def make_nothing() -> object:
    raise WeightsError("no weights")


def make_dead() -> object:
    os._exit(9)


def test_who_dies_takes_its_item_down_only() -> None:
    found = dict(each(range(8), make_dying, 2))  # type: ignore[arg-type]
    assert {i: found[i] for i in (0, 1, 2, 4, 6, 7)} == {i: i * i for i in (0, 1, 2, 4, 6, 7)}
    assert isinstance(found[3], DiedError)
    assert "SIGKILL" in str(found[3])
    assert isinstance(found[5], InputError)
    with pytest.raises(WeightsError, match="no weights"):
        list(each(range(3), make_nothing, 1))  # type: ignore[arg-type]
    with pytest.raises(DiedError, match="exit code 9"):
        list(each(range(3), make_dead, 1))  # type: ignore[arg-type]


def die_when_told(item: tuple[int, str]) -> int:
    """Leave one's number, and wait to be killed, once."""
    number, flag = item
    if number == 2 and not os.path.exists(flag):
        Path(flag).write_text(str(os.getpid()))
    return number


def make_patient() -> object:
    return die_when_told


def make_dying_at_first(flag: str) -> object:
    if not os.path.exists(flag):
        Path(flag).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return die_of_three


class OddError(Exception):
    """One that doesn't come out of a pipe as it went in."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def raise_odd(item: int) -> int:
    raise OddError("a", str(item))


def make_odd() -> object:
    return raise_odd


def test_who_dies_between_two_items_or_before_the_first_loses_none(tmp_path: Path) -> None:
    flag = str(tmp_path / "pid")
    found = []
    for item, result in each(((i, flag) for i in range(6)), make_patient, 1):  # type: ignore[arg-type]
        found.append((item[0], result))
        if item[0] == 2:  # it has its next item by now, or is about to
            os.kill(int(Path(flag).read_text()), signal.SIGKILL)
            time.sleep(0.1)
    numbers = [number for number, _ in found]
    assert sorted(numbers) == list(range(6))
    assert sum(isinstance(result, DiedError) for _, result in found) <= 1
    started = dict(each([1, 2], partial(make_dying_at_first, str(tmp_path / "once")), 1))  # type: ignore[arg-type]
    assert started == {1: 1, 2: 4}


def held(_: int) -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def make_held() -> object:
    return held


def test_an_interruption_from_the_terminal_meets_no_process_that_starts() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert dict(each(range(2), make_held, 2)) == {0: {signal.SIGINT}, 1: {signal.SIGINT}}  # type: ignore[arg-type]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_an_odd_exception_says_what_it_said() -> None:
    ((_, error),) = each([7], make_odd, 1)  # type: ignore[arg-type]
    assert str(error) == "OddError: a7"


def test_a_manifest_is_read_and_gone_on_with(tmp_path: Path) -> None:
    path, result = tmp_path / "m.jsonl", tmp_path / "a.mid"
    result.write_bytes(b"")
    good = Line("a.wav", "00", (str(result),), 1.0, 3, 0.1, None)
    bad = Line("b.wav", "00", (str(result),), None, None, 0.0, "no recording")
    with Manifest(path) as manifest:
        assert not manifest.resumed
        manifest.add(good)
        manifest.add(bad)
    with path.open("ab") as file:
        file.write(b'{"input": "c.wav", "sha')  # killed in the middle of it
    with pytest.warns(UserWarning, match="torn in 1 place"):
        manifest = Manifest(path)
    with manifest:
        assert manifest.resumed
        assert manifest.has("a.wav", [str(result)])
        assert not manifest.has("a.wav", [str(tmp_path / "a.json")])
        assert not manifest.has("b.wav", [str(result)])
        assert not manifest.has("c.wav", [])
        manifest.add(good)
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 3
    with Manifest(path, anew=True) as manifest:  # nothing is lost before the work begins
        assert not manifest.resumed
        assert not manifest.has("a.wav", [str(result)])
        assert path.read_text().count("\n") == 3
        manifest.begin()
        assert path.read_bytes() == b""
    path.write_text("somebody's only notes")
    with pytest.raises(OutputError, match="line 1"):
        Manifest(path)
    path.write_text("no json\n")
    for anew in (False, True):  # somebody else's file, whatever was asked for
        with pytest.raises(OutputError, match="line 1"):
            Manifest(path, anew)


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
def test_a_new_result_has_no_name_before_it_is_whole(tmp_path: Path) -> None:
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        pytest.skip("this file system has no files without a name")
    assert atomic._written_unnamed(tmp_path / "a", b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"whole")]
    with pytest.raises(FileExistsError):
        atomic._written_unnamed(tmp_path / "a", b"other")


def many(folder: Path, n: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        (folder / str(i % 3)).mkdir(exist_ok=True)
        time_ = np.arange(8000) / 8000
        samples = 0.4 * np.sin(2 * np.pi * rng.uniform(200, 900) * time_) * np.exp(-3 * time_)
        soundfile.write(folder / str(i % 3) / f"{i:03d}.wav", samples, 8000)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.mid")}


def lines_of(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (folder / "pitchai.jsonl").read_text().splitlines()]
    for line in found:
        del line["seconds"], line["outputs"]
    return sorted(found, key=lambda line: str(line["input"]))


@pytest.mark.slow
def test_killed_and_resumed_is_as_if_undisturbed(tmp_path: Path) -> None:
    many(tmp_path / "in", 60)
    options = ["--recursive", "--model", "small", "--no-chords", "--no-instruments", "--quiet", "--threads", "1"]
    undisturbed = pitchai(tmp_path / "in", "-o", tmp_path / "a", *options, "--workers", "2")
    assert undisturbed.returncode == 0, undisturbed.stderr
    command = [sys.executable, "-m", "transcribe", str(tmp_path / "in"), "-o", str(tmp_path / "b"), *options]
    for signal_sent, after in ((signal.SIGKILL, 5), (signal.SIGTERM, 20), (signal.SIGINT, 35)):
        run = subprocess.Popen([*command, "--workers", "2", "--skip-existing"], stdout=subprocess.DEVNULL)
        manifest = tmp_path / "b" / "pitchai.jsonl"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and run.poll() is None:
            if manifest.exists() and manifest.read_bytes().count(b"\n") >= after:
                break
            time.sleep(0.01)
        run.send_signal(signal_sent)
        assert run.wait(60) in (-signal.SIGKILL, 143, 130, 0)
    assert not list((tmp_path / "b").rglob("*.part"))
    last = pitchai(*command[3:], "--workers", "2", "--skip-existing")
    assert last.returncode == 0, last.stderr
    assert files(tmp_path / "b") == files(tmp_path / "a")
    assert lines_of(tmp_path / "b") == lines_of(tmp_path / "a")
    # The same bytes without workers, too.
    alone = pitchai(tmp_path / "in", "-o", tmp_path / "c", *options)
    assert alone.returncode == 0, alone.stderr
    assert files(tmp_path / "c") == files(tmp_path / "a")
    again = pitchai(tmp_path / "in", "-o", tmp_path / "a", *options, "--workers", "2")
    assert again.returncode == 5
    assert "goes on from it" in again.stderr


@pytest.mark.slow
def test_what_other_runs_have_made_is_left(tmp_path: Path) -> None:
    many(tmp_path / "in", 3)
    options: list[str | Path] = [
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--recursive",
        "--model",
        "small",
        "--no-chords",
        "--skip-existing",
    ]
    assert pitchai(*options).returncode == 0
    before = files(tmp_path / "out")
    soundfile.write(tmp_path / "in" / "more.wav", corpus.sound(1.0), 8000)
    for skipped in (3, 4):
        run = pitchai(*options, "--workers", "1")
        assert run.returncode == 0
        assert f"{skipped} of 4 recordings skipped" in run.stderr
    assert len(lines_of(tmp_path / "out")) == 4
    assert before.items() <= files(tmp_path / "out").items()


@pytest.mark.slow
def test_a_manifest_takes_nobodys_place(tmp_path: Path) -> None:
    many(tmp_path / "in", 2)
    recordings = sorted((tmp_path / "in").rglob("*.wav"))
    kept = recordings[0].read_bytes()
    (tmp_path / "notes.txt").write_text("my only notes")
    options = ["-o", f"{tmp_path}/out/", "--model", "small", "--no-chords", "--overwrite", "--manifest"]
    for place in (recordings[0], tmp_path / "notes.txt", tmp_path / "in", tmp_path / ("x" * 300)):
        run = pitchai(*recordings, *options, place)
        assert run.returncode == 5, run.stderr
        check_output_is_one_line(run)
    assert recordings[0].read_bytes() == kept
    assert (tmp_path / "notes.txt").read_text() == "my only notes"
    run = pitchai(recordings[0], "-", "--workers", "2", "-o", f"{tmp_path}/out/", input="")
    assert run.returncode == 2
    check_output_is_one_line(run)


def check_output_is_one_line(run: subprocess.CompletedProcess[str]) -> None:
    assert run.stderr.startswith("pitchai: ")
    assert "a bug" not in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.slow
def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    many(tmp_path / "in", 12)
    options = ["--recursive", "--model", "small", "--no-chords", "--no-instruments", "--quiet"]
    command = [sys.executable, "-m", "transcribe", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *options]
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [run.communicate(timeout=300)[1] for run in runs]
    # Who comes second finds what the first has written, and leaves it; nobody writes half a file.
    assert all("Traceback" not in text and "a bug" not in text for text in said)
    assert len(files(tmp_path / "out")) == 12
    for path in (tmp_path / "out").rglob("*.mid"):
        read_transcription(path)
    assert not list((tmp_path / "out").rglob("*.part"))


def _no_larger_than(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    many(tmp_path / "in", 3)
    options = ["--recursive", "--model", "small", "--no-chords", "--no-instruments", "--quiet"]
    run = pitchai(tmp_path / "in", "-o", tmp_path / "out", *options, preexec_fn=partial(_no_larger_than, 16))
    assert run.returncode == 5
    assert run.stderr.count("can't be written") == 3
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_an_output_folder_that_vanishes(tmp_path: Path) -> None:
    many(tmp_path / "in", 30)
    options = ["--recursive", "--model", "small", "--no-chords", "--no-instruments", "--quiet", "--workers", "1"]
    command = [sys.executable, "-m", "transcribe", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *options]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not files(tmp_path / "out"):
        time.sleep(0.01)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    said = run.communicate(timeout=300)[1]
    # It is made again, or its loss is reported; what is there is whole.
    assert run.returncode in (0, 5)
    assert "Traceback" not in said
    assert "a bug" not in said
    for path in (tmp_path / "out").rglob("*.mid"):
        read_transcription(path)


def test_a_file_that_appears_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mid"
    link = os.link

    def slow_link(source: str, target: Path, **more: bool) -> None:
        path.write_bytes(b"somebody else's")
        link(source, target, **more)

    monkeypatch.setattr(os, "link", slow_link)
    with pytest.raises(PitchaiError, match="since a moment ago"):
        write_atomically(path, b"ours")
    assert path.read_bytes() == b"somebody else's"


def test_where_there_are_no_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "a.mid"
    write_atomically(path, b"one")
    with pytest.raises(OutputError, match="exists already"):
        write_atomically(path, b"two")
    write_atomically(path, b"three", overwrite=True)
    assert path.read_bytes() == b"three"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mid"]


def test_sound_in_memory_is_what_was_written() -> None:
    """The corpus holds what it says."""
    for name, content in corpus.whole():
        assert len(content) > 100, name
    samples, _ = soundfile.read(io.BytesIO(corpus.written("WAV", "FLOAT", corpus.sound())))
    np.testing.assert_allclose(samples, corpus.sound()[:, 0], atol=1e-6)
