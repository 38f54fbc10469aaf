"""Who plays when, and the genre, as people and programs read it: .lab, CSV. Writers return bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from transcribe.events import Tag, Transcription

CSV_COLUMNS = ("onset", "offset", "label", "probability")


def to_lab(transcription: Transcription) -> bytes:
    """One line a span: onset s, offset s and label, tabs between them; spans may overlap."""
    lines = [f"{tag.onset:.4f}\t{tag.offset:.4f}\t{tag.label}\n" for tag in transcription.instruments]
    return "".join(lines).encode()


def to_csv(transcription: Transcription) -> bytes:
    """One line a span in which an instrument plays: onset s, offset s, label, probability."""
    return _table(transcription.instruments)


def genres_to_csv(transcription: Transcription) -> bytes:
    """One line a genre, the likeliest first: onset s, offset s, label, probability."""
    return _table(transcription.genres)


def _table(tags: Iterable[Tag]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for tag in tags:
        writer.writerow([f"{tag.onset:.4f}", f"{tag.offset:.4f}", tag.label, f"{tag.probability:.3f}"])
    return text.getvalue().encode()
