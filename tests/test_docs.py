"""What the documents say must be so."""

from __future__ import annotations

import re

import pytest
from typer import Typer
from typer.main import get_command

from tests.conftest import ROOT
from transcribe import __version__
from transcribe.cli.main import commands, transcribing
from transcribe.engine.weights import manifest
from transcribe.registry import TASKS

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = [path.read_text(encoding="utf-8") for path in (ROOT / "CONTRIBUTING.md", *(ROOT / "train").rglob("README.md"))]


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


def options_of(program: Typer) -> dict[str, set[str]]:
    """All options of a program's commands, by the command's name."""
    command = get_command(program)
    found = getattr(command, "commands", {"": command})
    return {
        name: {option for p in one.params for option in (*p.opts, *p.secondary_opts)} for name, one in found.items()
    }


OPTIONS = {**options_of(commands()), **options_of(transcribing())}


@pytest.mark.parametrize("line", re.findall(r"^    .*?pitchai (.*)", README, re.MULTILINE))
def test_every_command_that_is_shown_has_its_options(line: str) -> None:
    words = re.split(r" {2,}|[|>]", line)[0].split()
    known = OPTIONS[words[0] if words[0] in OPTIONS else ""]
    for word in words:
        if word.startswith("-") and word != "-":
            assert word in known, f"pitchai {line} has no {word}"


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README))))
def test_every_option_that_is_named_exists(option: str) -> None:
    of_others = {"--torch-backend"}
    assert option in of_others.union(*OPTIONS.values())


def test_every_file_that_is_named_exists() -> None:
    for text in (README, *GUIDES):
        for name in re.findall(r"`((?:transcribe|train|tests|examples|weights)/[\w./-]+)`", text):
            assert (ROOT / name).exists() or (ROOT / f"{name}.md").exists(), name
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert all(form in README.lower() for task in TASKS for form in task.formats)
    assert not re.search(r"EXAMPLE_OUTPUT|FIGURES|EXPECT_ROWS|STEPS|HOURS", README)
