"""A trained beat network → weights file, ONNX graph, manifest and model card.

    python -m train.beats.export --run runs/beats --name beats-1 --corpus runs/corpus.npz --card card.md

The network's figures are those of validation pieces; nothing is chosen by them here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from train.beats.corpus import load
from train.beats.validation import chosen, validate
from train.notes.export import UNKNOWN_TERMS, WEIGHTS, commit, load_averaged, write_weights
from train.onnx import graph_of
from transcribe.beats.features import N_FEATURES
from transcribe.beats.model import TASK
from transcribe.beats.network import BeatsConfig, BeatsNetwork
from transcribe.beats.windows import BORDER_FRAMES, WINDOW_FRAMES
from transcribe.engine.weights import build, to_bytes

INPUT = "notes"


def load_run(run: Path) -> BeatsNetwork:
    """Load the averaged network of a run's checkpoint."""
    config = json.loads((run / "config.json").read_text())
    network = BeatsNetwork(build(BeatsConfig, config))
    load_averaged(network, run)
    return network


def halved(network: BeatsNetwork) -> BeatsNetwork:
    """Round the weights to half precision, as they are shipped."""
    state = {key: v.half().float() if v.is_floating_point() else v for key, v in network.state_dict().items()}
    network.load_state_dict(state)
    return network


def to_onnx(network: BeatsNetwork) -> bytes:
    """Make the graph that a CPU runs, for windows of one length."""
    return graph_of(network, torch.zeros(1, WINDOW_FRAMES, N_FEATURES), INPUT, BORDER_FRAMES, 1)


def export(network: BeatsNetwork, name: str, licence: str, command: str, folder: Path = WEIGHTS) -> None:
    """Write weights, graph and the lines of the manifest."""
    header = {"task": TASK, "network": asdict(network.config), "made": {"commit": commit(), "command": command}}
    write_weights(folder, name, TASK, to_bytes(network.state_dict(), header), licence, default=True)
    graph = to_onnx(halved(network))
    (folder / f"{name}.onnx").write_bytes(graph)
    manifest = folder / "manifest.json"
    lines = json.loads(manifest.read_text(encoding="utf-8"))
    lines[name] |= {"graph": f"{name}.onnx", "graph_sha256": hashlib.sha256(graph).hexdigest()}
    manifest.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def card(name: str, text: str, network: BeatsNetwork, licence: str, command: str, figures: Mapping[str, float]) -> str:
    """Write the model card: ``text``, terms, and the figures of validation."""
    size = sum(parameter.numel() for parameter in network.parameters())
    lines = [f"# {name}", "", text.strip(), "", "## Terms and making", "", f"{licence}.", ""]
    lines += ["```", command, "```", "", f"at commit `{commit()}`.", "", "## Validation", ""]
    lines += ["Plain peaks above 0.4, without the search; the first 180 s of pieces that training never had; beats "]
    lines[-1] += "within 70 ms,"
    lines += ["the first 5 s left out; tempo within 8 %, metre and division at every beat; means over pieces.", ""]
    columns = ("beats", "downbeats", "tempo", "metre", "triple")
    lines += [f"| data | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for source in sorted({key.split("/")[0] for key in figures}):
        cells = [f"{figures[f'{source}/{c}']:.3f}" if f"{source}/{c}" in figures else "–" for c in columns]
        lines.append(f"| {source} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{size:,} parameters: {network.config}."]) + "\n"


def main() -> None:
    """Export the network of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True, help="beats-1, …")
    parser.add_argument("--corpus", type=Path, required=True, help="whose validation pieces are reported")
    parser.add_argument("--licence", default=UNKNOWN_TERMS)
    parser.add_argument("--command", default="", help="the command that trained it, for the card")
    parser.add_argument("--card", type=Path, help="text to open the model card with")
    options = parser.parse_args()
    network = load_run(options.run)
    export(network, options.name, options.licence, options.command)
    figures = validate(network, chosen(load(options.corpus)))
    text = options.card.read_text(encoding="utf-8") if options.card else ""
    page = card(options.name, text, network, options.licence, options.command, figures)
    (WEIGHTS / f"{options.name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
