"""What Ray costs: two actors of a cluster on this machine beside ``--workers 2``, and a batch without any work.

    python tests/benchmark/cluster.py --files 100 --rounds 3

The same one-minute recordings go through both, in turn, a thread each; rates are taken from the time when both workers
are at work, so that loading the networks doesn't count. Then a thousand recordings go through Ray whose listener does
nothing but give back what was heard in a real one: what that takes is Ray's, the queue's and the writing's, and is set
against the time that a thousand real ones would take. The last lines are the bars: 0.9 and 10 %.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile

from transcribe.batch.cluster import Sharing, connected, each_on_cluster
from transcribe.batch.plan import Job, find_recordings, plan
from transcribe.batch.pool import each
from transcribe.batch.work import Done, Work
from transcribe.events import Transcription
from transcribe.transcriber import Transcriber

EXAMPLE = Path(__file__).parents[2] / "examples" / "waltz.flac"
# Results that come before the rate is taken.
FIRST = 4


def make(folder: Path, n_files: int) -> None:
    """Write one-minute recordings: the example over and over, begun elsewhere in each of the first eight."""
    folder.mkdir()
    samples, rate = soundfile.read(EXAMPLE, dtype="float32")
    for number in range(n_files):
        path = folder / f"{number:04d}.flac"
        if number < 8:
            soundfile.write(path, np.resize(np.roll(samples, number * rate), (60 * rate, *samples.shape[1:])), rate)
        else:
            shutil.copyfile(folder / f"{number % 8:04d}.flac", path)


def jobs_of(folder: Path, results: Path) -> list[Job]:
    return plan(find_recordings([str(folder)]), [f"{results}/"])


def timed(outcomes: Iterator[tuple[Job, Done | Exception]]) -> tuple[float, float, list[Done]]:
    """Give results a second, the seconds from the start to the first result, and the results."""
    began, times, results = time.perf_counter(), [], []
    for job, outcome in outcomes:
        if isinstance(outcome, Exception):
            sys.exit(f"{job.recording.name}: {outcome}")
        times.append(time.perf_counter() - began)
        results.append(outcome)
    return (len(times) - FIRST) / (times[-1] - times[FIRST - 1]), times[0], results


def give_back(result: Transcription, *_: Any, **__: Any) -> Transcription:
    return result


def open_nothing(result: Transcription, infer: object = None) -> Any:
    return SimpleNamespace(transcribe_file=partial(give_back, result), device="cpu", max_duration=3600.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--empty", type=int, default=1000, help="recordings of the batch without work")
    parser.add_argument("--model", default=None, help="small, medium or large")
    options = parser.parse_args()
    # Ray has its workers stand back behind all others; ours wouldn't.
    os.environ.setdefault("RAY_worker_niceness", "0")
    opened = partial(Transcriber, model=options.model, device="cpu", threads=1)
    work = Work(opened, overwrite=True)
    rates: dict[str, list[float]] = {"workers": [], "ray": []}
    cpu = []
    with tempfile.TemporaryDirectory() as scratch, connected("local"):
        make(Path(scratch) / "in", options.files)
        jobs = jobs_of(Path(scratch) / "in", Path(scratch) / "out")
        for number in range(options.rounds):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            rate, first, results = timed(each(jobs, work.begin, 2))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            cpu.append(seconds / sum(done.result.duration for done in results) * 3600)
            rates["workers"].append(rate)
            print(
                f"round {number + 1}: --workers 2: {rate:.2f} files/s, first after {first:.1f} s, "
                f"{cpu[-1]:.0f} CPU s an hour of audio"
            )
            rate, first, results = timed(each_on_cluster(jobs, work, Sharing(limit=2)))
            rates["ray"].append(rate)
            print(f"round {number + 1}: two actors:  {rate:.2f} files/s, first after {first:.1f} s", flush=True)
        empty = Path(scratch) / "empty"
        empty.mkdir()
        for number in range(options.empty):
            (empty / f"{number:04d}.flac").touch()
        idle = Work(partial(open_nothing, results[0].result), overwrite=True)
        driver = time.process_time()
        idle_rate, _, _ = timed(each_on_cluster(jobs_of(empty, Path(scratch) / "nothing"), idle, Sharing(limit=2)))
        driver = (time.process_time() - driver) / options.empty
    workers, ray = statistics.median(rates["workers"]), statistics.median(rates["ray"])
    print(
        f"a batch without work: {1000 / idle_rate:.2f} ms a recording, {len(results[0].result.notes)} notes each; "
        f"of it {1000 * driver:.2f} ms of this process's CPU"
    )
    print(f"two actors give {ray / workers:.2f} x what two workers give")
    print(f"Ray's overhead is {workers / idle_rate:.1%} of the work")


if __name__ == "__main__":
    main()
