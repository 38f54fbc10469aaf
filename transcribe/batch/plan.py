"""Which recordings, and where their results go: decided whole before the first is read."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.batch import storage, tree
from transcribe.errors import InputError, OutputError, UsageError, suggestion
from transcribe.formats.format import Format
from transcribe.formats.table import FORMATS, format_of

if TYPE_CHECKING:
    from transcribe.batch.manifest import Manifest

STANDARD = "-"
BESIDE = "\0"  # an output that can't be asked for: beside the recording


@dataclass(frozen=True)
class Recording:
    """A recording to transcribe: its path or URL (``-`` for standard input), and the folder it was found under.

    ``label`` is its name where the path below the folder tells it from no other; ``fault``: why it can't be read, as is
    known before it is tried.
    """

    path: str
    root: Path
    label: str | None = None
    fault: str | None = None

    @property
    def name(self) -> str:
        """What people call it: its path below the folder that was named."""
        return self.label or ("standard input" if self.path == STANDARD else str(self.relative))

    @property
    def rereadable(self) -> bool:
        """Whether it can be read twice, as files can, and pipes can't."""
        return self.path != STANDARD and (storage.is_remote(self.path) or os.path.isfile(self.path))

    @property
    def parent(self) -> str:
        """The folder it lies in."""
        return self.path.rpartition("/")[0] if storage.is_remote(self.path) else str(Path(self.path).parent)

    @property
    def relative(self) -> Path:
        """The path below the folder that was named."""
        return Path(storage.without_query(self.path)).relative_to(self.root)


@dataclass(frozen=True)
class Job:
    """A recording and the files to write, each with its format; the path ``-`` is standard output."""

    recording: Recording
    outputs: tuple[tuple[str, Format], ...]


def find_recordings(inputs: Sequence[str], recursive: bool = False) -> list[Recording]:
    """Expand files, folders and globs, in the order given, each recording once.

    Hidden files and what systems keep in folders (``._song.wav``, ``__MACOSX``) are left out unless they are named.
    What can't be expanded (a folder without recordings, one that can't be read, a pattern that matches nothing) stays
    in the list, to fail in its turn without stopping the others.

    Raises
    ------
    InputError
        If a name is empty.
    UsageError
        If an address can't be used.
    """
    found: list[Recording] = []
    for name in map(storage.plain, inputs):
        path = Path(name)
        if name == STANDARD:
            found.append(Recording(name, Path()))
        elif not name:
            raise InputError("a recording's name is empty; give a file, a folder or a pattern")
        elif storage.is_remote(name):
            found += _elsewhere(name, recursive)
        elif os.path.isdir(name):
            found += _in_folder(path, recursive)
        elif glob.has_magic(name) and not os.path.lexists(name):
            found += _matching(name, recursive) or [Recording(name, path.parent)]
        else:
            found.append(Recording(name, path.parent))
    unique: dict[str, Recording] = {}
    for recording in found:
        unique.setdefault(storage.absolute(recording.path), recording)
    count = Counter(recording.name for recording in unique.values())
    return [replace(one, label=one.path) if count[one.name] > 1 else one for one in unique.values()]


def _matching(pattern: str, recursive: bool) -> list[Recording]:
    """Expand a pattern: the recordings that match, then those in the folders that do."""
    matches = [Path(match) for match in sorted(tree.matching(pattern))]
    found = [Recording(str(match), match.parent) for match in matches if _is_recording(match)]
    for folder in (match for match in matches if os.path.isdir(match)):
        inside = _in_folder(folder, recursive)
        found += inside if len(inside) > 1 or inside[0].path != str(folder) or len(matches) == 1 else []
    return found


def _elsewhere(name: str, recursive: bool) -> list[Recording]:
    """Expand the URL of a file, a folder or a glob."""
    found = []
    if storage.is_folder(name):
        folder, paths = storage.listed(name, recursive)
        found = [Recording(path, Path(folder)) for path in paths if _is_named_so(Path(path))]
        found = [one for one in found if not any(map(tree.is_hidden, one.relative.parts))]
    elif glob.has_magic(name) and not storage.on_the_web(name) and not storage.is_there(name):
        found = [Recording(path, Path(path).parent) for path in storage.matching(name) if _is_named_so(Path(path))]
        found = [one for one in found if tree.asks_for_hidden(name) or not tree.is_hidden(one.name)]
    found = found or [Recording(name, Path(storage.without_query(name)).parent)]
    outside = "its name leads out of the folder; rename it"
    return [replace(one, fault=outside) if storage.leads_out(one.relative) else one for one in found]


def _in_folder(folder: Path, recursive: bool) -> list[Recording]:
    """Find the recordings in a folder, and the folders below it that can't be read."""
    files, unreadable = tree.files(str(folder), recursive)
    found = [Recording(str(path), folder) for path in sorted(map(Path, files)) if _is_recording(path)]
    found += [Recording(path, folder.parent, label=path, fault=why) for path, why in unreadable]
    nothing = "is a folder without recordings" + ("" if recursive else "; --recursive searches the folders in it too")
    return found or [Recording(str(folder), folder.parent, label=str(folder), fault=nothing)]


def _is_recording(path: Path) -> bool:
    # What can't be looked at (a folder that may not be entered) stays, and fails in its turn.
    return _is_named_so(path) and (os.path.isfile(path) or not os.path.exists(path))


def _is_named_so(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES


def plan(
    recordings: Sequence[Recording],
    outputs: Sequence[str] = (),
    formats: Sequence[str] = (),
    table: Mapping[str, Format] = FORMATS,
    default: str | None = "midi",
    more: Sequence[str] = (),
) -> list[Job]:
    """Decide where every result goes.

    Without ``outputs`` beside its recording, in the ``default`` format or in ``formats``; nowhere where there is no
    default either. ``table`` holds the formats that there are. An output is a file, whose suffix (or the one
    format) says what is written, ``-`` for standard output, or a folder: one that exists, ends in a separator, or is
    given for several recordings. ``more`` are files beside these, each of what its suffix
    says. Recordings that would share a name keep their suffix: ``a.wav.mid``, ``a.mp3.mid``.

    Raises
    ------
    UsageError
        If the outputs don't fit the recordings, or two recordings would still write one file.
    OutputError
        If the folder of an output is not there.
    """
    kinds = [_named(name, table) for name in formats]
    usual = [table[default]] if default else []
    jobs: list[list[tuple[str, Format]]] = [[] for _ in recordings]
    for output in map(storage.plain, outputs or (BESIDE,)):
        if output != BESIDE and not _is_folder(output, len(recordings), table):
            jobs[0].append(
                (output, _kind_of_file(output, kinds or (usual if output == STANDARD else []), len(recordings), table))
            )
            _check_folder(output)
            continue
        if output != BESIDE and not (kinds or usual):
            raise UsageError(f"{output}: a folder needs --format: one of {', '.join(table)}")
        for kind in kinds or usual:
            names = _names(recordings, "" if output == BESIDE else output, kind.suffixes[0])
            for job, path in zip(jobs, names, strict=True):
                if path is not None:
                    job.append((path, kind))
    for output in map(storage.plain, more):
        if _is_folder(output, len(recordings), table):
            raise UsageError(f"{output}: give a file there")
        jobs[0].append((output, format_of(Path(output), table)))
        _check_folder(output)
    _check_unique(recordings, jobs)
    return [Job(recording, tuple(job)) for recording, job in zip(recordings, jobs, strict=True)]


def _check_folder(output: str) -> None:
    local = output != STANDARD and not storage.is_remote(output)
    if local and not os.path.isdir(Path(output).absolute().parent):
        raise OutputError(f"{output}: the folder {Path(output).parent} is not there; make it first")


def _is_folder(output: str, n_recordings: int, table: Mapping[str, Format]) -> bool:
    if output == STANDARD:
        return False
    if not output:
        raise UsageError("-o needs a file, a folder or -")
    if output.endswith(("/", os.sep)) or storage.is_folder(output):
        return True
    if n_recordings > 1 and any(Path(output).suffix.lower() in form.suffixes for form in table.values()):
        raise UsageError(f"{output}: {n_recordings} recordings can't go into one file; give a folder")
    return n_recordings > 1


def _kind_of_file(output: str, kinds: Sequence[Format], n_recordings: int, table: Mapping[str, Format]) -> Format:
    if n_recordings > 1:
        raise UsageError("-o - takes one recording; give a folder for several")
    if len(kinds) > 1:
        raise UsageError("several formats need several -o, or a folder")
    if kinds:
        return kinds[0]
    if output == STANDARD:
        raise UsageError(f"-o - needs --format: one of {', '.join(table)}")
    return format_of(Path(output), table)


def _named(name: str, table: Mapping[str, Format]) -> Format:
    if name.lower() in table:
        return table[name.lower()]
    for form in table.values():
        if f".{name.lower().lstrip('.')}" in form.suffixes:
            return form
    raise UsageError(f"--format {name}: unknown format; {suggestion(name, table)}use one of {', '.join(table)}")


def _names(recordings: Sequence[Recording], folder: str, suffix: str) -> list[str | None]:
    """Name the results of all recordings; None for those that can't be read."""
    bases = [None if recording.fault else _base(recording, folder) for recording in recordings]
    plain = [base and base.removesuffix(Path(base).suffix) + suffix for base in bases]
    count = Counter(storage.same(path) for path in plain if path)
    return [
        base + suffix if base and path and count[storage.same(path)] > 1 else path
        for base, path in zip(bases, plain, strict=True)
    ]


def _base(recording: Recording, folder: str) -> str:
    """Name a recording's result, but for the suffix: below a folder, or beside it where there is none."""
    if recording.path == STANDARD:
        if not folder:
            raise UsageError("standard input has no name; say where the result goes with -o")
        return storage.join(folder, Path("stdin"))
    if not folder and storage.on_the_web(recording.path):
        raise UsageError(f"{recording.path}: nothing can be written beside it; say where the result goes with -o")
    relative = recording.relative
    return storage.join(folder or recording.parent, relative if folder else Path(relative.name))


def _check_unique(recordings: Sequence[Recording], jobs: Sequence[Sequence[tuple[str, Format]]]) -> None:
    taken: dict[str, str] = {}
    for recording, job in zip(recordings, jobs, strict=True):
        for output, _ in job:
            key = storage.same(output)
            if key in taken:
                raise UsageError(f"{taken[key]} and {recording.path} would both write {output}; rename one")
            taken[key] = recording.path
            if recording.path != STANDARD and key == storage.same(recording.path):
                raise UsageError(f"{output}: the result would replace the recording; choose another -o")


def check_inputs(recordings: Iterable[Recording]) -> None:
    """Refuse a batch before it begins if a recording that was named is not there: the name may be a typing error.

    Raises
    ------
    InputError
        If a file or a pattern's match is missing; stores are asked in turn.
    """
    names = [one.path for one in recordings if not (one.fault or one.path == STANDARD or storage.is_remote(one.path))]
    missing = [name for name in names if not os.path.lexists(name)]
    if missing:
        more = f"; nor are {len(missing) - 1} more there" if len(missing) > 1 else ""
        hint = "; an address begins with https://" if re.match(r"[\w-]+(\.[\w-]+)+/", missing[0]) else ""
        raise InputError(f"{missing[0]}: no such file{more}{hint}; nothing was begun")


def check_no_results(recordings: Iterable[Recording], read: frozenset[str]) -> None:
    """Refuse files that hold notes or chords already, but those with a suffix that is ``read``.

    Raises
    ------
    UsageError
        If there is one.
    """
    for one in recordings:
        suffix = Path(one.path).suffix.lower()
        results = {suffix for form in FORMATS.values() if form.read for suffix in form.suffixes}
        if suffix in results - read and os.path.isfile(one.path):
            name = Path(one.path)
            raise UsageError(
                f"{one.path}: is a result already, and no recording: pitchai convert {name.name} {name.stem}.pdf makes "
                "other files of it, pitchai beats and pitchai show read it"
            )


def check_in_reach(jobs: Sequence[Job], addresses: Iterable[str]) -> None:
    """Refuse what other processes than this one can't read or write.

    Raises
    ------
    UsageError
        If it is standard input, or this process's memory.
    """
    if any(job.recording.path == STANDARD for job in jobs):
        raise UsageError(
            "--workers and --ray can't read standard input beside other recordings; give it alone, or as a file"
        )
    if any(map(storage.in_memory, addresses)):
        raise UsageError("memory:// is this process's own: neither --workers nor --ray can reach it")


def manifest_path(asked: str | None, outputs: Sequence[str], by_default: bool) -> str | None:
    """Say where the manifest of a batch lies: where it was asked for, else ``by_default`` in its output folder."""
    if asked is not None:
        return storage.plain(asked)
    folders = [storage.plain(output) for output in outputs if by_default and not os.path.isfile(output)]
    return storage.join(folders[0], Path("pitchai.jsonl")) if folders else None


def check_manifest(path: str, jobs: Sequence[Job], may_exist: bool) -> None:
    """Refuse a place for the manifest that is taken.

    Raises
    ------
    OutputError
        If it is a recording or a result, is there already, or can't be written.
    """
    if storage.is_there(path) and not may_exist:
        raise OutputError(f"{path}: exists already; --skip-existing goes on from it, --overwrite begins anew")
    taken = {storage.same(name) for job in jobs for name in (job.recording.path, *(out for out, _ in job.outputs))}
    if storage.same(path) in taken:
        raise OutputError(f"{path}: is a recording or a result; choose another --manifest")
    storage.check_writable(path, True, "--manifest")


def split_done(jobs: Sequence[Job], manifest: Manifest | None) -> tuple[list[Job], list[Job]]:
    """Tell the jobs that are still to be done from those whose results are there.

    A manifest that an earlier run began must know them too.
    """
    there = storage.existing(path for job in jobs for path, _ in job.outputs)
    left: list[Job] = []
    done: list[Job] = []
    for job in jobs:
        outputs = [path for path, _ in job.outputs]
        known = manifest.has(job.recording.path, outputs) if manifest and manifest.resumed else bool(outputs)
        (done if known and there.issuperset(outputs) else left).append(job)
    return left, done
