"""Where the public sets of genres keep their recordings, labels and splits: GTZAN and FMA."""

from __future__ import annotations

import csv
from pathlib import Path

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.datasets import Dataset, Piece
from transcribe.errors import InputError

_FILTERED = {"train": "train_filtered.txt", "validation": "valid_filtered.txt", "test": "test_filtered.txt"}
_FMA_SPLITS = {"training": "train", "validation": "validation", "test": "test"}


def load_gtzan(folder: Path, lists: Path | None = None) -> list[Piece]:
    """Read ``blues/blues.00000.wav`` …, in ``genres``, ``genres_original`` or the folder itself.

    The artist-filtered lists (``train_filtered.txt``, ``valid_filtered.txt``, ``test_filtered.txt``, with lines such as
    ``blues/blues.00029.wav``) are taken from ``lists``, else from the folder; without them clips have no split. The
    lists decide alone: what stands in none is left out.

    Raises
    ------
    InputError
        If ``lists`` holds none, or one of them is missing.
    """
    splits = read_lists(lists or folder)
    if lists is not None and not splits:
        raise InputError(f"{lists}: the lists {', '.join(_FILTERED.values())} are not there")
    found = []
    for audio in sorted(gtzan_root(folder).glob("*/*")):
        if audio.suffix.lower() in AUDIO_SUFFIXES and audio.is_file():
            split = splits.get(audio.stem, "") if splits else ""
            if split or not splits:
                found.append(Piece(audio.stem, audio, audio.parent, split, (audio.parent.name,)))
    return found


def gtzan_root(folder: Path) -> Path:
    """Find the folder of the genres' folders."""
    return next((path for name in ("genres_original", "genres") if (path := folder / name).is_dir()), folder)


def read_lists(folder: Path) -> dict[str, str]:
    """Read the artist-filtered lists: a file's stem -> its split; nothing where there are none.

    Raises
    ------
    InputError
        If one is missing while another is there, or a list is no text.
    """
    if not any((folder / name).is_file() for name in _FILTERED.values()):
        return {}
    found = {}
    for split, name in _FILTERED.items():
        try:
            lines = (folder / name).read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise InputError(f"{folder / name}: can't be read: {' '.join(str(error).split())[:120]}") from None
        found.update({Path(line).stem: split for line in lines})
    return found


def load_fma(folder: Path, lists: Path | None = None) -> list[Piece]:
    """Read ``tracks.csv`` (in the folder, its ``fma_metadata``, or ``lists``) and the tree of mp3 beside it.

    Only tracks whose recording is there and whose top genre is known are taken, with the official splits.

    Raises
    ------
    InputError
        If ``tracks.csv`` is missing or something else.
    """
    homes = [lists] if lists is not None else [folder, folder / "fma_metadata", folder.parent / "fma_metadata"]
    table = next((home / "tracks.csv" for home in homes if (home / "tracks.csv").is_file()), None)
    if table is None:
        raise InputError(f"{folder}: tracks.csv is missing; FMA is tracks.csv beside a tree 000/000002.mp3")
    # A track's recording is named by its number, six digits, whatever the tree above it is called.
    recordings = {path.stem: path for path in folder.rglob("*.mp3")}
    found = []
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            columns = list(zip(next(rows), next(rows), strict=True))
            split, genre = columns.index(("set", "split")), columns.index(("track", "genre_top"))
            for row in rows:
                audio = recordings.get(row[0].zfill(6)) if row and row[0].isdigit() else None
                if audio is not None and row[genre]:
                    found.append(Piece(audio.stem, audio, table, _FMA_SPLITS[row[split]], (row[genre],)))
    except (OSError, ValueError, KeyError, IndexError, StopIteration, csv.Error) as error:
        raise InputError(f"{table}: not FMA's tracks.csv: {' '.join(repr(error).split())[:120]}") from None
    return sorted(found, key=lambda clip: clip.audio.stem)


_DATASETS = (
    Dataset(
        "gtzan",
        load_gtzan,
        "",
        "folders blues, classical … of recordings, and the lists *_filtered.txt for a split",
        "test",
        other_labels=True,
    ),
    Dataset("fma", load_fma, "", "tracks.csv and a tree of mp3", "test", other_labels=True),
)
DATASETS = {dataset.name: dataset for dataset in _DATASETS}
