"""Train the network that reads what two others hear, on what ``train/instruments/heard.py`` has written.

    python -m train.instruments.joined recipes/joined.toml

Its logits begin as those of the network of the spectrum. In the end a slope and a bias for each vocabulary are fitted
on recordings that it didn't learn from, weights, graph, card and the line in the manifest written.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from train import fit, recipes
from train.calibration import fit_logistic
from train.card import Making, reliability_lines, write_card, write_weights
from train.instruments.export import VOCABULARIES
from train.instruments.heard import LISTENER
from train.instruments.truth import N_LABELS
from train.onnx import add_graph
from train.progress import Progress
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, to_bytes
from transcribe.errors import UsageError
from transcribe.instruments.decoder import TagDecodingConfig
from transcribe.instruments.joined import N_INPUTS
from transcribe.instruments.network import JoinedConfig, JoinedLogits, JoinedNetwork
from transcribe.instruments.task import INSTRUMENTS
from transcribe.report.statistics import calibration_error, reliability_table

# Most of what is listened to are pianos.
_PIANO = 4.0
# Steps of silence around every recording, as inference has them; of them nothing is asked.
_AROUND = 4


@dataclass(frozen=True)
class Heard:
    """A recording: rows of steps, float16 (n_steps, inputs), truths int8 (n_steps, labels), and its name."""

    rows: np.ndarray
    truth: np.ndarray
    name: str


def load(folder: Path) -> list[Heard]:
    """Read the recordings of a folder.

    Raises
    ------
    UsageError
        If there are none.
    """
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            rows = np.pad(file["rows"], ((_AROUND, _AROUND), (0, 0)))
            truth = np.pad(file["truth"], ((_AROUND, _AROUND), (0, 0)), constant_values=-1)
            found.append(Heard(rows, truth, str(file["name"])))
    if not found:
        raise UsageError(f"{folder}: nothing was heard")
    return found


def batch(
    pools: Sequence[Mapping[str, Sequence[Heard]]],
    shares: np.ndarray,
    size: int,
    n_steps: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw excerpts: rows (size, n_steps, inputs) and truths (size, n_steps, labels), -1 where it is open.

    Every folder has its share, every name in it the same chance but for pianos.
    """
    rows = np.zeros((size, n_steps, N_INPUTS), np.float32)
    known = np.full((size, n_steps, N_LABELS), -1, np.float32)
    for i in range(size):
        pool = pools[int(rng.choice(len(pools), p=shares))]
        names = sorted(pool)
        chances = np.array([_PIANO if name == "piano" else 1.0 for name in names])
        chosen = pool[names[int(rng.choice(len(names), p=chances / chances.sum()))]]
        one = chosen[int(rng.integers(len(chosen)))]
        first = int(rng.integers(max(1, len(one.rows) - n_steps + 1)))
        cut = one.rows[first : first + n_steps]
        rows[i, : len(cut)], known[i, : len(cut)] = cut, one.truth[first : first + n_steps]
    return torch.from_numpy(rows), torch.from_numpy(known)


def by_name(recordings: Sequence[Heard]) -> dict[str, list[Heard]]:
    """Sort recordings by what plays; mixtures have one name."""
    found: dict[str, list[Heard]] = {}
    for one in recordings:
        found.setdefault("mixture" if "+" in one.name else one.name, []).append(one)
    return found


def both(logits: JoinedLogits) -> Tensor:
    """Give the logits of all labels, families first."""
    return torch.cat([logits.families, logits.instruments], dim=-1)


def train(pools: Sequence[Sequence[Heard]], options: argparse.Namespace) -> JoinedNetwork:
    """Train with binary cross-entropy where the truth is known."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    network = JoinedNetwork(JoinedConfig(listener=LISTENER))
    optimiser = torch.optim.AdamW(network.parameters(), options.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, options.learning_rate, total_steps=options.steps, pct_start=0.2
    )
    named = [by_name(pool) for pool in pools]
    shares = np.array(options.shares) / sum(options.shares)
    for _ in Progress(range(options.steps), "step", options.steps):
        rows, known = batch(named, shares, options.batch, options.excerpt, rng)
        told = (known >= 0).float()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            both(network.told(rows)), known.clamp(min=0), told, reduction="sum"
        )
        optimiser.zero_grad()
        loss: Tensor = losses / told[..., 0].sum().clamp(min=1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return network.eval()


def _tensor(one: Heard) -> Tensor:
    return torch.from_numpy(one.rows.astype(np.float32))[None]


def answers(network: JoinedNetwork, pools: Sequence[Sequence[Heard]]) -> tuple[np.ndarray, np.ndarray]:
    """Run the network over recordings: logits and truths of steps, as many of every folder, (n, labels) each."""
    least = min(sum(len(one.rows) for one in pool) for pool in pools)
    logits, truths = [], []
    for pool in pools:
        found = []
        for one in pool:
            with torch.inference_mode():
                found.append(both(network.told(_tensor(one)))[0].numpy())
        chosen = np.random.default_rng(0).permutation(sum(map(len, found)))[:least]
        logits.append(np.concatenate(found)[chosen])
        truths.append(np.concatenate([one.truth for one in pool])[chosen])
    return np.concatenate(logits), np.concatenate(truths)


def calibrate(network: JoinedNetwork, pools: Sequence[Sequence[Heard]]) -> None:
    """Fit slope and bias of the logits of each vocabulary, and fold them in.

    They are fitted on the likeliest label of every step in which something surely sounds, by which recordings are
    named, and on as many labels of any steps: most of these are far from being there, and would count for all.
    """
    logits, truth = answers(network, pools)
    rng = np.random.default_rng(0)
    for part in VOCABULARIES.values():
        values, known = logits[:, part], truth[:, part]
        sounding = np.flatnonzero((known == 1).any(1))
        best = values[sounding].argmax(1)
        rows = np.concatenate([sounding, rng.integers(len(values), size=len(sounding))])
        columns = np.concatenate([best, rng.integers(values.shape[1], size=len(sounding))])
        told = known[rows, columns] >= 0
        found = fit_logistic(values[rows, columns][told][:, None], known[rows, columns][told])
        bias, slope = (float(value) for value in found)
        with torch.no_grad():
            assert network.end.bias is not None
            for parameter in (network.end.weight, network.end.bias, network.scale):
                parameter[part] *= slope
            network.end.bias[part] += bias


def reliability(network: JoinedNetwork, pools: Sequence[Sequence[Heard]]) -> list[str]:
    """Tabulate what is said and what is right."""
    logits, truth = answers(network, pools)
    lines = ["On every other solo and mixture, those that the calibration wasn't fitted on:"]
    for name, part in VOCABULARIES.items():
        known = truth[:, part] >= 0
        said = 1 / (1 + np.exp(-logits[:, part][known].astype(np.float64)))
        bins = reliability_table(said, truth[:, part][known].astype(np.float64))
        lines += ["", f"{name}, expected calibration error {calibration_error(bins):.3f}:", ""]
        lines += reliability_lines(bins, "steps")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Train on what a recipe says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--train", type=Path, nargs="+", required=True, help="folders of train/instruments/heard.py")
    add("--shares", type=float, nargs="+", required=True, help="of the excerpts, one a folder")
    add("--valid", type=Path, nargs="+", required=True, help="folders to calibrate on, each counts alike")
    add("--steps", type=int, default=600)
    add("--batch", type=int, default=48)
    add("--excerpt", type=int, default=25, help="steps of 0.16 s")
    add("--learning-rate", type=float, default=3e-3)
    add("--seed", type=int, default=0)
    fit.add_export_options(parser)
    for options in recipes.parsed(parser, arguments, Path(__file__).parent):
        if len(options.shares) != len(options.train):
            parser.error("--shares must be as many as --train")
        network = train([load(folder) for folder in options.train], options)
        valid = [load(folder) for folder in options.valid]
        calibrate(network, [pool[::2] for pool in valid])
        if options.export:
            making = Making.of(options, "python -m train.instruments.joined recipes/joined.toml")
            header = header_of(INSTRUMENTS, network.config, TagDecodingConfig(), FeatureConfig(), made=making.header())
            write_weights(to_bytes(network.state_dict(), header), "instruments", making)
            add_graph(making.folder, making.name)
            write_card(making, network, [], {"Confidence": reliability(network, [pool[1::2] for pool in valid])})


if __name__ == "__main__":
    main()
