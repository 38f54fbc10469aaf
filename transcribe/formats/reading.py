"""What others wrote, read with care: how much of it, in which encoding, its columns and its numbers.

A number may have a decimal comma where nothing else can be meant: between tabs, blanks, semicolons or quotation marks.
Where a comma may as well part two columns, the text is refused: a guess would be wrong without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from transcribe.errors import InputError

# A day of dense music, as JSON, is 100 MB and a million notes. What is larger is refused: reading it would take more
# than about 2 GB of memory.
MAX_BYTES, MAX_EVENTS = 128_000_000, 2_000_000
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises
    ------
    InputError
        If it can't be read, or is larger than ``MAX_BYTES``.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        elsewhere = re.match(r"[a-z][a-z0-9+.-]+:/", path.as_posix())
        reason = "is an address; copy the file here and give its path" if elsewhere else "no such file"
        raise InputError(f"{path}: {reason}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB, which no result is; cut it into parts")
    return content


def decode(content: bytes) -> str:
    """Decode text: UTF-8, or UTF-16 that says so by its first bytes.

    Raises
    ------
    ValueError
        If it is neither.
    """
    wide = content.startswith(_UTF16) and len(content) > 2
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None


def check_count(n_events: int) -> None:
    """Refuse more than ``MAX_EVENTS`` events.

    Raises
    ------
    InputError
        If there are more.
    """
    if n_events > MAX_EVENTS:
        raise InputError(f"holds more than {MAX_EVENTS:,} events; cut it into parts")


class Numbers:
    """Reads the numbers of one text: with decimal points or with decimal commas, not with both."""

    def __init__(self) -> None:
        self._mark = ""

    def __call__(self, word: str | None) -> float:
        """Read a number.

        Raises
        ------
        ValueError
            If it is none.
        """
        word = (word or "").strip()
        if not _NUMBER.fullmatch(word):
            raise ValueError(f"{word[:40]!r} is no number")
        mark = word.strip("+-0123456789eE")
        if mark and self._mark and mark != self._mark:
            raise ValueError(f"{word[:40]!r} has another decimal mark than the numbers before it")
        self._mark = self._mark or mark
        return float(word.replace(",", "."))

    def whole(self, word: str | None) -> int:
        """Read a whole number.

        Raises
        ------
        ValueError
            If it is none.
        """
        value = self(word)
        if not value.is_integer():
            raise ValueError(f"{word!r} is no whole number")
        return int(value)


def rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of every line of a table; empty lines and comments (``#``) are passed over.

    Tabs, blanks, semicolons or commas lie between words.

    Raises
    ------
    ValueError
        If it is no text, or its commas may be decimal commas.
    InputError
        If there are more than ``MAX_EVENTS`` lines.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_LINE_END.split(decode(content)), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    check_count(len(lines))
    if any(re.search(r"[\s;]", line) for _, line in lines):
        for number, line in lines:
            words = re.split(r"\s*[,;]?\s+|\s*;\s*", line)
            yield number, words[:-1] if len(words) > 1 and not words[-1] else words
        return
    n_columns = lines[0][1].count(",") + 1 if lines else 0
    has_heading = bool(lines) and not _NUMBER.fullmatch(lines[0][1].partition(",")[0])
    has_points = any("." in line for _, line in lines)
    for number, line in lines:
        words = line.split(",")
        if len(words) > 1 and not has_points and not (has_heading and len(words) == n_columns):
            raise ValueError(f"line {number}: {line[:40]!r} may hold decimal commas; put tabs between its columns")
        yield number, words
