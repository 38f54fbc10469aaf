"""The tools as a server of the Model Context Protocol, on standard input and output."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe import __version__
from transcribe.assistant.tools import Answer, Tools
from transcribe.errors import PitchaiError, import_optional

if TYPE_CHECKING:
    from mcp.server import MCPServer

_INSTRUCTIONS = (
    "pitchai listens to recordings and writes down the music. Recordings are named by their path below one folder; "
    "times are seconds. What is heard is a guess: pass its warnings on."
)


def server(folder: Path) -> MCPServer:
    """Make the server of a folder.

    Raises
    ------
    UsageError
        If the package isn't installed.
    """
    import_optional("mcp.server.mcpserver", "pitchai mcp takes the package mcp, 2 or newer", "mcp")
    from mcp.server import MCPServer

    tools = Tools(folder)
    made = MCPServer("pitchai", version=__version__, instructions=_INSTRUCTIONS, log_level="ERROR")
    for tool in (tools.transcribe, tools.chords, tools.beats, tools.score):
        made.add_tool(_said(tool))
    return made


def _said(tool: Callable[..., Answer]) -> Callable[..., Answer]:
    """Let the assistant read what went wrong, a line, and nothing of the machine."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def call(*arguments: object, **options: object) -> Answer:
        try:
            return tool(*arguments, **options)
        except PitchaiError as error:
            raise ToolError(str(error)) from None

    return call
