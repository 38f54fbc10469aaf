"""What a recording's file says of the music: its title and its composer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# No longer title stands above any music.
_LONGEST = 200


@dataclass(frozen=True)
class Tags:
    """Empty where the file doesn't say."""

    title: str = ""
    composer: str = ""


def read_tags(path: str | Path) -> Tags:
    """Read the tags of a recording that can be decoded; none of what can't.

    Examples
    --------
    >>> read_tags("README.md")
    Tags(title='', composer='')
    """
    import av

    try:
        # As in transcribe.audio.decoding: a file that names others opens none of them.
        with open(path, "rb") as file, av.open(file, mode="r", options={"protocol_whitelist": "pipe"}) as container:
            # Ogg's tags belong to its stream.
            found = [container.metadata, *(stream.metadata for stream in container.streams.audio)]
    except (av.FFmpegError, OSError, ValueError, UnicodeError):
        return Tags()
    said = {name.lower(): value for tags in reversed(found) for name, value in tags.items()}
    return Tags(one_line(said.get("title", "")), one_line(said.get("composer", "")))


def one_line(text: str) -> str:
    """Keep what can be printed in a line, and no more than anybody would."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_LONGEST]
