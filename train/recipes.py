"""Recipes: the options of a program as a TOML file.

    python -m train.notes recipes/medium.toml
    python -m train.notes recipes/medium.toml --device cpu --batch 16

A recipe is named first and is looked for here, then in the program's own folder. Its keys are the program's options
without their dashes; with ``[[part]]``s it is run part by part, each with the options above the parts and its own. What
the command line gives replaces what the recipe says, in every part.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any


def parsed(parser: argparse.ArgumentParser, arguments: list[str] | None, home: Path) -> list[argparse.Namespace]:
    """Read the options of every part of a recipe, or those of a command line without one.

    Parameters
    ----------
    parser
        Of the program.
    arguments
        The command line; ``sys.argv`` where None.
    home
        The program's folder, where recipes are found from anywhere.
    """
    given = sys.argv[1:] if arguments is None else arguments
    parser.allow_abbrev = False  # a misspelt option is an error
    if not given or not given[0].endswith(".toml"):
        return [parser.parse_args(given)]
    path = next((found for found in (Path(given[0]), home / given[0]) if found.is_file()), None)
    if path is None:
        parser.error(f"{given[0]}: there is no such recipe")
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        parser.error(f"{path}: {error}")
    parts = recipe.pop("part", [{}])
    return [parser.parse_args([*_words(recipe | part), *given[1:]]) for part in parts]


def _words(options: dict[str, Any]) -> list[str]:
    """Write options as a command line has them; of flags those that are true."""
    words: list[str] = []
    for name, value in options.items():
        if value is False:
            continue
        words.append(f"--{name}")
        if value is not True:
            words += [str(each) for each in (value if isinstance(value, list) else [value])]
    return words
