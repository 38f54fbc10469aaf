"""Music with true beats, and beats from a file.

Truth is read from a result, a MIDI file, lines of a time and a number within the bar, ASAP's annotations (time, time,
``db,4/4,-3`` or ``b``), and A-MAPS' tables (time, ``db`` or ``b``, metre and key signature where they change).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.datasets import Dataset, Piece, recordings
from transcribe.errors import InputError
from transcribe.events import Key, Metre
from transcribe.formats.csv import BEAT_COLUMNS
from transcribe.formats.reading import Numbers, decode, read_bytes, rows
from transcribe.formats.table import read_transcription
from transcribe.score.beats import MAX_GAP, MIN_GAP, Beats, is_grid
from transcribe.theory.keys import key_of
from transcribe.theory.metres import parse_metre

NOTE_SUFFIXES = (".mid", ".midi", ".json", ".csv")
_TRUTH_SUFFIXES = (".beats", ".beats.tsv", ".annotations.tsv", ".tsv")
_ANNOTATIONS = ("_annotations.txt", ".annotations.txt", ".annotations.tsv")
_ALIGNMENTS = (".alignment.tsv", ".notes.tsv")
_SCORE_FILES = ("score.musicxml", "score.musicxml.gz", "score.mxl", "score.xml", "xml_score.musicxml")
_SCORES = ("midi_score", "xml_score", "score")
# A line of A-MAPS or of ASAP says what it is: a beat or a downbeat.
_ANNOTATED = re.compile(r"^[^\t\n]+\t([^\t\n]+\t)?(db|b|bR)\b", re.MULTILINE)
# MAPS' two real pianos; the rest are software.
_REAL_PIANOS = ("ENSTDkAm", "ENSTDkCl")


def load_beats(folder: Path, labels: Path | None = None) -> list[Piece]:
    """Find recordings, and notes, beside a file of beats of their name, or with one in another folder."""
    given = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in NOTE_SUFFIXES and path.is_file()]
    pieces = []
    for path in [*recordings(folder), *given]:
        stem = path.parent if labels is None else labels
        truth = next((found for s in _TRUTH_SUFFIXES if (found := stem / f"{path.stem}{s}").is_file()), None)
        if truth is not None:
            pieces.append(Piece(path.stem, path, truth, ""))
    return pieces


def load_asap(folder: Path, _: Path | None = None) -> list[Piece]:
    """Find ASAP's performances: the split ``notes`` has their MIDI, ``audio`` the recordings that lie beside it."""
    pieces = []
    for suffix in _ANNOTATIONS:
        for path in sorted(folder.rglob(f"*{suffix}")):
            stem = path.name.removesuffix(suffix)
            if stem in _SCORES:
                continue
            name = (path.parent.relative_to(folder) / stem).as_posix()
            midi = path.with_name(f"{stem}.mid")
            if midi.is_file():
                pieces.append(Piece(name, midi, path, "notes"))
            for audio in sorted(AUDIO_SUFFIXES):
                if (recording := path.with_name(f"{stem}{audio}")).is_file():
                    pieces.append(Piece(name, recording, path, "audio"))
                    break
    return sorted(pieces, key=lambda piece: (piece.split, piece.name))


def load_amaps(folder: Path, labels: Path | None = None) -> list[Piece]:
    """Find MAPS' music with A-MAPS' beats; real recordings are the split ``test``, software pianos ``train``."""
    pieces = [piece for piece in load_beats(folder, labels) if piece.name.startswith("MAPS_MUS")]
    return [replace(piece, split="test" if piece.name.endswith(_REAL_PIANOS) else "train") for piece in pieces]


def load_scores(folder: Path, labels: Path | None = None) -> list[Piece]:
    """Find performances with an alignment to a score; ``labels`` is where these are, else they lie beside the MIDI.

    The split ``notes`` has the MIDI, ``audio`` the recordings that lie beside it.
    """
    pieces = []
    for path in sorted((labels or folder).rglob("*.tsv")):
        suffix = next((suffix for suffix in _ALIGNMENTS if path.name.endswith(suffix)), None)
        if suffix is None or not path.stat().st_size:
            continue
        name = (path.parent.relative_to(labels or folder) / path.name.removesuffix(suffix)).as_posix()
        place = folder / (name if labels is None else name.replace("/", "__"))
        for split, suffixes in (("notes", {".mid"}), ("audio", AUDIO_SUFFIXES)):
            heard = next((p for s in sorted(suffixes) if (p := place.with_name(f"{place.name}{s}")).is_file()), None)
            piece = Piece(name, heard or place, path, split)
            if heard is not None and all(file.is_file() for file in score_files(piece)):
                pieces.append(piece)
    return sorted(pieces, key=lambda piece: (piece.split, piece.name))


def score_files(piece: Piece) -> tuple[Path, Path]:
    """Name the files of a piece's beats and of its score, which lie beside its alignment."""
    stem = next(piece.labels.name.removesuffix(s) for s in _ALIGNMENTS if piece.labels.name.endswith(s))
    folder = piece.labels.parent
    beats = [folder / f"{stem}{suffix}" for suffix in _ANNOTATIONS]
    scores = [folder / name for name in _SCORE_FILES]
    return tuple(next((p for p in paths if p.is_file()), paths[0]) for paths in (beats, scores))  # type: ignore[return-value]


DATASETS = {
    "beats": Dataset(
        "beats",
        load_beats,
        "any music with annotated beats will do",
        "song.wav (or notes as song.mid, .json or .csv) beside song.beats, lines of a time and a number within the "
        "bar, or a song.tsv as ASAP or A-MAPS have it, and perhaps song.key",
        other_labels=True,
    ),
    "asap": Dataset(
        "asap",
        load_asap,
        "ASAP is to be had from github.com/fosfrancesco/asap-dataset (CC BY-NC-SA 4.0)",
        "its own tree: Composer/…/NAME.mid beside NAME_annotations.txt, and NAME.wav where it is at hand",
        default_split="notes",
    ),
    "scores": Dataset(
        "scores",
        load_scores,
        "ASAP's scores and alignments are to be had from github.com/CPJKU/asap-dataset (CC BY-NC-SA 4.0)",
        "a folder a piece: score.musicxml (or .xml, .mxl, .gz), and for every performance NAME.mid (or a recording), "
        "NAME.annotations.tsv (or .txt) with the beats, NAME.notes.tsv (or .alignment.tsv) with xml_id, pitch and "
        "onset; or, with --labels for that folder, performances PIECE__NAME.mid elsewhere",
        default_split="notes",
        other_labels=True,
    ),
    "a-maps": Dataset(
        "a-maps",
        load_amaps,
        "A-MAPS' beats are to be had from github.com/cheriell/ACPAS-dataset; the recordings are MAPS'",
        "MAPS_MUS-*.wav|flac|ogg beside .tsv of beats, or --labels for a folder of these",
        default_split="test",
        other_labels=True,
    ),
}


def read_beats(path: Path, even: bool = True) -> Beats:
    """Read beats from a file; see above for its kinds. Lines that begin with ``#`` say nothing.

    ``even``: whether beats have to be such as notes can be put on; annotations of real music may not be.

    Raises
    ------
    InputError
        If there are none to read, or they are not in order, 0.1 to 10 s apart.
    """
    if path.suffix.lower() in (".json", ".mid", ".midi"):
        result = read_transcription(path)
        found = Beats(result.beats, result.downbeats, confidence=1.0, metres=result.metres)
    else:
        found = _of_lines(path, _lines(path))
    if even and not is_grid(found.beats):
        raise InputError(f"{path}: beats are times in order, {MIN_GAP} to {MAX_GAP:.0f} s apart, at least two")
    return found


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read the key signatures that ASAP's and A-MAPS' tables tell; minor keys are named by their relative major.

    Raises
    ------
    InputError
        If it can't be read.
    """
    lines = _lines(path)
    changes = [(time, key_of(int(sharps), minor=False)) for time, *_, sharps in lines if sharps]
    end = lines[-1][0] if lines else 0.0
    return tuple(Key(a, max(a, b), label) for (a, label), (b, _) in pairwise([*changes, (end, "")]))


# Time in seconds, kind (``beat``, ``downbeat`` or, where numbers are counted, the number), metre, sharps.
_Row = tuple[float, str, str, str]


def _of_lines(path: Path, lines: Sequence[_Row]) -> Beats:
    times = [time for time, *_ in lines]
    downbeats = [time for time, kind, *_ in lines if kind == "downbeat"]
    changes = [(time, metre) for time, _, metre, _ in lines if metre]
    metres = []
    for (onset, label), (offset, _) in pairwise([*changes, (times[-1] if times else 0.0, "")]):
        try:
            parse_metre(label)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        metres.append(Metre(onset, max(onset, offset), label))
    return Beats(tuple(times), tuple(downbeats), confidence=1.0, metres=tuple(metres))


def _lines(path: Path) -> list[_Row]:
    """Read the rows of a table of beats; of two at one time the first."""
    content, number = read_bytes(path), Numbers()
    found: dict[float, _Row] = {}
    ordered = True
    try:
        text = decode(content)
        annotated = _ANNOTATED.search(text) is not None
        table = enumerate((line.split("\t") for line in text.splitlines()), 1) if annotated else rows(content)
        for line, words in table:
            if not words[0].strip() or words[0].startswith("#") or words[0].strip() == BEAT_COLUMNS[0]:
                continue
            try:
                row = _row(words, number)
            except ValueError as error:
                raise InputError(f"{path}: line {line} is no time of a beat in seconds: {error}") from None
            ordered = ordered and (not found or row[0] >= next(reversed(found)))
            found.setdefault(row[0], row)
    except ValueError as error:
        raise InputError(f"{path}: no list of beats: {error}") from None
    if not ordered:
        raise InputError(f"{path}: beats are times in order, {MIN_GAP} to {MAX_GAP:.0f} s apart, at least two")
    return list(found.values())


def _row(words: Sequence[str], number: Numbers) -> _Row:
    """Read the cells of a line: of A-MAPS, of ASAP, or a time and perhaps its place in the bar."""
    cells = [cell.strip() for cell in words]
    kind, metre, sharps = "b", "", ""
    if len(cells) > 1 and cells[1] in ("db", "b"):
        kind, metre, sharps = cells[1], *[*cells[2:4], "", ""][:2]
    elif len(cells) > 2 and cells[2].split(",")[0] in ("db", "b", "bR"):
        kind, metre, sharps = [*cells[2].split(","), "", ""][:3]
    elif len(cells) > 1 and number(cells[-1]) == 1:
        kind = "db"
    time = number(cells[0])
    if time < 0:
        raise ValueError(f"{cells[0]!r} lies before the start")
    return time, "downbeat" if kind == "db" else "beat", metre, sharps
