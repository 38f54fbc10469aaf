"""Folders searched and patterns expanded: whatever their depth, and each folder once where links lead round."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

# What systems keep in folders beside what people put there.
_SYSTEM = frozenset(
    ("__MACOSX", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found")
)


def is_hidden(part: str) -> bool:
    """Whether a part of a path is hidden or a system's own."""
    return part in _SYSTEM or (part.startswith(".") and part not in (".", ".."))


def asks_for_hidden(pattern: str) -> bool:
    """Whether a pattern names what is hidden."""
    return any(map(is_hidden, Path(pattern).parts))


def files(folder: str, recursive: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """List what is in a folder and isn't hidden, and which folders can't be read, each with the reason.

    Links to folders aren't followed.
    """
    found: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for path, entries, error in _walk(folder, follow=False):
        if error is not None:
            unreadable.append((path, f"can't be read: {error.strerror}"))
        found += [entry.path for entry in entries]
        if not recursive:
            break
    return found, unreadable


def matching(pattern: str) -> list[str]:
    """List the files and folders that match a pattern; ``**`` stands for any number of folders, also through links.

    What is hidden matches only where the pattern names it.
    """
    parts = Path(pattern).parts
    deep = parts.index("**") if "**" in parts else len(parts)
    hidden = asks_for_hidden(pattern)
    starts = glob.glob(str(Path(*parts[:deep])), include_hidden=hidden)
    if deep == len(parts):
        return [start for start in starts if hidden or not is_hidden(Path(start).name)]
    wanted = [part for part, following in pairwise((*parts[deep:], "")) if not part == following == "**"]
    found = []
    for start in filter(os.path.isdir, starts):
        prefix = start.rstrip(os.sep) + os.sep
        for path, entries, _ in _walk(start, follow=True, hidden=hidden):
            found += [
                entry.path for entry in entries if _matches(entry.path.removeprefix(prefix).split(os.sep), wanted)
            ]
            if path == start and _matches([], wanted):
                found.append(start)
    return found


def _matches(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[i:], wanted[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])


def _walk(
    folder: str, follow: bool, hidden: bool = False
) -> Iterator[tuple[str, list[os.DirEntry[str]], OSError | None]]:
    """Go through a folder and those below it: path, what is in it, and why it can't be read.

    Without recursion, for folders may be a thousand deep. Links are followed last, and to each folder once.
    """
    folders, links = [folder], list[str]()
    seen = set()
    while folders or links:
        path = (folders or links).pop()
        entries: list[os.DirEntry[str]] = []
        try:
            status = Path(path).stat()
            if follow and (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as found:
                entries = [entry for entry in found if hidden or not is_hidden(entry.name)]
        except OSError as error:
            yield path, [], error
            continue
        yield path, entries, None
        folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        links += [entry.path for entry in entries if follow and entry.is_symlink() and entry.is_dir()]
