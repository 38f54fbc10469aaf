"""A run of ``train/instruments`` → weights, manifest, model card.

    python -m train.instruments.export --run runs/instruments-2 --name instruments-1 --valid solos:runs/solos-valid \
        --report "real clips:clips:CLIPS"

The heads are calibrated on mixtures of the validation clips: a slope and a bias for each vocabulary, by maximum
likelihood, folded into the last layer, so that what is said to be 0.8 sure is right 8 times out of 10.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from train.instruments.__main__ import MIXED, Clip, Mixtures, Spectra, dataset, load, load_run
from train.notes.export import WEIGHTS, calibration_error, commit, fit_logistic, reliability_table, write_weights
from train.onnx import add_graph
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.instruments.datasets import DATASETS
from transcribe.instruments.decoder import FAMILIES, TagDecodingConfig
from transcribe.instruments.metrics import TagReport, evaluate_instruments
from transcribe.instruments.network import InstrumentsNetwork
from transcribe.instruments.task import INSTRUMENTS
from transcribe.transcriber import Transcriber

VOCABULARIES = {"families": slice(0, len(FAMILIES)), "instruments": slice(len(FAMILIES), None)}


def logits_and_truth(network: InstrumentsNetwork, clips: Sequence[Clip], n_batches: int, seed: int) -> list[np.ndarray]:
    """Listen to random mixtures of clips: logits and targets, (n, labels) each."""
    batches = Mixtures(clips, Spectra(), 16, 256, seed, torch.device("cpu"), MIXED)
    rows = []
    for number in range(n_batches):
        log_mel, target = batches(number)
        with torch.inference_mode():
            heard = network(log_mel)
        rows.append(
            (torch.cat([heard.families, heard.instruments], -1).flatten(0, 1).numpy(), target.flatten(0, 1).numpy())
        )
    return [np.concatenate(part) for part in zip(*rows, strict=True)]


def calibrate(network: InstrumentsNetwork, clips: Sequence[Clip], n_batches: int = 40) -> None:
    """Fit slope and bias of the logits of each vocabulary, and fold them into the last layer."""
    logits, truth = logits_and_truth(network, clips, n_batches, seed=1)
    for part in VOCABULARIES.values():
        known = truth[:, part] >= 0
        bias, slope = fit_logistic(logits[:, part][known][:, None], truth[:, part][known])
        with torch.no_grad():
            assert network.heads.bias is not None
            network.heads.weight[part] *= float(slope)
            network.heads.bias[part] *= float(slope)
            network.heads.bias[part] += float(bias)


def reliability(
    network: InstrumentsNetwork, clips: Sequence[Clip], n_batches: int = 40
) -> dict[str, list[tuple[float, float, int]]]:
    """Tabulate what was said and what was right, on other mixtures than those of the calibration."""
    logits, truth = logits_and_truth(network, clips, n_batches, seed=2)
    tables = {}
    for name, part in VOCABULARIES.items():
        known = truth[:, part] >= 0
        said = 1 / (1 + np.exp(-logits[:, part][known].astype(np.float64)))
        tables[name] = reliability_table(said, truth[:, part][known].astype(np.float64))
    return tables


def card(
    name: str,
    text: str,
    network: InstrumentsNetwork,
    figures: Sequence[tuple[str, TagReport]],
    tables: dict[str, list[tuple[float, float, int]]],
    licence: str,
    command: str,
) -> str:
    """Write the model card."""
    size = sum(parameter.numel() for parameter in network.parameters())
    lines = [f"# {name}", "", text.strip(), "", "## Terms and making", "", f"{licence}.", ""]
    lines += ["```", command, "```", "", f"at commit `{commit()}`.", "", "## Figures", ""]
    lines += [f"Conventions: {figures[0][1].conventions}." if figures else "", ""]
    lines += ["| data | clips | accuracy | all labels right | micro F1 | macro F1 | LRAP |", "|---" * 7 + "|"]
    for title, r in figures:
        values = (r.accuracy, r.exact, r.micro_f1, r.macro_f1, r.lrap)
        lines.append(f"| {title} | {r.n_clips} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    lines += ["", f"{size:,} parameters: {network.config}.", "", "## Confidence", ""]
    lines += ["On mixtures of one to five validation clips that the calibration wasn't fitted on:", ""]
    for vocabulary, table in tables.items():
        lines += [f"{vocabulary}, expected calibration error {calibration_error(table):.3f}:", ""]
        lines += ["| said | right | steps |", "|---|---|---|"]
        lines += [f"| {sure:.2f} | {right:.2f} | {count} |" for sure, right, count in table] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _report(value: str) -> tuple[str, str, Path]:
    title, layout, folder = value.split(":", 2)
    return title, layout, Path(folder)


def main() -> None:
    """Calibrate, write, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True, help="instruments-1, …")
    parser.add_argument("--valid", type=dataset, required=True, help="solos:folder to calibrate on")
    parser.add_argument("--report", type=_report, nargs="*", default=[], help="title:layout:folder, reported only")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--licence", default="no licence stated")
    parser.add_argument("--command", default="", help="the commands that trained it, for the card")
    parser.add_argument("--card", type=Path, help="text to open the model card with")
    options = parser.parse_args()
    network = load_run(options.run)
    layout, folder = options.valid
    clips = load(layout, folder, options.cache)
    calibrate(network, clips)
    made = {"commit": commit(), "command": options.command}
    header = header_of(INSTRUMENTS, network.config, TagDecodingConfig(), FeatureConfig(), made=made)
    content = to_bytes(network.state_dict(), header)
    write_weights(WEIGHTS, options.name, "instruments", content, options.licence, default=True)
    add_graph(WEIGHTS, options.name)
    recogniser = Transcriber(tasks=("instruments",), model=parse_model(INSTRUMENTS, content, options.name))
    figures = [
        (title, evaluate_instruments(DATASETS[layout].pieces(folder), recogniser))
        for title, layout, folder in options.report
    ]
    text = options.card.read_text(encoding="utf-8") if options.card else ""
    tables = reliability(network, clips)
    written = card(options.name, text, network, figures, tables, options.licence, options.command)
    (WEIGHTS / f"{options.name}.md").write_text(written, encoding="utf-8")
    for title, report in figures:
        print(title, report.accuracy, report.confusion)


if __name__ == "__main__":
    main()
