"""Scores played by the simulated performer, as MIDI that a sampled piano can play.

    python -m train.synthesis.recitals --scores data/free/openscore-lieder data/free/mutopia --out runs/recitals

Tempo, phrases, touch and ornaments are those of :mod:`train.beats.performer`; three performances in four have a pedal
that follows the chords. Free scores become performances, of which there are few that everybody may use.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from train import recipes
from train.beats.corpus import read_score
from train.beats.performer import play
from train.progress import Progress
from train.synthesis.performances import HIGHEST, LOWEST, Performance, syncopated_pedal, without_overlaps
from train.synthesis.render import write_labels
from train.synthesis.scores import find_pieces

# Shorter pieces aren't worth a file.
_FEWEST_NOTES = 60
# Standard deviation of the logarithm of the tempo, as a share of the score's own.
_TEMPO = 0.15
_PEDAL_SHARE = 0.75


def perform(path: Path, rng: np.random.Generator) -> Performance | None:
    """Play a score, a MIDI file with a metre; None where it has none, or next to no notes."""
    try:
        score = read_score(path, path.parent.name)
    except (OSError, ValueError, KeyError, IndexError, EOFError):
        return None
    if score is None or len(score.notes) < _FEWEST_NOTES:
        return None
    notes = play(score, rng, float(np.exp(rng.normal(0, _TEMPO)))).notes[:, :4].astype(float)
    notes = without_overlaps(notes[(notes[:, 2] >= LOWEST) & (notes[:, 2] <= HIGHEST)])
    if not len(notes):
        return None
    pedalled = rng.random() < _PEDAL_SHARE
    pedals = syncopated_pedal(notes[:, 0], float(notes[:, 1].max()), rng) if pedalled else np.zeros((0, 2))
    return Performance(notes, pedals)


def main(arguments: list[str] | None = None) -> None:
    """Play some of the scores of every folder, and write ``NAME.mid`` for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="folders of MIDI files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=("train", "validation"), default="train", help="which of the pieces")
    parser.add_argument("--each", type=int, default=170, help="scores of a folder at most")
    parser.add_argument("--seed", type=int, default=0)
    for options in recipes.parsed(parser, arguments, Path(__file__).parent):
        _play_all(options)


def _play_all(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = []
    for folder in options.scores:
        paths = find_pieces(folder, options.split == "validation")
        chosen += [(folder, paths[i]) for i in rng.permutation(len(paths))[: options.each]]
    for number, (folder, path) in enumerate(Progress(chosen, "score", len(chosen))):
        performance = perform(path, np.random.default_rng([options.seed, number]))
        if performance is not None:
            write_labels(options.out, f"{folder.name}-{path.stem}", performance, performance.duration)


if __name__ == "__main__":
    main()
