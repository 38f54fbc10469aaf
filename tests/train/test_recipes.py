"""Recipes, and the commands that the documents on training show, are those of the programs."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.conftest import ROOT
from train import recipes

RECIPES = sorted((ROOT / "train").rglob("recipes/*.toml"))
READMES = sorted((ROOT / "train").rglob("README.md"))


class ParsedError(Exception):
    """The command line was right."""


def check(program: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program until it has read its command line."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, given: list[str] | None = None) -> NoReturn:
        known = parser._option_string_actions
        if "…" in words:
            assert all(word in known for word in words if word.startswith("--")), words
        else:
            read(parser, given)
        raise ParsedError

    module = importlib.import_module(program)
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{program}.__main__")
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr("sys.argv", [program, *words])
    with pytest.raises(ParsedError):
        module.main()


def parts(path: Path) -> list[dict[str, Any]]:
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    each = recipe.pop("part", [{}])
    return [recipe | part for part in each]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_recipe_runs_as_its_first_comment_says(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comment = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("#") for line in comment.splitlines())
    assert re.search(r"hours|minute|minutes|Minutes", comment), "what does it cost?"
    found = re.search(r"^#     python -m ([\w.]+) (recipes/\S+)$", comment, re.MULTILINE)
    assert found is not None
    program, name = found.groups()
    assert path.parts[-3] == program.split(".")[1]
    assert name == f"recipes/{path.name}"
    for part in parts(path):
        words = recipes._words(part)
        with monkeypatch.context() as patch:
            check(program, words, patch)


def test_what_a_recipe_begins_with_is_made_by_a_recipe() -> None:
    every = [part for path in RECIPES for part in parts(path)]
    made = {str(part.get("run", part.get("out"))) for part in every}
    made |= {f"{part['weights']}/{part['export']}.safetensors" for part in every if {"export", "weights"} <= {*part}}
    cut = {"runs/piano-clips", "runs/piano-more"}  # some of the renders, as the recipe says
    for part in every:
        used = [*part.get("train", []), *part.get("valid", []), part.get("init-from", ""), part.get("teacher", "")]
        folders = {value.split(":")[-1] for value in used if "runs/" in value}
        assert folders <= made | cut
    shipped = {path.stem for path in (ROOT / "weights").glob("*.safetensors")}
    assert {str(part["export"]) for part in every if "export" in part} >= shipped


def shown() -> Iterator[tuple[str, str]]:
    """Every ``python -m train.X …`` in the documents, as (X, the rest)."""
    for path in (*READMES, ROOT / "README.md"):
        text = re.sub(r"\\\n *", " ", path.read_text(encoding="utf-8"))
        for line in text.splitlines():
            for found in re.finditer(r"python -m (train\.[\w.]+)((?: [^`\n|]*)?)(?=`|$)", line):
                yield found[1], found[2]


@pytest.mark.parametrize(("program", "rest"), sorted(set(shown())))
def test_every_command_that_is_shown_is_right(program: str, rest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [word for word in shlex.split(rest) if word != "--help"]
    if words and words[0].endswith(".toml"):
        home = ROOT.joinpath(*program.split("."))
        assert (home / words[0]).exists() or (home.parent / words[0]).exists()
    elif any(word.startswith("--") for word in words):
        check(program, words, monkeypatch)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument("--steps", type=int, required=True)
    made.add_argument("--train", nargs="+", default=[])
    made.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    return made


def test_options_of_parts_and_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "a.toml").write_text(
        '# A.\ncompile = true\n[[part]]\nsteps = 3\ntrain = ["a", "b"]\n[[part]]\nsteps = 4\ncompile = false\n'
    )
    first, second = recipes.parsed(parser(), ["recipes/a.toml"], tmp_path)
    assert (first.steps, first.train, first.compile) == (3, ["a", "b"], True)
    assert (second.steps, second.train, second.compile) == (4, [], False)
    first, second = recipes.parsed(parser(), ["recipes/a.toml", "--steps", "9", "--no-compile"], tmp_path)
    assert (first.steps, first.train, first.compile, second.steps) == (9, ["a", "b"], False, 9)
    (alone,) = recipes.parsed(parser(), ["--steps", "1"], tmp_path)
    assert (alone.steps, alone.compile) == (1, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [("step = 3\n", "--step"), ("steps = \n", "a.toml"), ("steps = 'many'\n", "many"), ("", "--steps")],
)
def test_a_recipe_that_is_wrong(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SystemExit):
        recipes.parsed(parser(), ["a.toml"], tmp_path)
    assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        recipes.parsed(parser(), ["b.toml"], tmp_path)
    assert "no such recipe" in capsys.readouterr().err
