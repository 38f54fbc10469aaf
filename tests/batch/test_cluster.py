"""Batches on a Ray cluster: nodes come and go, recordings kill, results are those of one machine."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from transcribe.batch.cluster import Sharing, each_on_cluster, gpus_for
from transcribe.batch.plan import find_recordings, plan
from transcribe.batch.pool import DiedError
from transcribe.batch.work import Work
from transcribe.cli.main import main as cli
from transcribe.errors import InputError, UsageError
from transcribe.events import Note, Transcription
from transcribe.transcriber import Transcriber

SMALL = ["--model", "small", "--no-chords", "--no-instruments", "--quiet"]


def pluck(folder: Path, n: int, seconds: float = 1.0) -> Path:
    """Write recordings, each of another pitch, in folders of three."""
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / str(i % 3) / f"{i:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(round(8000 * seconds)) / 8000
        soundfile.write(path, 0.4 * np.sin(2 * np.pi * rng.uniform(200, 900) * times) * np.exp(-3 * (times % 1)), 8000)
    return folder


def results(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.mid")}


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


ray = pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ray.cluster_utils is for Linux")


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server on this machine, found as any is: by the environment."""
    server_of = pytest.importorskip("moto.server").ThreadedMotoServer
    pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as patch:
        server = server_of(port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def cluster(store: str) -> Iterator[Any]:
    """A cluster of machines with a processor each, the first of which stays; it knows the store."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "1000")
        made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        ray.init(made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()
        made.shutdown()


NODE = {"num_cpus": 1, "object_store_memory": 80 << 20}


def n_nodes(cluster: Any, wanted: int) -> list[Any]:
    """Add machines until there are so many."""
    while len(cluster.list_all_nodes()) < wanted:
        cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    return list(cluster.list_all_nodes())


def listen_lightly(path: str, **_: object) -> Transcription:
    """Tell where this was heard; take some time, or die of it."""
    time.sleep(0.05)
    if "poison" in path:
        os.kill(os.getpid(), signal.SIGKILL)
    if "bad" in path:
        raise InputError(f"{Path(path).name}: bad")
    node = ray.get_runtime_context().get_node_id()
    return Transcription(notes=(Note(0.0, 60, 1.0, 80),), duration=1.0, models={"notes": node})


def open_lightly(infer: object = None, isolated: bool = False) -> Any:
    return SimpleNamespace(transcribe_file=listen_lightly, device="cpu", max_duration=3600.0)


def light(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.slow
def test_a_node_is_lost_in_the_middle(tmp_path: Path, cluster: Any) -> None:
    source = pluck(tmp_path / "in", 200)
    one = [sys.executable, "-m", "transcribe", str(source), "-o", str(tmp_path / "one"), "--recursive", *SMALL]
    assert subprocess.run([*one, "--workers", "2"], stdout=subprocess.DEVNULL, check=False).returncode == 0
    nodes = n_nodes(cluster, 3)
    manifest = tmp_path / "many" / "pitchai.jsonl"
    after = []

    def lose() -> None:
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 60:
            time.sleep(0.05)
        after.append(manifest.read_bytes().count(b"\n"))
        cluster.remove_node(nodes[-1], allow_graceful=False)

    losing = threading.Thread(target=lose, daemon=True)
    losing.start()
    assert cli([str(source), "-o", str(tmp_path / "many"), "--recursive", "--ray", *SMALL]) == 0
    losing.join(30)
    assert 60 <= after[0] < 200
    assert len(results(tmp_path / "many")) == 200
    assert results(tmp_path / "many") == results(tmp_path / "one")
    told = lines(manifest.read_text())
    assert sorted(line["input"] for line in told) == sorted(map(str, source.rglob("*.wav")))
    assert all(line["error"] is None for line in told)
    # Ray's own metrics, from whichever machine's agent.
    wanted = {"pitchai_files", "pitchai_audio_hours", "pitchai_seconds"}
    deadline = time.monotonic() + 30
    while wanted - metrics() and time.monotonic() < deadline:
        time.sleep(1)
    assert not wanted - metrics()


def metrics() -> set[str]:
    found = set()
    for node in ray.nodes():
        if node["Alive"]:
            address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            # A machine that was lost a moment ago may count as alive.
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
                found |= set(re.findall(r"(pitchai_[a-z_]+?)(?:_total)?\{", answer.read().decode()))
    return found


def test_a_recording_that_kills_is_set_aside(tmp_path: Path, cluster: Any) -> None:
    n_nodes(cluster, 2)
    source = light(tmp_path / "in", "bad.wav", "poison.wav", *(f"{i}.wav" for i in range(20)))
    jobs = plan(find_recordings([str(source)]), [str(tmp_path / "out")])
    found = [(job.recording.name, outcome) for job, outcome in each_on_cluster(jobs, Work(open_lightly))]
    assert sorted(name for name, _ in found) == sorted(path.name for path in source.iterdir())
    outcomes: dict[str, Any] = dict(found)
    assert isinstance(outcomes.pop("poison.wav"), DiedError)
    assert isinstance(outcomes.pop("bad.wav"), InputError)
    assert {Path(done.written[0]).stem for done in outcomes.values()} == {str(i) for i in range(20)}


def test_a_node_that_joins_is_used(tmp_path: Path, cluster: Any) -> None:
    before = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    source = light(tmp_path / "in", *(f"{i}.wav" for i in range(200)))
    jobs = plan(find_recordings([str(source)]), [str(tmp_path / "out")])
    used: list[str] = []
    for number, (_, done) in enumerate(each_on_cluster(jobs, Work(open_lightly)), 1):
        assert not isinstance(done, Exception)
        used.append(done.result.models["notes"])
        if number == 10:
            node = cluster.add_node(**NODE)
        # Until the new one has begun nobody hurries.
        if number > 10 and set(used) <= before:
            time.sleep(0.3)
    assert len(used) == 200
    assert set(used) - before == {node.node_id}


class Watched:
    """A transcriber that writes down which processes run its networks for others; the second time it dies."""

    def __init__(self, transcriber: Any, log: Path) -> None:
        self._transcriber, self._log = transcriber, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transcriber, name)

    @property
    def window_models(self) -> object:
        with self._log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if len(self._log.read_text().split()) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._transcriber.window_models


def open_watched(log: Path, infer: Any = None, isolated: bool = False) -> Any:
    with log.with_name("begun").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return Watched(Transcriber(model="small", device="cpu", threads=1, infer=infer), log)


@pytest.mark.slow
def test_a_long_recording_is_shared_out_and_its_bytes_are_one_machines(tmp_path: Path, cluster: Any) -> None:
    n_nodes(cluster, 2)
    source = tmp_path / "long.wav"
    rng = np.random.default_rng(1)
    samples = np.concatenate([soundfile.read(pluck(tmp_path / "in", 1) / "0" / "000.wav")[0]] * 150)
    soundfile.write(source, samples + 0.01 * rng.standard_normal(len(samples)), 8000)
    kinds = ["mid", "json", "npz"]
    one = [sys.executable, "-m", "transcribe", str(source), "--model", "small", "--threads", "1", "--quiet"]
    for kind in kinds:
        one += ["-o", str(tmp_path / f"one.{kind}")]
    assert subprocess.run(one, stdout=subprocess.DEVNULL, check=False).returncode == 0
    # Others come first, so that there are two actors by then.
    others = pluck(tmp_path / "others", 12)
    jobs = plan(find_recordings([str(others)], recursive=True), [f"{tmp_path}/out/"])
    jobs += plan(find_recordings([str(source)]), [str(tmp_path / f"many.{kind}") for kind in kinds])
    work = Work(partial(open_watched, tmp_path / "log"))
    for _, done in each_on_cluster(jobs, work, Sharing(n_windows=1, n_alone=2)):
        assert not isinstance(done, Exception), done
        while len(set((tmp_path / "begun").read_text().split())) < 2:
            time.sleep(0.1)
    for kind in kinds:
        assert (tmp_path / f"many.{kind}").read_bytes() == (tmp_path / f"one.{kind}").read_bytes()
    heard = (tmp_path / "log").read_text().split()
    # What was lost with the dead one is heard by whoever reads, and isn't counted.
    assert len(set(heard)) >= 2


@pytest.mark.slow
def test_from_a_store_to_a_store(tmp_path: Path, cluster: Any, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    import s3fs

    n_nodes(cluster, 2)
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("bucket")
    source = pluck(tmp_path / "in", 9)
    (source / "0" / "bad.wav").write_bytes(b"nothing")
    files.put(f"{source}/", "bucket/in/", recursive=True)
    cli([str(source), "-o", str(tmp_path / "one"), "--recursive", "--workers", "1", *SMALL])
    command = ["s3://bucket/in", "-o", "s3://bucket/out", "--recursive", "--ray", "--skip-existing", *SMALL]
    assert cli(command) == 3
    made = {path.removeprefix("bucket/out/"): files.cat_file(path) for path in files.find("bucket/out")}
    told = lines(made.pop("pitchai.jsonl").decode())
    assert made == results(tmp_path / "one")
    assert sorted(line["input"] for line in told) == [f"s3://{path}" for path in sorted(files.find("bucket/in"))]
    assert [line["input"] for line in told if line["error"]] == ["s3://bucket/in/0/bad.wav"]
    assert all(line["sha256"] for line in told if not line["error"])
    # It goes on from there: what is done is left, what is missing is made.
    files.rm_file("bucket/out/1/001.mid")
    capsys.readouterr()
    assert cli(command[:-1]) == 3
    assert "8 of 10 recordings skipped" in capsys.readouterr().err
    assert files.cat_file("bucket/out/1/001.mid") == made["1/001.mid"]
    assert len(lines(files.cat_file("bucket/out/pitchai.jsonl.1").decode())) == 2
    # Nothing is replaced unasked, and what is begun anew leaves nothing of the old manifest.
    assert cli(["s3://bucket/in/1/001.wav", "-o", "s3://bucket/out/1/", *SMALL]) == 5
    assert cli(["s3://bucket/in/1", "-o", "s3://bucket/out", "--overwrite", "--ray", *SMALL]) == 0
    assert not files.exists("bucket/out/pitchai.jsonl.1")
    assert not list(Path(tempfile.gettempdir()).glob("pitchai-*/???.wav"))


def test_gpus_are_rays_to_choose(cluster: Any) -> None:
    assert gpus_for("auto") == 0
    assert gpus_for("cuda") > 0
    with pytest.raises(UsageError, match="Ray chooses"):
        gpus_for("cuda:1")
