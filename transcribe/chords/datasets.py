"""Recordings with true chords: songs with ``.lab`` files, clips in folders named by their chord."""

from __future__ import annotations

from pathlib import Path

from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.events import Chord
from transcribe.formats.format import LONGEST
from transcribe.formats.lab import from_lab
from transcribe.formats.reading import read_bytes
from transcribe.theory.chords import parse_name


def load_chords(folder: Path, _: Path | None = None) -> list[Piece]:
    """Find recordings with ``.lab`` files, or clips in folders named by their chord."""
    # Labels beside the recording; else those of its name in another tree (Isophonics' chordlab, RWC), or Billboard's,
    # whose full.lab lies in a folder of the recording's name; else the folder is the label of its clips.
    labs: dict[str, list[Path]] = {}
    for lab in sorted(folder.rglob("*.lab")):
        labs.setdefault(lab.parent.name if lab.stem == "full" else lab.stem, []).append(lab)
    pieces = []
    for audio in recordings(folder):
        lab = audio.with_suffix(".lab")
        labels = lab if lab.is_file() else _lab_elsewhere(audio, labs)
        if labels is None and audio.parent != folder and _is_chord(audio.parent.name):
            labels = audio.parent
        if labels is not None:
            pieces.append(Piece(audio.relative_to(folder).with_suffix("").as_posix(), audio, labels, "test"))
    return pieces


def _lab_elsewhere(audio: Path, labs: dict[str, list[Path]]) -> Path | None:
    full = audio.with_name("full.lab")
    found = [lab for lab in labs.get(audio.stem, []) if not lab.with_suffix(audio.suffix).is_file()]
    if len(found) > 1:  # "01 - Intro" is on many records: the folder tells which
        found = [lab for lab in found if lab.parent.name == audio.parent.name]
    if len(found) > 1:
        raise InputError(f"{audio}: its labels may be {found[0]} or {found[1]}; keep one of them")
    return found[0] if found else full if full.is_file() else None


def _is_chord(name: str) -> bool:
    try:
        parse_name(name)
    except ValueError:
        return False
    return True


DATASETS = {
    "chords": Dataset(
        "chords",
        load_chords,
        "annotations are to be had from Isophonics, RWC and Billboard; the audio is one's own",
        "song.wav beside song.lab (or in a tree beside: Isophonics, RWC, Billboard), or clips in folders named by "
        "their chord: Am/01.wav, Bb_maj/02.wav",
    )
}


def read_chords(path: Path) -> tuple[Chord, ...]:
    """Read the true chords of a piece from a ``.lab`` file, or one for all time from the name of a folder of clips.

    Raises
    ------
    InputError
        If they can't be read.
    """
    if path.is_dir():
        return (Chord(0.0, LONGEST, str(parse_name(path.name))),)
    content = read_bytes(path)
    try:
        return from_lab(content).chords
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
