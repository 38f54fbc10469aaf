"""What all loaders of data sets share: a piece, a data set, where its folder is found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.errors import InputError, UsageError
from transcribe.events import Transcription


@dataclass(frozen=True)
class Piece:
    """A recording and the truth about it.

    Attributes
    ----------
    name
        Unique within its data set.
    audio
        The recording.
    labels
        The file of its labels, or the folder whose name is the label.
    split
        ``train``, ``validation`` or ``test``; empty where none is given.
    tags
        The labels themselves, where they are words: instruments, a genre.
    vocabulary
        What the tags are words of, where the task has several vocabularies.
    absent
        Words that are known not to be true; where None, all that aren't in ``tags``, else of the others nobody knows.
    read
        Reads the labels, where they are of a form of the data set's own.
    """

    name: str
    audio: Path
    labels: Path
    split: str
    tags: tuple[str, ...] = ()
    vocabulary: str = ""
    absent: tuple[str, ...] | None = None
    read: Callable[[Path], Transcription] | None = None


@dataclass(frozen=True)
class Dataset:
    """A data set: how its folder is read, where it is to be had, and what the folder must look like.

    ``load`` takes the folder, and one with other labels (of genres: with the lists of splits) or None, which only
    sets with ``other_labels`` may be given. ``default_split`` is what is evaluated unless told otherwise; None where
    the set has no splits.
    """

    name: str
    load: Callable[[Path, Path | None], list[Piece]]
    source: str
    layout: str
    default_split: str | None = None
    other_labels: bool = False

    @property
    def about(self) -> str:
        """Say what it looks like."""
        return f"{self.source}; its folder: {self.layout}" if self.source else self.layout

    def pieces(self, folder: Path | None = None, split: str | None = None, labels: Path | None = None) -> list[Piece]:
        """List the pieces.

        Parameters
        ----------
        folder
            Where it lies; else the folder of its name in ``$PITCHAI_DATA``.
        split
            Keep these pieces only; the set's default where None, everything with ``all``.
        labels
            A folder with other labels.

        Raises
        ------
        UsageError
            If nothing says where the data are, or its labels can't be taken from elsewhere.
        InputError
            If the folder is missing or holds nothing of the kind.
        """
        if labels is not None and not self.other_labels:
            raise UsageError(f"--labels is about notes and genres, not {self.name}")
        folder = folder_of(self.name, folder, self.about)
        pieces = self.load(folder, labels)
        if not pieces:
            raise InputError(f"{folder}: no recordings found with labels; it should look like: {self.layout}")
        wanted = split or self.default_split
        if wanted in (None, "all"):
            return pieces
        kept = [piece for piece in pieces if piece.split == wanted]
        splits = sorted({piece.split for piece in pieces} - {""})
        if not splits:
            raise UsageError(
                f"{folder}: no lists of a split; it should look like: {self.layout}; or ask for --split all"
            )
        if not kept:
            raise InputError(f"{folder}: nothing in the split {wanted!r}; it has {', '.join(splits)}")
        return kept


class LeftOut(list[str]):
    """What of a data set can't be read, a line each: the rest is measured."""

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """Note a piece that can't be read, and go on."""
        try:
            yield
        except InputError as error:
            self.append(str(error) if name in str(error) else f"{name}: {error}")

    def check(self, n_measured: int) -> None:
        """See that something is left.

        Raises
        ------
        InputError
            If nothing could be measured, with the first reason.
        """
        if self and not n_measured:
            raise InputError(self[0])


def folder_of(name: str, folder: Path | None, about: str) -> Path:
    """Find a data set's folder: the one given, else the one of its name in ``$PITCHAI_DATA``.

    Raises
    ------
    UsageError
        If nothing says where it is; ``about`` tells what it looks like.
    InputError
        If it isn't there.
    """
    if folder is None:
        root = os.environ.get("PITCHAI_DATA")
        if not root:
            raise UsageError(f"where is {name}? Give --data DIR or set PITCHAI_DATA; {about}")
        folder = Path(root) / name
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; {about}")
    return Path(folder)


def recordings(folder: Path) -> list[Path]:
    """Find all recordings in a folder and those below it, in the order of their paths."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
