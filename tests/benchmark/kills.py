"""Batches that are killed, run into full disks, and work in one folder at once: how many end as they should.

    python -m tests.benchmark.kills --rounds 200 --seed 1

A round is one of: a batch that a signal ends at a random moment, between its start and its end or among its first
moments; one whose files may grow to a random size only; two batches into one folder, one of which is killed. After
each, what is there must be whole. After every tenth, a last batch must finish the work, with the bytes of an
undisturbed one and a line in the manifest for every recording.

Until Python has come to the program's first line, a signal has its own way: SIGTERM kills (-15), SIGINT kills or leaves
a traceback of Python's start (-2 or 1). No program can change that. These rounds are counted apart; all the same they
must leave nothing half.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from transcribe.batch.manifest import _BEGINNING
from transcribe.formats.table import read_transcription

N_RECORDINGS = 12
OPTIONS = ["--recursive", "--model", "small", "--no-chords", "--no-instruments", "--quiet", "--threads", "1"]
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
# What came of the signals, and how often.
ends: Counter[str] = Counter()


def recordings(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(N_RECORDINGS):
        path = folder / str(i % 3) / f"{i:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(8000) / 8000
        soundfile.write(path, 0.4 * np.sin(2 * np.pi * rng.uniform(200, 900) * times) * np.exp(-3 * times), 8000)
    return folder


def begun(source: Path, out: Path, limit: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "transcribe", str(source), "-o", str(out), *OPTIONS]
    command += ["--workers", "1", "--skip-existing"]
    limited = None if limit is None else partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=limited)


def ended(run: subprocess.Popen[str], codes: set[int]) -> Iterator[str]:
    """Wait for its end; say what is wrong with it."""
    said = run.communicate(timeout=300)[1]
    if run.returncode not in codes:
        yield f"exit code {run.returncode}: {said[-300:]}"
    if "Traceback" in said or "a bug" in said:
        yield f"traceback: {said[-300:]}"


def wrong(out: Path) -> Iterator[str]:
    """Say what isn't whole."""
    for path in out.rglob("*"):
        if path.suffix == ".mid":
            try:
                read_transcription(path)
            except Exception as error:
                yield f"half a file: {path.name}: {error}"
        elif path.suffix == ".part" and not path.name.startswith(".pitchai-"):
            yield f"left behind: {path.name}"
    for line in lines(out):
        if line["error"] is None and not all(map(Path.exists, map(Path, line["outputs"]))):
            yield f"a line without its result: {line['input']}"


def lines(out: Path) -> list[dict[str, Any]]:
    manifest = out / "pitchai.jsonl"
    found = []
    for line in manifest.read_bytes().split(b"\n") if manifest.exists() else ():
        try:
            found.append(json.loads(line[max(0, line.rfind(_BEGINNING)) :]))
        except ValueError:
            continue
    return found


def struck(run: subprocess.Popen[str], number: signal.Signals) -> bool:
    """Send a signal; tell whether the program had come to its first line, where it handles signals."""
    os.kill(run.pid, signal.SIGSTOP)  # so that it can't come there in between
    state = os.waitid(os.P_PID, run.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if state is None or state.si_code != os.CLD_STOPPED:
        return True  # it has ended
    status = Path(f"/proc/{run.pid}/status").read_text()
    caught, ignored = (int(status.partition(f"{name}:")[2].split()[0], 16) for name in ("SigCgt", "SigIgn"))
    os.kill(run.pid, number)
    os.kill(run.pid, signal.SIGCONT)
    return bool((caught | ignored) >> (signal.SIGTERM - 1) & 1)


def kill(source: Path, out: Path, rng: random.Random, latest: float = 3.0) -> Iterator[str]:
    run = begun(source, out)
    yield from killed(run, rng, latest)


def soon(source: Path, out: Path, rng: random.Random) -> Iterator[str]:
    yield from kill(source, out, rng, latest=0.2)


def killed(run: subprocess.Popen[str], rng: random.Random, latest: float) -> Iterator[str]:
    time.sleep(rng.uniform(0, latest))
    number = rng.choice(list(SIGNALS))
    if struck(run, number):
        yield from ended(run, {SIGNALS[number], 0})
        ends[f"{number.name} {run.returncode}"] += 1
    else:
        run.communicate(timeout=300)
        ends[f"{number.name} before the first line {run.returncode}"] += 1


def full(source: Path, out: Path, rng: random.Random) -> Iterator[str]:
    yield from ended(begun(source, out, limit=rng.choice([0, 16, 100, 300, 700, 1500, 3000])), {0, 5})


def double(source: Path, out: Path, rng: random.Random) -> Iterator[str]:
    runs = [begun(source, out) for _ in range(2)]
    yield from killed(runs[0], rng, 3.0)
    yield from ended(runs[1], {0})


def finished(source: Path, out: Path, expected: dict[str, bytes]) -> Iterator[str]:
    yield from ended(begun(source, out), {0})
    if results(out) != expected:
        yield "other bytes than an undisturbed batch"
    done = {str(line["input"]) for line in lines(out) if line["error"] is None}
    if len(done) != N_RECORDINGS:
        yield f"{N_RECORDINGS - len(done)} lines of the manifest lost"


def results(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.mid")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    # As a shell's background job it would have the batches ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counted: Counter[str] = Counter()
    n_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        source = recordings(Path(folder, "in"))
        whole = Path(folder, "whole")
        begun(source, whole).communicate(timeout=300)
        expected = results(whole)
        out = Path(folder, "out")
        for number in range(1, arguments.rounds + 1):
            kind = rng.choice([kill, kill, soon, full, double])
            found = [*kind(source, out, rng), *wrong(out)]
            if number % 10 == 0 or len(results(out)) == N_RECORDINGS:
                found += finished(source, out, expected)
                shutil.rmtree(out)
            counted[kind.__name__] += 1
            n_wrong += bool(found)
            for fault in found:
                print(f"round {number}, {kind.__name__}: {fault}", flush=True)
    print(f"{dict(counted)}: {n_wrong} of {arguments.rounds} rounds wrong")
    for end, count in sorted(ends.items()):
        print(f"{count:4} times {end}")


if __name__ == "__main__":
    main()
