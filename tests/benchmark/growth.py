"""How the cost of the whole command grows with the length of a recording and with threads: a table and a picture.

    python -m tests.benchmark.growth --audio song.wav --minutes 1 10 60 600 --threads 1 2 --picture growth.png

Recordings of other lengths are the one given, repeated or cut, as 16-bit FLAC at its own rate. Wall and CPU seconds,
process start included, and peak memory; the best of ``--runs``. Linux only, as ``compare.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import soundfile

from tests.benchmark.compare import ours, time_command


def repeated(audio: Path, minutes: float, out: Path) -> None:
    """Write a recording over and over until it is so long."""
    samples, rate = soundfile.read(audio, dtype="int16")
    left = round(minutes * 60 * rate)
    with soundfile.SoundFile(out, "w", rate, 1 if samples.ndim == 1 else samples.shape[1], "PCM_16") as file:
        while left > 0:
            file.write(samples[:left])
            left -= len(samples)


def draw(rows: list[dict[str, float]], out: Path) -> None:
    """Draw wall seconds and memory over the length, a line for each number of threads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    time, memory = figure.subplots(1, 2)
    for threads in sorted({row["threads"] for row in rows}):
        chosen = [row for row in rows if row["threads"] == threads]
        label = f"{threads:g} thread{'s' if threads > 1 else ''}"
        minutes = [row["minutes"] for row in chosen]
        time.plot(minutes, [row["wall"] for row in chosen], "o-", label=label)
        memory.plot(minutes, [row["peak"] / 1e6 for row in chosen], "o-", label=label)
    time.set(xscale="log", yscale="log", xlabel="minutes of audio", ylabel="seconds, start included")
    memory.set(xscale="log", xlabel="minutes of audio", ylabel="peak memory, MB", ylim=(0, None))
    time.legend()
    for axes in (time, memory):
        axes.grid(alpha=0.3)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="medium")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, float]] = []
    print("| minutes | threads | wall s | CPU s | peak MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for minutes in options.minutes:
            recording = Path(scratch) / f"{minutes:g}.flac"
            repeated(options.audio, minutes, recording)
            for threads in options.threads:
                tool = ours(options.model, threads)
                runs = [
                    time_command(tool, Path(sys.executable).parent, recording, threads) for _ in range(options.runs)
                ]
                best = min(runs, key=lambda run: run["wall"])
                rows.append({"minutes": minutes, "threads": threads, **best})
                figures = f"{best['wall']:.2f} | {best['cpu']:.2f} | {best['peak'] / 1e6:.0f}"
                print(f"| {minutes:g} | {threads} | {figures} |", flush=True)
            recording.unlink()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if options.picture:
        draw(rows, options.picture)


if __name__ == "__main__":
    main()
