"""How soon the list "worth a look" comes to what is wrong.

    python -m tests.benchmark.doubts RESULTS LABELS [CORRECTED]

RESULTS is a folder of results as JSON (`pitchai FOLDER/*.ogg -o RESULTS -f json --model medium`), LABELS the data set
(maps-real-dev, omaps-dev), CORRECTED a folder of mended labels (maps-real-dev/corrected). Printed is the share of all
wrong notes (onset within 50 ms) among the first tenth and fifth of each piece's notes in the order of their doubt,
pooled and as a mean over pieces; beside it that order by the confidence alone; and how many of the notes that are said
to be missing are.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from transcribe.beats.analysis import analysed
from transcribe.events import Note
from transcribe.formats.table import read_transcription
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.score.doubts import doubts_of, doubts_of_notes, missing_in


def truth_of(name: str, labels: Path, corrected: Path | None) -> tuple[Note, ...]:
    """Read the true notes: the mended ones where they are there."""
    path = None if corrected is None else corrected / f"{name}.txt"
    if path is None or not path.is_file():
        return read_labels(labels / f"{name}.tsv").notes
    rows = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    return tuple(sorted(Note(float(a), int(float(p)), max(float(b), float(a) + 0.01), 80) for a, b, p in rows))


def main() -> None:
    """Print the table."""
    results, labels = Path(sys.argv[1]), Path(sys.argv[2])
    corrected = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    shares: dict[str, list[tuple[int, int]]] = {}
    listed = missing = really = missed = 0
    paths = sorted(results.glob("*.json"))
    for path in paths:
        song = read_transcription(path)
        truth = truth_of(path.stem, labels, corrected)
        pairs = match_notes(truth, song.notes)
        wrong = np.ones(len(song.notes), bool)
        wrong[[estimate for _, estimate in pairs]] = False
        lost = [note for k, note in enumerate(truth) if k not in {reference for reference, _ in pairs}]
        missed += len(lost)
        orders = {
            "doubt": [-one.doubt for one in doubts_of_notes(song.notes)],
            "confidence": [note.confidence for note in song.notes],
        }
        for name, values in orders.items():
            order = np.argsort(values, kind="stable")
            for share in (0.1, 0.2):
                among = int(wrong[order[: max(1, round(share * len(order)))]].sum())
                shares.setdefault(f"{name}, first {share:.0%}", []).append((among, int(wrong.sum())))
        song = analysed(replace(song, beats=()))
        found = missing_in(song)
        listed += len(doubts_of(song))
        missing += len(found)
        really += sum(any(n.pitch == one.pitch and abs(n.onset - one.onset) < 0.1 for n in lost) for one in found)
    for name, own in shares.items():
        pooled = sum(a for a, _ in own) / max(1, sum(b for _, b in own))
        mean = np.mean([a / b for a, b in own if b])
        print(f"{name}: {pooled:.3f} of {sum(b for _, b in own)} wrong notes; mean over {len(paths)} pieces {mean:.3f}")
    print(f"said to be missing: {missing}, of which {really} were missed; missed in all: {missed}; listed: {listed}")


if __name__ == "__main__":
    main()
