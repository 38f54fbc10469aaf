"""What the documents say must be so."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from runpy import run_path

import pytest
from typer import Typer
from typer.main import get_command

from tests.conftest import ROOT
from transcribe import __version__
from transcribe.cli.main import commands, transcribing
from transcribe.engine.weights import manifest
from transcribe.formats.schema import schema
from transcribe.registry import TASKS

README = (ROOT / "README.md").read_text(encoding="utf-8")
ACCURACY = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
SHOWN = "\n".join((README, *PAGES.values()))
GUIDES = [path.read_text(encoding="utf-8") for path in (ROOT / "CONTRIBUTING.md", *(ROOT / "train").rglob("README.md"))]


@pytest.mark.parametrize(("size", "table"), [("medium", 0), ("small", 1), ("large", 2)])
def test_the_figures_are_those_of_the_model_cards(size: str, table: int) -> None:
    (name,) = (entry.name for entry in manifest().values() if (entry.task, entry.size) == ("notes", size))
    card = (ROOT / "weights" / f"{name}.md").read_text(encoding="utf-8")
    tables = [part for part in ACCURACY.split("\n\n") if part.startswith("| data |")]
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


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^    (?:\$ |.*\| )?pitchai (.*)", SHOWN, re.MULTILINE))))
def test_every_command_that_is_shown_has_its_options(line: str) -> None:
    words = re.split(r" {2,}|[|>#]", line)[0].split()
    if words[0].isupper() or "…" in line:  # how a command is typed, not one
        return
    known = OPTIONS[words[0] if words[0] in OPTIONS else ""]
    for word in words:
        if word.startswith("-") and word != "-":
            assert word in known, f"pitchai {line} has no {word}"


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", SHOWN))))
def test_every_option_that_is_named_exists(option: str) -> None:
    of_others = {"--install-completion", "--show-completion", "--force-reinstall", "--torch-backend"}
    assert option in of_others.union(*OPTIONS.values())


def test_every_file_that_is_named_exists() -> None:
    for text in (SHOWN, *GUIDES):
        for name in re.findall(r"`((?:transcribe|train|tests|examples|weights)/[\w./-]+)`", text):
            assert (ROOT / name).exists() or (ROOT / f"{name}.md").exists(), name
    for name in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    suffixes = {suffix for task in TASKS for form in task.formats.values() for suffix in form.suffixes[:1]}
    assert all(f"`{suffix}`" in README for suffix in suffixes)
    assert not re.search(r"EXAMPLE_OUTPUT|FIGURES|EXPECT_ROWS|STEPS|HOURS", README)


def test_the_generated_pages_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    pages = run_path(str(ROOT / "docs" / "generate.py"))
    assert pages["main"](["--check"]) == 0, f"python docs/generate.py: {capsys.readouterr().out}"


def test_every_option_is_on_the_page_of_commands() -> None:
    page = PAGES["docs/commands.md"]
    for command in {**dict.fromkeys(OPTIONS)}:
        part = page.split(f"\n## {f'pitchai {command}'.strip()}\n")[1].split("\n## ")[0]
        assert [option for option in sorted(OPTIONS[command]) if option[0] == "-" and option not in part] == []


def test_every_field_of_the_schema_is_described() -> None:
    def check(part: object) -> None:
        if isinstance(part, dict):
            for name, described in part.get("properties", {}).items():
                assert name == "version" or described["description"].endswith("."), name
            for value in part.values():
                check(value)
        elif isinstance(part, list):
            for value in part:
                check(value)

    check(schema())


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build")
    from mkdocs.config import load_config

    pytest.importorskip("material")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True)
        config.plugins.on_startup(command="build", dirty=False)
        build.build(config)
    assert (tmp_path / "guide" / "scores.html").is_file()
    assert (tmp_path / "models" / "chords-1.html").is_file()
