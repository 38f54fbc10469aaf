from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from train.card import Making, reliability_lines, table, write_card, write_weights


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config = "Tiny(size=3)"
        self.layer = nn.Linear(2, 1)


def test_the_default_and_the_size_are_taken_from_older_weights(tmp_path: Path) -> None:
    for name, task, size, default in (
        ("notes-1", "notes", "small", True),
        ("notes-2", "notes", "medium", False),
        ("chords-1", "chords", "", True),
        ("notes-3", "notes", "small", True),
    ):
        write_weights(name.encode(), task, Making(name, "CC0", folder=tmp_path, size=size, default=default))
    lines = json.loads((tmp_path / "manifest.json").read_text())
    assert {name: (line["size"], line["default"]) for name, line in lines.items()} == {
        "notes-1": ("", False),
        "notes-2": ("medium", False),
        "notes-3": ("small", True),
        "chords-1": ("", True),
    }
    assert lines["notes-3"]["sha256"].startswith("8c4634e")
    assert (tmp_path / "notes-3.safetensors").read_bytes() == b"notes-3"


def test_a_card(tmp_path: Path) -> None:
    making = Making("tiny-1", "CC0", "python -m train.tiny", tmp_path, text="What it predicts: nothing.")
    figures = table(("data", "F1"), [("validation", "0.500")])
    write_card(making, Tiny(), figures, {"Confidence": reliability_lines([(0.25, 0.5, 4)], "notes")})
    card = (tmp_path / "tiny-1.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny-1\n\nWhat it predicts: nothing.\n\n## Terms and making\n\nCC0.\n")
    assert "```\npython -m train.tiny\n```\n" in card
    assert "| data | F1 |\n|---|---|\n| validation | 0.500 |\n\n3 parameters: Tiny(size=3).\n" in card
    assert card.endswith("## Confidence\n\n| confidence | right | notes |\n|---|---|---|\n| 0.25 | 0.50 | 4 |\n")
