from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLE
from transcribe.assistant.tools import Tools
from transcribe.errors import InputError, UsageError

pytest.importorskip("mcp.server.mcpserver")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "music" / "new").mkdir(parents=True)
    (tmp_path / "music" / "new" / "waltz.flac").write_bytes(EXAMPLE.read_bytes())
    (tmp_path / "secret.flac").write_bytes(EXAMPLE.read_bytes())
    return tmp_path / "music"


def asked(folder: Path, *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    """Ask a server through the package's client, in memory: its tools, and its answers."""
    from mcp import Client

    from transcribe.assistant.server import server

    async def ask() -> tuple[list[str], list[Any]]:
        async with Client(server(folder)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            return tools, [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(ask())


def test_an_assistant_hears_a_recording(folder: Path) -> None:
    name = {"recording": "new/waltz.flac"}
    tools, answers = asked(
        folder,
        ("transcribe", {**name, "start": 1.0, "end": 4.0}),
        ("chords", name),
        ("beats", {**name, "end": 8.0}),
        ("transcribe", {"recording": "../secret.flac"}),
        ("score", {**name, "form": "exe"}),
    )
    assert tools == ["transcribe", "chords", "beats", "score"]
    notes, chords, beats, outside, odd = answers
    assert notes.structured_content["summary"]["duration"] == "3.0 s"
    assert all(len(note) == 4 for note in notes.structured_content["notes"])
    assert [label for _, _, label in chords.structured_content["found"]][:2] == ["C:maj", "A:min"]
    assert "beats a minute" in beats.structured_content["summary"]["tempo"]
    assert not any(answer.is_error for answer in (notes, chords, beats))
    assert outside.is_error
    assert "below the folder" in outside.content[0].text
    assert odd.is_error
    assert "pdf, musicxml, mxl" in odd.content[0].text


@pytest.mark.slow
def test_a_score_is_written_beside_the_recording_once(folder: Path) -> None:
    pytest.importorskip("music21")
    call = ("score", {"recording": "new/waltz.flac", "form": "musicxml", "title": "May"})
    _, (first, second) = asked(folder, call, call)
    assert first.structured_content["written"] == "new/waltz.musicxml"
    assert b"May" in (folder / "new" / "waltz.musicxml").read_bytes()
    assert second.is_error


@pytest.mark.parametrize(
    "name",
    ["../secret.flac", "new/../../secret.flac", "/etc/passwd", "~/x.wav", "new\\..\\..\\x.wav", "C:\\x.wav",
     "https://here.invalid/a.wav", "s3://bucket/a.wav", "a\0.wav"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(folder: Path, name: str) -> None:
    with pytest.raises(UsageError):
        Tools(folder).place(name)


@pytest.mark.skipif(os.name == "nt", reason="links take rights there")
def test_links_are_not_followed(folder: Path) -> None:
    (folder / "link.flac").symlink_to(folder.parent / "secret.flac")
    (folder / "out").symlink_to(folder.parent)
    for name in ("link.flac", "out/secret.flac"):
        with pytest.raises(UsageError, match="links"):
            Tools(folder).place(name)
    for name in ("none.flac", "new", "."):
        with pytest.raises(InputError, match="no such file"):
            Tools(folder).place(name)
