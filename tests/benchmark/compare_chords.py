"""Compare our chords with a peer's on the same recordings in one interleaved run.

    python tests/benchmark/compare_chords.py --data folder --venvs ~/peers

``--data`` are folders as ``pitchai eval --dataset chords`` takes them: songs with ``.lab`` files, or clips in folders
named by their chord. The peer is Chordino, as chord-extractor packs it, in a virtual environment of its own below
``--venvs``, made when it is missing. Protocol of the programs in ``runners/``: a path on a line of stdin, one line of
JSON on stdout with ``chords`` (onset s, offset s, label), ``seconds`` of audio and ``cpu`` seconds, reading included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile
from compare import Runner, Tool
from rich.console import Console
from rich.table import Table

from transcribe.audio.reader import load_audio
from transcribe.chords.decoder import simplified
from transcribe.chords.metrics import COMPARISONS, SEGMENTATIONS, mean_scores, read_reference, score_chords
from transcribe.events import Chord
from transcribe.registry import load_dataset
from transcribe.theory.chords import parse, parse_name

OURS = Tool("pitchai chords", ("run_pitchai_chords.py",), (), ())
CHORDINO = Tool(
    "chordino",
    ("run_chordino.py",),
    (("setuptools<81", "wheel", "numpy<2", "Cython"), ("--no-build-isolation", "vamp"), ("chord-extractor",)),
    (),
)


def named(chords: list[tuple[float, float, str]]) -> list[Chord]:
    """Read a tool's labels, in Harte's syntax or as guitarists write them; what is neither counts as unknown."""
    found = []
    for onset, offset, text in chords:
        try:
            label = str(parse_name(text))
        except ValueError:
            label = "X"
        found.append(Chord(onset, max(offset, onset), label))
    return found


def longest(chords: list[Chord]) -> str:
    """The triad that sounds longest; ``N`` only where there is no other."""
    lengths: dict[str, float] = defaultdict(float)
    for chord in chords:
        lengths[str(simplified(parse(chord.label), "triads"))] += chord.offset - chord.onset
    return max({name: length for name, length in lengths.items() if name != "N"} or {"N": 1.0}, key=lengths.__getitem__)


def main() -> None:
    """Compare and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--venvs", type=Path, required=True, help="folder for the peer's virtual environment")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    tools = [OURS, CHORDINO]
    runners = {tool.name: Runner(tool, tool.environment(options.venvs), options.threads) for tool in tools}
    songs, clips = (
        Table("songs", "tool", *COMPARISONS, *SEGMENTATIONS),
        Table("clips", "tool", "root and triad right"),
    )
    cost = {tool.name: np.zeros(2) for tool in tools}
    with tempfile.TemporaryDirectory() as scratch:
        for folder in options.data:
            pieces = load_dataset("chords", folder)
            scores: dict[str, list[dict[str, float]]] = {name: [] for name in runners}
            right = dict.fromkeys(runners, 0)
            for number, piece in enumerate(pieces, 1):
                path = Path(scratch) / "piece.wav"
                audio = load_audio(piece.audio, 44100)
                soundfile.write(path, audio.samples, 44100)
                for name, runner in runners.items():
                    answer = runner(path)
                    cost[name] += answer["cpu"], answer["seconds"]
                    estimate = named(answer["chords"])
                    if piece.labels.is_dir():
                        truth = simplified(parse_name(piece.labels.name), "triads")
                        right[name] += longest(estimate) == str(truth)
                        continue
                    scores[name].append(score_chords(read_reference(piece, answer["seconds"]), estimate))
                print(f"{folder.name} {number}/{len(pieces)}", file=sys.stderr)
            for name in runners:
                if scores[name]:
                    songs.add_row(folder.name, name, *(f"{mean:.3f}" for mean in mean_scores(scores[name]).values()))
                else:
                    clips.add_row(folder.name, name, f"{right[name] / len(pieces):.3f}")
    console = Console(width=None if sys.stdout.isatty() else 200)
    for table in (songs, clips):
        if table.row_count:
            console.print(table)
    for name, (cpu, seconds) in cost.items():
        console.print(f"{name}: {60 * cpu / seconds:.2f} CPU seconds a minute, reading included")


if __name__ == "__main__":
    main()
