"""How much a few taps mend: a simulated user taps beats, clicks a downbeat, and the score is written again.

    python -m tests.benchmark.taps FOLDER [--rounds 1 2 4] [--only NAME] [--jitter SECONDS]

FOLDER is one of `pitchai eval --dataset scores`: performances with their scores. The user taps eight true beats from
the first bar line after a third of the piece on, and clicks the bar line after the first of them (that the taps begin
at a bar line is how the page asks for them): 9 actions. In every further round the user follows the bars from the start
on, and taps eight beats where they are first seen to be wrong (9 actions each). In the column `metre` the user chooses
the time signature besides (1 action). `place` is the share of notes at their place in the bar, as `pitchai eval
--dataset scores` measures it: on the beats that are found, after each number of rounds, and on all true beats, which is
the most that taps can reach.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from transcribe.beats.analysis import analysed
from transcribe.beats.datasets import read_beats, score_files
from transcribe.beats.score_metrics import passable, read_alignment, score_notation
from transcribe.edits.replay import replay
from transcribe.events import Transcription
from transcribe.formats.musicxml_reader import read_score_notes
from transcribe.formats.table import read_transcription
from transcribe.registry import load_dataset
from transcribe.score.analysis import Timing
from transcribe.score.beats import Beats

N_TAPS, FROM = 8, 1 / 3
# Beats so near, in seconds, are the same; bars are wrong where less than so much of eight beats is right.
NEAR, RIGHT = 0.1, 0.75
ACTIONS_A_ROUND, ACTIONS_OF_METRE = N_TAPS + 1, 1


def tap(true: Beats, first: int, rng: np.random.Generator, jitter: float) -> dict[str, Any]:
    """Tap beats from a number on; the first two bar lines among them are said to be ones."""
    beats = list(true.beats[first : first + N_TAPS])
    tapped = (np.array(beats) + rng.normal(0, jitter, len(beats))).round(4).tolist()
    lines = [tapped[k] for k, beat in enumerate(beats) if beat in set(true.downbeats)]
    return {"op": "beats", "beats": sorted(tapped), "downbeats": lines[:2]}


def first_round(true: Beats, notes: Sequence[Any]) -> int:
    """Choose the first beat that is tapped."""
    start, end = notes[0].onset, notes[-1].onset
    later = [line for line in true.downbeats if line >= start + FROM * (end - start)]
    return min(true.beats.index(later[0]), max(0, len(true.beats) - N_TAPS))


def next_round(true: Beats, found: Beats | Transcription, edits: Sequence[dict[str, Any]]) -> int | None:
    """Choose the first beat of a further round: the first bar line from which bars are wrong; None where none is."""
    taken = [(edit["beats"][0], edit["beats"][-1]) for edit in edits if edit["beats"]]
    lines, told, beats = set(true.downbeats), np.array(found.downbeats), np.array(found.beats)
    for first, beat in enumerate(true.beats):
        span = true.beats[first : first + N_TAPS]
        if beat not in lines or len(span) < N_TAPS or any(span[0] <= b and a <= span[-1] for a, b in taken):
            continue
        right = [
            np.abs(beats - time).min() < NEAR and (np.abs(told - time).min(initial=9.0) < NEAR) == (time in lines)
            for time in span
        ]
        if np.mean(right) < RIGHT:
            return first
    return None


def main() -> None:
    """Print a line a piece, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", default="")
    parser.add_argument("--jitter", type=float, default=0.0)
    options = parser.parse_args()
    names = ["found", *(f"{n}x{N_TAPS}" for n in options.rounds), f"{options.rounds[0]}x{N_TAPS}+metre", "true beats"]
    table, actions = [], []
    for piece in load_dataset("scores", options.folder, "notes"):
        if options.only not in piece.name:
            continue
        rng = np.random.default_rng(0)
        beats, score = score_files(piece)
        true, aligned = passable(read_beats(beats, even=False)), read_alignment(piece.labels)
        written = {note.id: note for note in read_score_notes(score)}
        given = read_transcription(piece.audio)
        plain = replace(given, beats=(), downbeats=(), beat_confidences=(), metres=(), tempo=None)
        found = analysed(plain)
        row = [score_notation(found, written, aligned)["place"]]
        edits = [tap(true, first_round(true, found.notes), rng, options.jitter)]
        metre = next(m.label for m in reversed(true.metres) if m.onset <= edits[0]["beats"][0] + 1e-3)
        result = replay(found, edits)
        taken: list[int] = []
        chosen = replay(found, [*edits, {"op": "metre", "metre": metre}])
        for n_rounds in options.rounds:
            while len(edits) < n_rounds and (first := next_round(true, result, edits)) is not None:
                edits.append(tap(true, first, rng, options.jitter))
                result = replay(found, edits)
            taken.append(len(edits) * ACTIONS_A_ROUND)
            row.append(score_notation(result, written, aligned)["place"])
        row.append(score_notation(chosen, written, aligned)["place"])
        row.append(score_notation(analysed(plain, Timing(beats=true)), written, aligned)["place"])
        table.append(row)
        actions.append([0, *taken, ACTIONS_A_ROUND + ACTIONS_OF_METRE])
        print(
            f"{piece.name:50} " + "  ".join(f"{name} {x:.3f}" for name, x in zip(names, row, strict=True)), flush=True
        )
    for title, values in ((f"mean of {len(table)}", table), ("actions a piece", actions)):
        means = np.mean(values, 0)
        print(f"{title:50} " + "  ".join(f"{name} {x:.3f}" for name, x in zip(names, means, strict=False)))


if __name__ == "__main__":
    main()
