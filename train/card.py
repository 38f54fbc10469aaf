"""Weights files, their lines in the manifest, and their model cards."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from transcribe.report.statistics import calibration_error

WEIGHTS = Path(__file__).parents[1] / "weights"
UNKNOWN_TERMS = "terms unknown: those of the data it was trained on"


@dataclass(frozen=True)
class Making:
    """What a weights file and its card say of how they were made.

    ``size`` is another name for the file, taken from older weights; the ``default`` is what ``pitchai`` uses unless
    told otherwise; ``text`` opens the card; ``trained_on`` has splits by data set.
    """

    name: str
    licence: str = UNKNOWN_TERMS
    command: str = ""
    folder: Path = WEIGHTS
    size: str = ""
    default: bool = False
    text: str = ""
    trained_on: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, options: argparse.Namespace, command: str, trained_on: Mapping[str, list[str]] | None = None) -> Making:
        """Read it from the options of :func:`train.fit.add_export_options`."""
        text = options.card.read_text(encoding="utf-8") if options.card else ""
        names = (options.export, options.licence, command, options.weights, options.size, options.default)
        return cls(*names, text, trained_on or {})

    def header(self) -> dict[str, str]:
        """Give what the header of a weights file keeps of it."""
        return {"commit": commit(), "command": self.command}


@functools.cache  # a card and its file say the same
def commit() -> str:
    """Name the commit of the program, ``unknown`` outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_weights(content: bytes, task: str, making: Making) -> None:
    """Write a weights file and its line in the manifest; the size and the default are taken from older weights."""
    making.folder.mkdir(parents=True, exist_ok=True)
    (making.folder / f"{making.name}.safetensors").write_bytes(content)
    manifest = making.folder / "manifest.json"
    lines = json.loads(manifest.read_text(encoding="utf-8")) if manifest.exists() else {}
    lines[making.name] = {
        "task": task,
        "file": f"{making.name}.safetensors",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": making.licence,
        "size": making.size,
        "default": making.default,
    }
    for other, line in lines.items():
        if other != making.name and line["task"] == task:
            line["default"] = line["default"] and not making.default
            line["size"] = "" if line["size"] == making.size else line["size"]
    manifest.write_text(json.dumps(lines, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_card(
    making: Making, network: nn.Module, figures: Iterable[str], sections: Mapping[str, Iterable[str]]
) -> None:
    """Write a model card: the opening text, terms and making, figures and the network's size, further sections."""
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    lines = [f"# {making.name}", "", making.text.strip(), "", "## Terms and making", "", f"{making.licence}.", ""]
    lines += ["```", making.command, "```", "", f"at commit `{commit()}`.", "", "## Figures", "", *figures, ""]
    lines += [f"{n_parameters:,} parameters: {network.config}."]
    for title, section in sections.items():
        lines += ["", f"## {title}", "", *section]
    (making.folder / f"{making.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Give the lines of a table in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (columns,)] + [
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def reliability_lines(bins: Sequence[tuple[float, float, int]], what: str) -> list[str]:
    """Give the lines of a reliability table, in which ``what`` is counted, such as notes."""
    rows = [(f"{confidence:.2f}", f"{right:.2f}", str(count)) for confidence, right, count in bins]
    return table(("confidence", "right", what), rows)


def held_out_reliability(bins: Sequence[tuple[float, float, int]], what: str, more: str = "") -> list[str]:
    """Say how well a confidence is calibrated that was fitted on every other piece, by the rest of them."""
    return [
        f"Fitted on one half of the validation pieces; on the other half, in {len(bins)} bins, the expected",
        f"calibration error is {calibration_error(bins):.3f}.{more and ' '}{more}",
        "",
        *reliability_lines(bins, what),
    ]
