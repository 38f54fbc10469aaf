"""Files that are there whole or not at all, whatever ends the program."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import IO

from transcribe.errors import OutputError, TakenError
from transcribe.formats.format import Content


def check_replaceable(path: Path, overwrite: bool, option: str = "-o") -> None:
    """Refuse a path that is taken: by a file without ``overwrite``, by a folder or a device always.

    Raises
    ------
    OutputError
        If it may not be written.
    """
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise TakenError(f"{path}: exists already; use --overwrite to replace it or --skip-existing to keep it")
    if not os.path.isfile(path) or os.path.islink(path):
        raise OutputError(f"{path}: is no ordinary file; choose another {option}")


def check_writable(path: Path, overwrite: bool, option: str = "-o") -> None:
    """Refuse before the work what would fail after it.

    Raises
    ------
    OutputError
        If the file is there and may not be replaced, or its folder can't be made or written to.
    """
    check_replaceable(path, overwrite, option)
    try:
        _make_folder(path.parent)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: its folder can't be made: {getattr(error, 'strerror', None) or error}") from None
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:  # its name is too long
        raise OutputError(f"{path}: can't be written: {error.strerror}") from None
    if not os.access(path.absolute().parent, os.W_OK):
        raise OutputError(f"{path}: can't be written: no permission to write in {path.parent}")


def _make_folder(folder: Path) -> None:
    """Make a folder and those it lies in; they may be a thousand deep, too many for ``Path.mkdir``'s recursion."""
    missing = []
    for path in (folder, *folder.parents):
        try:
            path.mkdir(exist_ok=True)
            break
        except FileNotFoundError:
            missing.append(path)
    for path in reversed(missing):
        path.mkdir(exist_ok=True)


def write_atomically(path: Path, content: Content, overwrite: bool = False) -> None:
    """Write a whole file or nothing; ``content`` may be what writes it into an open file, for what is large.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or can't be written.
    """
    check_replaceable(path, overwrite)
    try:
        if overwrite or not _written_unnamed(path, content):
            _written_beside(path, content, overwrite)
    except FileExistsError:
        raise TakenError(f"{path}: exists already, since a moment ago; use --overwrite to replace it") from None
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: can't be written: {getattr(error, 'strerror', None) or error}") from None


def _written_unnamed(path: Path, content: Content) -> bool:
    """Write a file that has no name before it is whole: nothing is left if we are killed; False where there is none.

    Linux knows such files, on most file systems.
    """
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except (AttributeError, OSError):
        return False
    with os.fdopen(descriptor, "wb") as file:
        _fill(file, content)
        file.flush()
        try:
            # With a directory, which an absolute path makes no use of, Python follows the link; without, it doesn't.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            return False
    return True


def _written_beside(path: Path, content: Content, overwrite: bool) -> None:
    """Write a file beside its place, then move it there."""
    part: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".pitchai-", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            _fill(file, content)
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        if overwrite or not _linked(part, path):
            part.replace(path)
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def to_bytes(content: Content) -> bytes:
    """Give the bytes that a file would hold."""
    buffer = io.BytesIO()
    _fill(buffer, content)
    return buffer.getvalue()


def _fill(file: IO[bytes], content: Content) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        content(file)


def _linked(part: Path, path: Path) -> bool:
    """Give a finished file its name unless it is taken by now; False where the system knows no hard links."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):
        return False
    return True
