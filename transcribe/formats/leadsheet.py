"""Chords to play from: a lead sheet's line, ChordPro."""

from __future__ import annotations

from transcribe.events import Transcription
from transcribe.theory.chords import names, parse

_CELLS = 4  # chords a line where there are no bars


def to_lead_sheet(transcription: Transcription) -> bytes:
    """Lines such as ``| C | Am | F | G |``: a chord a cell, in the order in which they are played."""
    found = names(transcription.chords)
    rows = [found[i : i + _CELLS] for i in range(0, len(found), _CELLS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows).encode()


def to_chordpro(transcription: Transcription) -> bytes:
    """ChordPro: the chords in brackets, four a line, each line with its time as a comment."""
    lines = []
    chords = [c for i, c in enumerate(transcription.chords) if i == 0 or c.label != transcription.chords[i - 1].label]
    for i in range(0, len(chords), _CELLS):
        row = chords[i : i + _CELLS]
        lines.append(f"{{comment: {int(row[0].onset) // 60}:{int(row[0].onset) % 60:02d}}}")
        lines.append("  ".join(f"[{parse(chord.label).name}]" for chord in row))
    return ("\n".join(lines) + "\n" if lines else "").encode()
