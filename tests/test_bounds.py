"""Small files that ask for much: what is read and written has bounds, tried with little memory in another process."""

from __future__ import annotations

import http.server
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.formats.test_midi_reader import midi, off, on, tempo, track
from transcribe.batch import storage
from transcribe.errors import InputError, UsageError
from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.formats import reading
from transcribe.formats.json import to_json
from transcribe.formats.table import FORMATS, read_transcription
from transcribe.notes.metrics import compare
from transcribe.report import page, roll, sonify

MONTH = 31 * 24 * 3600.0 - 1
# Python, NumPy and matplotlib take 0.7 GB of addresses, whatever is written.
MEMORY = 1_500_000_000
RUN = """
import sys
from transcribe.cli.main import main
for line in sys.stdin:
    print(main(line.split()), flush=True)
"""


def _with_little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(folder: Path, *commands: str) -> tuple[list[int], str]:
    """Run commands one after the other in one process that has little memory: their exit codes, and what they said."""
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=_with_little_memory,
        check=False,
    )
    return [int(line) for line in done.stdout.splitlines() if line.isdigit()], done.stderr


def conversions(source: str) -> list[str]:
    # Pictures take seconds; what is in them makes no difference.
    targets = ("mid", "csv", "html", "jams", "json", *(("png", "svg") if source == "long.json" else ()))
    written = [f"convert {source} out.{suffix} --overwrite --quiet" for suffix in targets]
    return [*written, f"eval --reference {source} --estimate {source} --json"]


HOSTILE = {
    "nothing.json": Transcription((Note(0.0, 60, 1.0, 64),), duration=MONTH),
    "late.json": Transcription((Note(0.0, 60, 1.0, 64), Note(MONTH - 1, 60, MONTH, 64)), duration=MONTH),
    "long.json": Transcription(
        (Note(0.0, 60, MONTH, 64),), (Pedal(0.0, MONTH),), chords=(Chord(0.0, MONTH, "C:maj"),), duration=MONTH
    ),
    "beats.json": Transcription((Note(MONTH - 1, 60, MONTH, 64),), beats=(0.0, 0.1, 0.2), duration=MONTH),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "long.json" else name for name in HOSTILE]
)
def test_results_that_say_they_last_a_month(tmp_path: Path, name: str) -> None:
    content = to_json(HOSTILE[name])
    assert len(content) < 1000
    (tmp_path / name).write_bytes(content)
    commands = conversions(name)
    codes, said = run(tmp_path, *commands)
    assert codes == [0] * len(commands), said
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 20_000_000


MANY_TICKS = (1 << 28) - 1
METRE = b"\xff\x58\x04\x01\x05\x18\x08"  # 1/32


@pytest.mark.parametrize(
    "content",
    [
        midi(track((0, on(60)), (480, off(60)), (MANY_TICKS, on(62)), (480, off(62))), form=0),
        midi(track((0, tempo(1)), (0, on(60)), (1, off(60)), (MANY_TICKS, on(62)), (1, off(62))), form=0, division=1),
        midi(track((0, tempo(1)), (0, METRE), (MANY_TICKS, on(62)), (1, off(62))), division=1),
        midi(track((MANY_TICKS, tempo(1)), (0, on(60)), (MANY_TICKS, off(60))), form=0, division=32_767),
    ],
    ids=["three days", "many ticks", "a tiny metre", "a long note"],
)
def test_small_midi_of_many_ticks(tmp_path: Path, content: bytes) -> None:
    assert len(content) < 80
    (tmp_path / "a.mid").write_bytes(content)
    commands = [f"convert a.mid out.{suffix} --overwrite --quiet" for suffix in ("mid", "json")]
    commands += ["show a.mid", "eval --reference a.mid --estimate a.mid --json"]
    codes, said = run(tmp_path, *commands)
    assert codes == [0] * len(commands), said


def test_tables_that_last_a_month_and_files_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"onset,offset,pitch,velocity,confidence\n0,{MONTH},60,80,1\n")
    (tmp_path / "a.lab").write_text(f"0 {MONTH} C:maj\n")
    (tmp_path / "a.json").write_bytes(to_json(Transcription((Note(0.0, 60, 1.0, 64),), duration=2.0)))
    (tmp_path / "a.beats").write_text("0\n1e300\n")
    for suffix in ("json", "mid", "csv", "lab", "beats"):
        (tmp_path / f"zero.{suffix}").symlink_to("/dev/zero")
    good = ["convert a.csv a.html --quiet", "convert a.csv a.mid --quiet", "convert a.lab b.mid --quiet", "show a.lab"]
    bad = [f"convert zero.{suffix} b.svg" for suffix in ("json", "mid", "csv", "lab")]
    bad += [f"convert a.json c.mid --beats {name}" for name in ("a.beats", "zero.beats")]
    codes, said = run(tmp_path, *good, *bad)
    assert codes == [0] * len(good) + [3] * len(bad), said
    assert said.count("larger than 128 MB") == 5


@pytest.mark.parametrize(
    "content",
    [b"[" * 1_000_000, b'{"a":' * 1_000_000, b'{"notes":[' + b"[]," * 3_000_000 + b"[]]}", b"9" * 1_000_000],
    ids=["deep arrays", "deep objects", "many arrays", "a number"],
)
def test_json_that_takes_more_than_it_weighs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    codes, said = run(tmp_path, "show a.json")
    assert codes == [3], said
    assert len(said.splitlines()) == 1
    assert len(said) < 400


def test_text_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_EVENTS", 10)
    for name, content in {
        "lab": b"0 1 C:maj\n" * 20,
        "csv": b"onset,offset,pitch,velocity,confidence\n" + b"0,1,60,80,1\n" * 20,
        "json": b'{"a":[' + b"{}," * 20,
    }.items():
        read = FORMATS[name].read
        assert read is not None
        with pytest.raises(InputError, match="more than 10 events"):
            read(content)


@pytest.mark.parametrize("suffix", ["npz", "pdf"])
def test_what_is_written_only_is_not_opened(tmp_path: Path, suffix: str) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("onset.npy", bytes(10_000_000))
    path = tmp_path / f"bomb.{suffix}"
    path.write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="written only"):
        read_transcription(path)


def test_a_page_of_many_hours_has_no_sound_and_says_so() -> None:
    song = Transcription((Note(0.0, 60, 1.0, 64),), duration=page.SOUND_SECONDS + 1)
    html = page.to_html(song).decode()
    assert "There is no sound on this page" in html
    assert 'id="samples"' not in html
    assert 'id="samples"' in page.to_html(Transcription((Note(0.0, 60, 1.0, 64),), duration=2.0)).decode()


def test_a_long_picture_has_longer_rows_and_shows_all_of_it() -> None:
    last = Note(85_000.0, 107, 86_000.0, 64)
    figure = roll.draw(Transcription((Note(0.0, 21, 1.0, 64), last), duration=86_400.0))
    assert figure.get_figheight() < roll.MOST_INCHES + 1
    *_, last_row, _ = figure.axes  # the key comes last
    assert last_row.get_xlim()[1] == pytest.approx(86_400.0)


def test_the_spectrogram_behind_long_rows_is_that_of_all_samples() -> None:
    rng = np.random.default_rng(1)
    blocks = [rng.normal(0, 0.1, 16_000).astype(np.float32) for _ in range(45)]
    fine, coarse = (roll._spectrogram(roll.Scene(recording=iter(blocks)), n) for n in (1, 3))
    n_frames = coarse.decibels.shape[1]
    assert n_frames == fine.decibels.shape[1] // 3 == 750
    assert coarse.frames_per_second == pytest.approx(50 / 3)
    means = fine.decibels[:, : 3 * n_frames].reshape(len(fine.decibels), n_frames, 3).mean(2)
    np.testing.assert_allclose(coarse.decibels, means, rtol=1e-5)


def test_sound_is_played_in_blocks_whose_sum_is_all_notes() -> None:
    """Against the plain way: every note added to one array."""
    rng = np.random.default_rng(2)
    onsets = np.sort(rng.uniform(0, 20, 80))
    notes = tuple(
        Note(float(t), int(p), float(t) + 0.5, 70) for t, p in zip(onsets, rng.integers(21, 108, 80), strict=True)
    )
    song = Transcription(notes, (Pedal(1.0, 4.0), Pedal(3.0, 9.0), Pedal(15.0, 15.2)), duration=21.0)
    ends = [max([n.offset, *(p.offset for p in song.pedals if p.onset <= n.offset < p.offset)]) for n in notes]
    plain = np.zeros(round(max(21.0, *(end + 5 * sonify._DAMPING for end in ends)) * sonify.SAMPLE_RATE), np.float32)
    for note, end in zip(notes, ends, strict=True):
        first = round(note.onset * sonify.SAMPLE_RATE)
        sound = sonify._note(note, end - note.onset)[: len(plain) - first]
        plain[first : first + len(sound)] += sound
    np.testing.assert_array_equal(sonify.synthesise(song), plain * min(1.0, 0.9 / float(np.abs(plain).max())))


def test_a_wav_larger_than_its_header_can_say_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sonify, "_MOST_WAV", 30_000)
    song = Transcription((Note(0.0, 60, 1.0, 64),), duration=3.0)
    with pytest.raises(UsageError, match=r"4 GB; choose \.flac"):
        sonify.to_audio(song, ".wav")
    assert sonify.to_audio(song, ".flac")


def test_a_full_disk_while_sound_is_written_is_an_error_of_its_own() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        sonify.write_audio(Full(), Transcription((Note(0.0, 60, 1.0, 64),), duration=3.0), ".wav")


def test_frames_of_a_month_are_compared_by_their_spans() -> None:
    whole = Transcription((Note(0.0, 60, MONTH, 64),), (Pedal(0.0, MONTH),), duration=MONTH)
    half = Transcription((Note(0.0, 60, MONTH / 2, 64),), (Pedal(0.0, MONTH / 2),), duration=MONTH)
    (piece,) = compare(whole, half).pieces
    for name in ("frame", "pedal"):
        assert piece.scores[name].precision == 1.0
        assert piece.scores[name].recall == pytest.approx(0.5, abs=1e-6)
    assert piece.exact_slices == pytest.approx(0.5, abs=1e-6)


class _Endless(http.server.BaseHTTPRequestHandler):
    """A recording that never ends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 18))
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


def test_a_download_without_an_end_leaves_the_disk_some_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(storage, "_ROOM_LEFT", 1 << 22)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/a.wav"
        with pytest.raises(InputError, match="no end in sight"), storage.here(address):
            pass
    finally:
        server.shutdown()
        server.server_close()
    assert not list(tmp_path.iterdir())


def test_results_on_the_way_are_small(tmp_path: Path) -> None:
    """What --json prints can be converted: what it adds to the document is passed over."""
    values = {"input": "a.wav", "outputs": [], "device": "cpu", **json.loads(to_json(HOSTILE["nothing.json"]))}
    (tmp_path / "a.json").write_text(json.dumps(values))
    assert read_transcription(tmp_path / "a.json") == HOSTILE["nothing.json"]
