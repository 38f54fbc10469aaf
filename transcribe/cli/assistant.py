"""The command ``pitchai mcp``: tools for an assistant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from transcribe.errors import InputError


def mcp(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="All that the tools may read and write.")],
) -> None:
    r"""Offer tools to an assistant, by the Model Context Protocol: transcribe, chords, beats, score.

    It answers on standard output and ends with standard input. [bold]pip install 'pitchai\[mcp]'[/]
    """
    from transcribe.assistant.server import server

    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder")
    server(folder).run()
