"""Where the public data sets keep their recordings, labels and splits.

Every loader turns a folder into :class:`Piece` records; labels are read by :func:`read_labels`. ``maestro`` is
MAESTRO v3's own folder, ``maps`` MAPS' own tree or a flat folder of its recordings, ``pairs`` any folder in which
a recording and its labels share a name.
"""

from __future__ import annotations

import bisect
import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from transcribe.audio import AUDIO_SUFFIXES
from transcribe.errors import InputError, UsageError
from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.formats import chart
from transcribe.formats.reading import Numbers, read_bytes, rows
from transcribe.formats.table import FORMATS, checked, read_transcription
from transcribe.theory.chords import parse_name

LABEL_SUFFIXES = (".mid", ".midi", ".tsv", ".txt")


@dataclass(frozen=True)
class Piece:
    """A recording and its labels; ``split`` is ``train``, ``validation`` or ``test``."""

    name: str
    audio: Path
    labels: Path
    split: str


@dataclass(frozen=True)
class Dataset:
    """A data set: how its folder is read, where it is to be had, and what the folder must look like.

    ``default_split`` is what is evaluated unless told otherwise; None where the set has no splits.
    """

    name: str
    load: Callable[[Path], list[Piece]]
    source: str
    layout: str
    default_split: str | None = "test"


def _load_maestro(folder: Path) -> list[Piece]:
    tables = sorted(folder.glob("maestro-v*.csv")) + sorted(folder.glob("maestro-v*.json"))
    if not tables:
        raise InputError(f"{folder}: there is no maestro-v*.csv or .json; give MAESTRO's own folder")
    rows = _read_table(tables[0])
    try:
        return [
            Piece(
                Path(row["audio_filename"]).stem,
                folder / row["audio_filename"],
                folder / row["midi_filename"],
                str(row["split"]),
            )
            for row in rows
        ]
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{tables[0]}: damaged: it has no columns audio_filename, midi_filename and split; unpack it again"
        ) from None


def _read_table(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        columns = json.loads(text)
        return [{key: columns[key][row] for key in columns} for row in columns["audio_filename"]]
    except (OSError, ValueError, LookupError, TypeError, csv.Error, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}; unpack it again") from None


def _load_maps(folder: Path) -> list[Piece]:
    # The field's split (Hawthorne et al., 2018): the real recordings are the test set, and no composition of theirs
    # is trained on. Of the software pianos one is kept for validation, with its compositions.
    pieces = [piece for piece in _load_pairs(folder) if piece.name.startswith("MAPS_MUS")]
    found: list[Piece] = []
    for split, pianos in (("test", ("ENSTDkAm", "ENSTDkCl")), ("validation", ("AkPnBsdf",)), ("train", ())):
        taken = {_maps_composition(piece.name) for piece in found}
        ours = [p for p in pieces if p.name.endswith(pianos or "") and _maps_composition(p.name) not in taken]
        found += [replace(piece, split=split) for piece in ours]
    return sorted(found, key=lambda piece: piece.name)


def _maps_composition(name: str) -> str:
    """``MAPS_MUS-alb_se3_AkPnBcht`` is ``alb_se3`` on the piano ``AkPnBcht``."""
    return name.removeprefix("MAPS_MUS-").rpartition("_")[0]


def _recordings(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())


def _load_pairs(folder: Path) -> list[Piece]:
    pieces = []
    for audio in _recordings(folder):
        labels = [audio.with_suffix(suffix) for suffix in LABEL_SUFFIXES]
        found = next((path for path in labels if path.is_file()), None)
        if found is not None:
            pieces.append(Piece(audio.stem, audio, found, "test"))
    return pieces


def _load_beats(folder: Path) -> list[Piece]:
    audio = _recordings(folder)
    return [Piece(p.stem, p, p.with_suffix(".beats"), "test") for p in audio if p.with_suffix(".beats").is_file()]


def _load_chords(folder: Path) -> list[Piece]:
    # Labels beside the recording; else those of its name in another tree (Isophonics' chordlab, RWC), or Billboard's,
    # whose full.lab lies in a folder of the recording's name; else the folder is the label of its clips.
    labs: dict[str, list[Path]] = {}
    for lab in sorted(folder.rglob("*.lab")):
        labs.setdefault(lab.parent.name if lab.stem == "full" else lab.stem, []).append(lab)
    pieces = []
    for audio in _recordings(folder):
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
    "maestro": Dataset(
        "maestro",
        _load_maestro,
        "MAESTRO v3 is to be had at magenta.withgoogle.com/datasets/maestro (CC BY-NC-SA 4.0)",
        "maestro-v3.0.0.csv beside the folders 2004 … 2018",
    ),
    "maps": Dataset(
        "maps",
        _load_maps,
        "MAPS is to be had from its authors at Télécom Paris (CC BY-NC-SA)",
        "its own tree, or MAPS_MUS-*.wav|flac|ogg beside .mid, .tsv or .txt",
    ),
    "pairs": Dataset(
        "pairs",
        _load_pairs,
        "any recordings with labels will do",
        "song.wav beside song.mid, song.tsv or song.txt, in any folders",
        default_split=None,
    ),
    "beats": Dataset(
        "beats",
        _load_beats,
        "any recordings with annotated beats will do",
        "song.wav beside song.beats (lines of a time and a number within the bar) and perhaps song.key",
        default_split=None,
    ),
    "chords": Dataset(
        "chords",
        _load_chords,
        "annotations are to be had from Isophonics, RWC and Billboard; the audio is one's own",
        "song.wav beside song.lab (or in a tree beside: Isophonics, RWC, Billboard), or clips in folders named by "
        "their chord: Am/01.wav, Bb_maj/02.wav",
        default_split=None,
    ),
}


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


def load_dataset(name: str, folder: Path | None = None, split: str | None = None) -> list[Piece]:
    """List the pieces of a data set.

    Parameters
    ----------
    name
        One of ``DATASETS``.
    folder
        Where it lies; else the folder of that name in ``$PITCHAI_DATA``.
    split
        Keep these pieces only; the set's default where None, everything with ``all``.

    Raises
    ------
    UsageError
        If the name is unknown or nothing says where the data are.
    InputError
        If the folder is missing or holds nothing of the kind.
    """
    if name not in DATASETS:
        raise UsageError(f"there is no data set {name!r}; choose one of {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    folder = folder_of(name, folder, f"{dataset.source}; its folder: {dataset.layout}")
    pieces = dataset.load(folder)
    wanted = split or dataset.default_split
    if wanted not in (None, "all"):
        kept = [piece for piece in pieces if piece.split == wanted]
        if pieces and not kept:
            splits = ", ".join(sorted({piece.split for piece in pieces}))
            raise InputError(f"{folder}: nothing in the split {wanted!r}; it has {splits}")
        pieces = kept
    if not pieces:
        raise InputError(f"{folder}: no recordings with labels in it; it should look like: {dataset.layout}")
    return pieces


def with_labels_from(pieces: list[Piece], folder: Path) -> list[Piece]:
    """Take the labels of each piece from another folder, where they have the same name.

    Pieces without a file there are left out.

    Raises
    ------
    InputError
        If there are labels for none of them.
    """
    found = []
    for piece in pieces:
        candidates = [folder / f"{piece.name}{suffix}" for suffix in LABEL_SUFFIXES]
        labels = next((path for path in candidates if os.path.isfile(path)), None)
        if labels is not None:
            found.append(replace(piece, labels=labels))
    if not found:
        raise InputError(f"{folder}: no labels for any of the {len(pieces)} pieces, such as {pieces[0].name}.txt")
    return found


def read_labels(path: Path) -> Transcription:
    """Read the true notes of a piece from MIDI, our own JSON or CSV, or a table of numbers.

    A table (``.tsv``, ``.txt``) has onset s, offset s, pitch and perhaps velocity in its columns; lines that begin
    with ``#`` or ``Onset`` are headings. Velocity is 0 where the labels don't tell it.

    Raises
    ------
    InputError
        If it can't be read.
    """
    if path.suffix.lower() in {suffix for form in FORMATS.values() if form.read for suffix in form.suffixes}:
        return read_transcription(path)
    notes, number = [], Numbers()
    content = read_bytes(path)
    try:
        for _, words in rows(content):
            if words[0].lower().startswith("onset"):
                continue
            onset, offset, pitch, *rest = map(number, words)
            if rest and not rest[0].is_integer():
                raise ValueError(f"the velocity {words[3]} is no whole number from 0 to 127")
            notes.append(Note(onset, round(pitch), offset, int(rest[0]) if rest else 0))
        duration = max((note.offset for note in notes), default=0.0)
        return checked(Transcription(notes=tuple(sorted(notes)), duration=duration))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a table of onset, offset, pitch, velocity: {error}") from None


def read_chords(path: Path) -> tuple[Chord, ...]:
    """Read the true chords of a piece from a ``.lab`` file, or one for all time from the name of a folder of clips.

    Raises
    ------
    InputError
        If they can't be read.
    """
    if path.is_dir():
        return (Chord(0.0, chart.LONGEST, str(parse_name(path.name))),)
    content = read_bytes(path)
    try:
        return chart.from_lab(content).chords
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def extend_by_pedal(notes: tuple[Note, ...], pedals: tuple[Pedal, ...]) -> tuple[Note, ...]:
    """Let notes sound while the pedal is down, at most to the next onset of their pitch.

    The convention of MAESTRO's published figures and of MAPS': an offset is when the sound stops.
    """
    following: dict[int, float] = {}
    extended = []
    spans = sorted(pedals)
    onsets = [pedal.onset for pedal in spans]
    for note in sorted(notes, reverse=True):
        last = bisect.bisect_right(onsets, note.offset) - 1
        held = spans[last].offset if last >= 0 else note.offset
        offset = min(max(note.offset, held), following.get(note.pitch, float("inf")))
        following[note.pitch] = note.onset
        extended.append(Note(note.onset, note.pitch, max(offset, note.onset + 1e-3), note.velocity, note.confidence))
    return tuple(sorted(extended))
