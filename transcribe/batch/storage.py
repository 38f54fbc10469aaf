"""Recordings and results by their address: a path here, or a URL such as ``s3://bucket/song.wav``, through fsspec.

Results are there whole or not at all: here by :mod:`transcribe.batch.atomic`, in an object store because a put is.
Credentials and endpoints are found as the store's own library finds them: its environment, files and roles, never in
an address.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from transcribe.batch import atomic
from transcribe.errors import (
    InputError,
    OutputError,
    PitchaiError,
    TakenError,
    UsageError,
    import_optional,
    machine_faults_as,
)
from transcribe.formats.format import Content

# The stores that have been tried, of the many that fsspec knows; the web is read only.
STORES = ("s3", "gs", "az", "memory")
_WEB = ("http", "https")
# What fsspec opens them by, as pip calls it.
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", **dict.fromkeys(_WEB, "'fsspec[http]'")}

# A store, of a class of fsspec's, which is annotated in part.
FileSystem = Any
# A download without an end must leave the disk some room, in bytes; as much as a stream must.
_ROOM_LEFT = 1 << 28


def is_remote(address: str) -> bool:
    """Tell URLs from paths."""
    return re.match(r"[a-z][a-z0-9+.-]+://", address) is not None


def in_memory(address: str) -> bool:
    """Whether it is in this process's memory, where no other finds it."""
    return address.startswith("memory://")


def on_the_web(address: str) -> bool:
    """Whether it can be read but not written to."""
    return is_remote(address) and _scheme(address) in _WEB


def plain(address: str) -> str:
    """Make a path of a ``file://`` URL; others stay.

    Raises
    ------
    UsageError
        If it is of a store that isn't known here, or holds a password.
    """
    if not is_remote(address):
        return address
    scheme = _scheme(address)
    if re.match(r"(file|local):///", address):
        return address.partition("://")[2]
    if scheme not in (*STORES, *_WEB):
        known = ", ".join(f"{name}://" for name in (*STORES, *_WEB))
        raise UsageError(f"{address}: {scheme}:// is not supported; copy it to a folder, or use one of {known}")
    if re.match(r"[^/]*:[^/]*@", address.partition("://")[2]):
        raise UsageError(f"{address}: has a password in it; give it to the store's own settings or environment instead")
    return address


def without_query(address: str) -> str:
    """Leave out what follows the path of a URL of the web."""
    return re.sub(r"[?#].*", "", address, flags=re.DOTALL) if on_the_web(address) else address


def _scheme(address: str) -> str:
    return address.partition("://")[0]


def absolute(address: str) -> str:
    """Say it so that it means the same from every folder."""
    return address if is_remote(address) else os.path.abspath(address)


def same(address: str) -> str:
    """Make a key that tells when two are one file: through links and ``..``, and on systems that don't mind case."""
    return address if is_remote(address) else os.path.normcase(os.path.realpath(address))


def leads_out(name: PurePath) -> bool:
    """Whether a relative path leads out of the folder that it is joined to."""
    return ".." in name.parts or bool(name.anchor)


def join(folder: str, name: PurePath) -> str:
    """Name a file below a folder. All names that come from outside (a store's keys) pass through here.

    Raises
    ------
    OutputError
        If the name leads out of the folder.
    """
    if leads_out(name):
        raise OutputError(f"{name.as_posix()}: leads out of {folder}; rename it")
    return f"{folder.rstrip('/')}/{name.as_posix()}" if is_remote(folder) else str(Path(folder) / name)


def is_folder(address: str) -> bool:
    """Whether there is such a folder."""
    if not is_remote(address):
        return os.path.isdir(address)
    if on_the_web(address):  # which knows none, and would send the whole file to tell
        return False
    files, path = _open(address)
    with _failing(InputError, address):
        return bool(files.isdir(path))


def is_there(address: str) -> bool:
    """Whether there is anything of that name."""
    if not is_remote(address):
        return os.path.lexists(address)
    files, path = _open(address)
    with _failing(InputError, address):
        return bool(files.exists(path))


def existing(addresses: Iterable[str]) -> set[str]:
    """Choose those that are files; of a store each folder is listed once."""
    found = set()
    folders: dict[str, list[str]] = defaultdict(list)
    for address in addresses:
        if is_remote(address):
            folders[address.rpartition("/")[0]].append(address)
        elif os.path.isfile(address):
            found.add(address)
    for folder, wanted in folders.items():
        files, path = _open(folder)
        with _failing(InputError, folder):
            try:
                names = {Path(name).name for name in files.ls(path, detail=False)}
            except FileNotFoundError:
                continue
        found.update(address for address in wanted if address.rpartition("/")[2] in names)
    return found


def listed(folder: str, recursive: bool) -> tuple[str, list[str]]:
    """List the files of a remote folder: its address as the store says it, and theirs, sorted."""
    files, path = _open(folder)
    with _failing(InputError, folder):
        names = files.find(path, maxdepth=None if recursive else 1)
    return files.unstrip_protocol(path), sorted(map(files.unstrip_protocol, names))


def matching(pattern: str) -> list[str]:
    """List what matches a remote pattern, sorted."""
    files, path = _open(pattern)
    with _failing(InputError, pattern):
        return sorted(map(files.unstrip_protocol, files.glob(path)))


@contextmanager
def here(address: str) -> Iterator[str]:
    """Give the path of a file; what is elsewhere is copied here and deleted afterwards: decoders seek to and fro.

    Raises
    ------
    InputError
        If it can't be copied.
    """
    if not is_remote(address):
        yield address
        return
    files, path = _open(address)
    with machine_faults_as(InputError, f"{address}: no temporary folder to copy it to"):
        temporary = tempfile.TemporaryDirectory(prefix="pitchai-")
    with temporary as folder:
        copy = join(folder, PurePath(PurePath(path).name or "recording"))
        with _failing(InputError, address):
            try:
                files.get_file(path, copy, callback=_watch(address))
            except FileNotFoundError:
                raise InputError(f"{address}: no such file, or a folder without recordings") from None
        if not os.path.isfile(copy):  # some stores give a folder for a folder
            raise InputError(f"{address}: no such file, or a folder without recordings")
        if on_the_web(address) and _is_page(copy):
            raise InputError(f"{address}: is a web page; give the address of the sound itself, or a file")
        yield copy


def _is_page(path: str) -> bool:
    with open(path, "rb") as file:
        return re.match(rb"\s*<(!doctype html|html)\b", file.read(1000), re.IGNORECASE) is not None


def _watch(address: str) -> object:
    """Make what follows a download, and ends one that would fill the disk: a stream without an end."""
    from fsspec.callbacks import Callback

    class Watch(Callback):  # type: ignore[misc]
        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            if self.value > _ROOM_LEFT and shutil.disk_usage(tempfile.gettempdir()).free < _ROOM_LEFT:
                raise InputError(f"{address}: no end in sight, and the disk for temporary files is nearly full")

    return Watch()


def read(address: str) -> bytes | None:
    """Read a remote file; None where there is none."""
    files, path = _open(address)
    with _failing(OutputError, address):
        try:
            return bytes(files.cat_file(path))
        except FileNotFoundError:
            return None


def remove(address: str) -> None:
    """Delete a remote file."""
    files, path = _open(address)
    with _failing(OutputError, address):
        files.rm_file(path)


def check_writable(address: str, overwrite: bool, option: str = "-o") -> None:
    """Refuse before the work what would fail after it.

    Raises
    ------
    OutputError
        As :func:`transcribe.batch.atomic.check_writable`.
    """
    if not is_remote(address):
        atomic.check_writable(Path(address), overwrite, option)
    elif on_the_web(address):
        raise UsageError(f"{address}: results can't be written over {_scheme(address)}; choose another {option}")
    elif not overwrite and is_there(address):
        raise TakenError(f"{address}: exists already; use --overwrite to replace it or --skip-existing to keep it")


def write(address: str, content: Content, overwrite: bool = False) -> None:
    """Write a whole file or nothing.

    Raises
    ------
    OutputError
        If the file exists and may not be replaced, or can't be written.
    """
    if not is_remote(address):
        atomic.write_atomically(Path(address), content, overwrite)
        return
    files, path = _open(address)
    with _failing(OutputError, address):
        try:
            files.pipe_file(path, atomic.to_bytes(content), mode="overwrite" if overwrite else "create")
        except FileExistsError:
            raise TakenError(f"{address}: exists already; use --overwrite to replace it") from None


def _open(address: str) -> tuple[FileSystem, str]:
    """Give the file system of an address, and the path there."""
    fsspec = import_optional("fsspec", f"{address}: addresses are opened by fsspec", "ray")
    try:
        # Not fsspec's own `url_to_fs`, to which "::" in a key means an archive in a store.
        kind = fsspec.get_filesystem_class(_scheme(address))
        path = kind._strip_protocol(address)
        # What others write meanwhile is to be seen.
        return kind(use_listings_cache=False, **kind._get_kwargs_from_urls(address)), path
    except ImportError:
        package = _PACKAGES[_scheme(address)]
        raise UsageError(f"{address}: such addresses are opened by {package}: pip install {package}") from None
    except ValueError as error:
        raise UsageError(f"{address}: {_one_line(error)}") from None


@contextmanager
def _failing(kind: type[PitchaiError], address: str) -> Iterator[None]:
    """Say in a line what a store says in errors of its own."""
    try:
        yield
    except PitchaiError:
        raise
    except Exception as error:
        verb = "read" if kind is InputError else "read or written"
        raise kind(f"{address}: can't be {verb}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
