"""What chords and instruments cost beside the notes: whole commands, interleaved.

    python -m tests.benchmark.heads --audio song.wav --minutes 10 --rounds 5

In every round the same recording is heard for the notes alone, with chords, with instruments and with both (what
``pitchai song.wav`` does); CPU seconds, process start included: the median of the rounds, and of their ratios to the
notes of the same round. Linux only, as ``compare.py``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.benchmark.compare import Tool, time_command
from tests.benchmark.growth import repeated

LESS = {
    "notes alone": ("--no-chords", "--no-instruments"),
    "with chords": ("--no-instruments",),
    "with instruments": ("--no-chords",),
    "whole": (),
}


def tool_of(name: str, model: str | None, threads: int) -> Tool:
    """Enter a way to call the command."""
    more = (*LESS[name], "--threads", str(threads), *(("--model", model) if model else ()))
    return Tool(name, (), (), ("pitchai", "{wav}", "-o", "{out}/ours.mid", "--overwrite", *more))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="of the notes")
    options = parser.parse_args()
    spent: dict[str, list[float]] = {name: [] for name in LESS}
    with tempfile.TemporaryDirectory() as scratch:
        recording = Path(scratch) / "song.flac"
        repeated(options.audio, options.minutes, recording)
        for number in range(options.rounds):
            for name in LESS:
                tool = tool_of(name, options.model, options.threads)
                run = time_command(tool, Path(sys.executable).parent, recording, options.threads)
                spent[name].append(run["cpu"])
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    print(f"| {options.minutes:g} minutes | CPU s | of the notes alone |\n|---|---|---|")
    for name, seconds in spent.items():
        ratios = [one / notes for one, notes in zip(seconds, spent["notes alone"], strict=True)]
        print(f"| {name} | {statistics.median(seconds):.2f} | {statistics.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
