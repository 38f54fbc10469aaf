"""How good and how quick ``pitchai live`` is: the latency curve, ghosts, delays, an hour of it.

    python -m tests.benchmark.live curve --data maps-real-dev:DIR omaps-dev:DIR
    python -m tests.benchmark.live ghosts
    python -m tests.benchmark.live delay --audio song.ogg --seconds 60 --busy 0 1
    python -m tests.benchmark.live hour --audio song.ogg

The curve: what is told with each latency, heard once through the very engine of the command, beside the small network
that hears the whole recording. Onsets within 50 ms, offsets within 50 ms or 20 %, key releases; means over pieces.
Ghosts: notes a minute where there are none. Delays: from a true onset to the moment its event leaves the program, of
notes that are found, played at their own pace. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile

from transcribe.audio.reader import AudioReader
from transcribe.events import Note
from transcribe.live.delays import LATENCIES, MEASURED
from transcribe.live.engine import Engine, Spectrogram
from transcribe.live.model import LiveListener, LiveModel, load_live_model
from transcribe.live.session import Session
from transcribe.live.sources import FileSource
from transcribe.live.teller import Teller
from transcribe.live.tracker import Event, Kind
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.registry import load_dataset
from transcribe.transcriber import Transcriber

RATE = 16000
SAID = (
    "The quick brown fox jumps over the lazy dog, and nobody has asked it why. When the sunlight strikes raindrops in "
    "the air, they act as a prism and form a rainbow. Please call Stella; ask her to bring these things with her."
)


def model_of(path: Path | None) -> LiveModel:
    """Load a graph, or what is shipped."""
    return load_live_model() if path is None else LiveModel(path.read_bytes(), path.stem)


def told(model: LiveModel, blocks: Iterator[np.ndarray]) -> dict[int, tuple[Note, ...]]:
    """Hear a recording once, and give the notes as each latency tells them."""
    spectrogram, listener = Spectrogram(model.features), LiveListener(model)
    tellers = [Teller(model, latency) for latency in MEASURED]
    n_samples = 0

    def hear(samples: np.ndarray) -> None:
        for row in spectrogram.push(samples):
            said = listener(row)
            for teller in tellers:
                teller.push(said)

    for block in blocks:
        n_samples += len(block)
        hear(block)
    hear(np.zeros(RATE * 6 // 10, np.float32))
    for teller in tellers:
        teller.finish(n_samples / RATE)
    return {latency: teller.sent.sorted_notes() for latency, teller in zip(MEASURED, tellers, strict=True)}


def figures(reference: Sequence[Note], estimate: Sequence[Note]) -> tuple[float, float]:
    """Onset F1, and that with offsets."""
    n = max(len(reference) + len(estimate), 1)
    return tuple(2 * len(match_notes(reference, estimate, ratio)) / n for ratio in (None, 0.2))  # type: ignore[return-value]


def curve(options: argparse.Namespace) -> None:
    """Print a row for each latency, and for the small network without one."""
    model, small = model_of(options.graph), Transcriber(tasks=("notes",), model="small", threads=1)
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for data in options.data:
        title, _, folder = data.partition(":")
        for piece in load_dataset("pairs", Path(folder))[:: options.every]:
            reference = read_labels(piece.labels).notes
            if not reference:
                continue
            with AudioReader(piece.audio, RATE) as reader:
                heard = told(model, reader.blocks())
            rows: dict[str, Sequence[Note]] = {f"{latency} ms": notes for latency, notes in heard.items()}
            rows["all"] = small.transcribe_file(piece.audio).notes
            for name, notes in rows.items():
                found.setdefault(name, {}).setdefault(title, []).append(figures(reference, notes))
            print(piece.name, {name: round(found[name][title][-1][0], 3) for name in rows}, file=sys.stderr, flush=True)
    titles = [data.partition(":")[0] for data in options.data]
    print("| heard of a note | " + " | ".join(f"{title}: onset | + offset" for title in titles) + " |")
    print("|---" * (1 + 2 * len(titles)) + "|")
    for name, of in found.items():
        cells = [f"{value:.3f}" for title in titles for value in np.mean(of[title], axis=0)]
        print(f"| {name} | {' | '.join(cells)} |")


def nothing_played(minutes: float) -> Iterator[tuple[str, np.ndarray]]:
    """Make sounds in which nothing is played."""
    rng = np.random.default_rng(0)
    n = round(60 * minutes * RATE)
    yield "silence", np.zeros(n, np.float32)
    yield "silence", (1e-4 * rng.standard_normal(n)).astype(np.float32)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    for power in (0.0, 0.5, 1.0):  # white, pink, brown
        coloured = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 50.0) ** power, n)
        for level in (0.01, 0.1):
            yield "noise", (level * coloured / coloured.std()).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        for voice, speed, pitch in (("en-gb", 160, 40), ("en-us+f3", 150, 60), ("de", 140, 45), ("en+m7", 175, 30)):
            path = Path(folder) / "said.wav"
            command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-w", str(path), SAID]
            subprocess.run(command, check=True, capture_output=True)
            with AudioReader(path, RATE) as reader:
                once = np.concatenate(list(reader.blocks()))
            yield "speech", np.tile(once, 1 + n // len(once))[:n]


def ghosts(options: argparse.Namespace) -> None:
    """Print how many notes a minute are told where there are none."""
    model = model_of(options.graph)
    found: dict[str, list[dict[int, float]]] = {}
    for name, samples in nothing_played(options.minutes):
        notes = told(model, iter(np.array_split(samples, 1 + len(samples) // 1600)))
        found.setdefault(name, []).append({latency: len(n) / options.minutes for latency, n in notes.items()})
    print("| notes a minute in | " + " | ".join(f"{latency} ms" for latency in MEASURED) + " |")
    print("|---" * (1 + len(MEASURED)) + "|")
    for name, rows in found.items():
        cells = [f"{np.mean([row[latency] for row in rows]):.1f}" for latency in MEASURED]
        print(f"| {name} | {' | '.join(cells)} |")


def _burn() -> None:
    while True:
        sum(range(10_000))


def delay(options: argparse.Namespace) -> None:
    """Print how long after its onset a note leaves the program, and what that costs of a core."""
    model = model_of(options.graph)
    reference = read_labels(options.labels or options.audio.with_suffix(".tsv")).notes
    print("| latency | cores busy | median delay | 95th percentile | of one core |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.wav"
        with AudioReader(options.audio, RATE) as reader:
            samples = np.concatenate(list(reader.blocks()))[: round(options.seconds * RATE)]
        soundfile.write(path, samples, RATE)
        for busy in options.busy:
            others = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(busy)]
            for other in others:
                other.start()
            time.sleep(0.5 * busy)
            for latency in options.latency:
                median, late, share = _delays(model, path, latency, reference)
                print(f"| {latency} ms | {busy} | {median:.0f} ms | {late:.0f} ms | {share:.1%} |", flush=True)
            for other in others:
                other.kill()


def _delays(model: LiveModel, path: Path, latency: int, reference: Sequence[Note]) -> tuple[float, float, float]:
    engine = Engine(model, latency)
    left: dict[tuple[int, float], float] = {}

    def watch(event: Event, now: float) -> None:
        if event.kind is Kind.NOTE_ON:
            left[event.pitch, event.time] = now

    session = Session(FileSource(path, RATE), engine, watch=watch)
    began = time.process_time()
    session.run()
    share = (time.process_time() - began) / engine.time
    notes = engine.sent.sorted_notes()
    pairs = match_notes(reference, notes)
    delays = [left[notes[j].pitch, notes[j].onset] - reference[i].onset for i, j in pairs]
    assert session.health.lost == 0, session.health
    return 1000 * float(np.median(delays)), 1000 * float(np.percentile(delays, 95)), share


def hour(options: argparse.Namespace) -> None:
    """Hear a recording over and over for an hour, as quickly as can be: memory, and what is left hanging."""
    model = model_of(options.graph)
    engine = Engine(model, options.latency[0])
    with AudioReader(options.audio, RATE) as reader:
        samples = np.concatenate(list(reader.blocks()))
    sounding: set[int] = set()
    n_on = n_off = 0
    minute = 0.0
    blocks = np.array_split(samples, len(samples) // 160)
    began = time.process_time()
    while engine.time < 3600 * options.hours:
        for block in blocks:
            for event in engine.push(block):
                if event.kind is Kind.NOTE_ON:
                    n_on += 1
                    sounding.add(event.pitch)
                elif event.kind is Kind.NOTE_OFF:
                    n_off += 1
                    sounding.discard(event.pitch)
            if engine.time >= minute:
                gc.collect()
                print(f"{engine.time / 60:5.0f} min  {_memory():6.1f} MB  {n_on} notes", flush=True)
                minute += 600
    share = (time.process_time() - began) / engine.time
    for event in engine.finish():
        if event.kind is Kind.NOTE_OFF:
            n_off += 1
            sounding.discard(event.pitch)
    print(f"{n_on} begun, {len(sounding)} left hanging, {engine.n_withdrawn} withdrawn, {share:.1%} of one core")


def _memory() -> float:
    """Megabytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("what", choices=("curve", "ghosts", "delay", "hour"))
    add("--graph", type=Path, help="another live network than is shipped")
    add("--data", nargs="+", default=[], help="title:folder of pairs")
    add("--every", type=int, default=1, help="every so many pieces only")
    add("--minutes", type=float, default=1.0)
    add("--audio", type=Path)
    add("--labels", type=Path)
    add("--seconds", type=float, default=60.0)
    add("--latency", type=int, nargs="+", default=list(LATENCIES))
    add("--busy", type=int, nargs="+", default=[0, 1])
    add("--hours", type=float, default=1.0)
    options = parser.parse_args()
    {"curve": curve, "ghosts": ghosts, "delay": delay, "hour": hour}[options.what](options)


if __name__ == "__main__":
    main()
