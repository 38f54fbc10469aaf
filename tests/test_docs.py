"""What the documents say must be so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from transcribe import __version__
from transcribe.cli.main import main as cli
from transcribe.engine.weights import manifest
from transcribe.registry import TASKS

README = (ROOT / "README.md").read_text(encoding="utf-8")
TRAINING = (ROOT / "train" / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(("size", "table"), [("medium", 0), ("small", 1), ("large", 2)])
def test_the_figures_are_those_of_the_model_cards(size: str, table: int) -> None:
    (name,) = (entry.name for entry in manifest().values() if (entry.task, entry.size) == ("notes", size))
    card = (ROOT / "weights" / f"{name}.md").read_text(encoding="utf-8")
    tables = [part for part in section("How good it is").split("\n\n") if part.startswith("| data |")]
    rows = [line for line in tables[table].splitlines() if re.search(r"\d\.\d", line)]
    assert len(rows) >= 3
    for row in rows:
        assert row in card, f"not in the card: {row}"


@pytest.mark.parametrize("option", sorted(set(re.findall(r"(?<=\s)--[a-z-]+", section("Use")))))
def test_every_option_that_is_shown_exists(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["chords"], ["eval"], ["convert"], ["doctor"]):
        cli([*command, "--help"])
    assert option in capsys.readouterr().out


def training_commands() -> Iterator[tuple[str, str]]:
    """Every ``python -m train.X``, with the variables of its shell filled in, as (X, options)."""
    text = re.sub(r"\\\n", " ", TRAINING)
    variables: dict[str, str] = {}
    pattern = r'(?<!\w)([A-Z]+)="([^"]*)"|python -m train\.([a-z_]+)((?:[^\n`#]|\$[A-Z]+)*)'
    for name, value, module, options in re.findall(pattern, text):
        filled = re.sub(r"\$([A-Z]+)", lambda match: variables.get(match[1], ""), value or options)
        if name:
            variables[name] = filled
        else:
            yield module, filled


def test_every_option_of_the_training_programs_that_is_shown_exists() -> None:
    shared = (ROOT / "train" / "loop.py").read_text(encoding="utf-8")
    seen = 0
    for module, options in training_commands():
        program = (ROOT / "train" / f"{module}.py").read_text(encoding="utf-8")
        known = program + shared * ("add_options" in program)
        for option in re.findall(r"(?<=\s)--([a-z-]+)", options):
            assert f'"--{option}"' in known or f'"{option}":' in known, f"train.{module} has no --{option}"
            seen += 1
    assert seen > 150


def test_every_file_that_is_named_exists() -> None:
    for text in (README, TRAINING):
        for name in re.findall(r"`((?:transcribe|train|tests|examples|weights)/[\w./-]+)`", text):
            assert (ROOT / name).exists() or (ROOT / f"{name}.md").exists(), name
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all(form in README.lower() for task in TASKS for form in task.formats)
    assert not re.search(r"EXAMPLE_OUTPUT|FIGURES|EXPECT_ROWS|STEPS|HOURS", README)
