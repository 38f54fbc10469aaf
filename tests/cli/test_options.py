from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from transcribe.cli.options import given, unpacked


@dataclass(frozen=True)
class Size:
    """How large it is.

    And more that the help leaves out.
    """

    width: Annotated[int, typer.Option(min=1, help="Columns.")]
    height: Annotated[int, typer.Option("--height", "-h", help="Rows.")] = 3
    depth: Annotated[float | None, typer.Option(help="Layers.")] = None


@dataclass(frozen=True)
class Cube(Size):
    """How large a cube is."""

    name: Annotated[str | None, typer.Argument(help="Its name.")] = None


def program(command: Any) -> Any:
    app = typer.Typer(add_completion=False)
    app.command()(command)

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})

    return run


def test_the_fields_of_a_group_become_options_and_come_back_as_one_object() -> None:
    seen: list[object] = []

    def draw(size: Size, colour: Annotated[str, typer.Option(help="Of the lines.")] = "red") -> None:
        """Draw it."""
        seen.append((size, colour))

    run = program(unpacked(draw, helps={"depth": "Sheets."}))
    assert run("--width", "2").exit_code == 0
    assert run("--width", "4", "-h", "5", "--depth", "0.5", "--colour", "blue").exit_code == 0
    assert seen == [(Size(2), "red"), (Size(4, 5, 0.5), "blue")]
    assert run().exit_code == 2
    assert run("--width", "0").exit_code == 2
    help_ = run("--help").output
    assert "Draw it." in help_
    assert "How large it is" in help_
    assert "And more" not in help_
    assert "Sheets." in help_
    assert "Layers." not in help_


def test_a_group_may_be_chosen_later_and_without_some_of_its_fields() -> None:
    seen: list[object] = []

    def draw(size: Any) -> None:
        seen.append(size)

    run = program(unpacked(draw, without=["depth"], size=Cube))
    assert run("--width", "2", "box").exit_code == 0
    assert seen == [Cube(2, name="box")]
    assert run("--width", "2", "--depth", "1").exit_code == 2


def test_two_groups_may_not_offer_one_option_twice() -> None:
    def draw(size: Size, cube: Cube) -> None: ...

    with pytest.raises(ValueError, match="width"):
        unpacked(draw)


def test_what_was_not_given_is_left_to_the_model() -> None:
    assert given(Size(1)) == {"width": 1, "height": 3}
