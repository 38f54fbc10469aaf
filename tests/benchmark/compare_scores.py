"""Compare our scores with MuseScore's import of the same MIDI, by OMR-NED against the true scores.

    python tests/benchmark/compare_scores.py --data nasap-score-truth --seconds 60

needs ``pip install musicdiff`` and a MuseScore (``mscore3``, or ``--musescore``). OMR-NED (Martinez-Sevilla et al.
2025) is the share of what is written that has to be edited: 0 is the true score. Every performance is taken as far as
its first ``--seconds`` have whole bars, or until a repeat begins, and so is its score; notes, rests, beams, ties,
ornaments, articulation, signatures and bar lines are compared. ``true``: the true beats are given, to MuseScore as the
tempo map of a MIDI file; ``found``: we find them, and MuseScore reads the performance without any. Both are what they
write without options. A minute of music takes two minutes of a core and more.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from rich.console import Console
from rich.table import Table

from transcribe.beats.analysis import analysed
from transcribe.beats.datasets import read_beats, score_files
from transcribe.beats.score_metrics import AlignedNote, passable, read_alignment
from transcribe.datasets import Piece
from transcribe.events import Transcription
from transcribe.formats.midi import to_midi
from transcribe.formats.musicxml import to_musicxml
from transcribe.formats.musicxml_reader import read_score_notes, unpacked
from transcribe.formats.table import read_transcription
from transcribe.registry import load_dataset
from transcribe.score.analysis import Timing

COLUMNS = ("ours, true", "MuseScore, true", "ours, found", "MuseScore, found")


def whole_bars(aligned: Sequence[AlignedNote], bars: dict[str, int], seconds: float) -> tuple[int, float]:
    """Tell which is the first bar that isn't played as a whole within the time, and when it begins."""
    again = min((note.onset for note in aligned if note.time > 1), default=np.inf)
    end = min(seconds, again, max(note.onset for note in aligned) + 1)
    played = [note for note in aligned if note.onset < end and note.name in bars]
    last = max(bars[note.name] for note in played)
    return last, min(note.onset for note in played if bars[note.name] == last)


def cut(transcription: Transcription, end: float) -> Transcription:
    """Keep what begins before a time."""
    notes = tuple(note for note in transcription.notes if note.onset < end - 0.03)
    pedals = tuple(pedal for pedal in transcription.pedals if pedal.onset < end)
    plain = replace(transcription, notes=notes, pedals=pedals, duration=end, beats=(), downbeats=(), metres=())
    return replace(plain, beat_confidences=(), tempo=None, key=None, keys=())


def first_bars(content: bytes, n_bars: int) -> bytes:
    """Keep the first bars of a score."""
    root = ElementTree.fromstring(unpacked(content))
    for part in root.iter("part"):
        for bar in list(part)[n_bars:]:
            part.remove(bar)
    return ElementTree.tostring(root)


def omr_ned(estimate: bytes, reference: bytes) -> float:
    """Compare two scores in MusicXML."""
    import converter21
    import music21
    from musicdiff.annotation import AnnScore
    from musicdiff.comparison import Comparison
    from musicdiff.detaillevel import DetailLevel
    from musicdiff.visualization import Visualization

    converter21.register()
    detail = DetailLevel.DecoratedNotesAndRests & ~DetailLevel.Slurs | DetailLevel.Signatures | DetailLevel.Barlines
    annotated = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in (estimate, reference):
            score = music21.converter.parseData(content, format="musicxml")
            annotated.append(AnnScore(score, detail))
    _, cost = Comparison.annotated_scores_diff(*annotated)
    return float(Visualization.get_omr_ned(cost, annotated[0].notation_size(), annotated[1].notation_size()))


def imported(midi: bytes, musescore: str) -> bytes:
    """Let MuseScore import a MIDI file; in MusicXML."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "piece.mid", Path(folder) / "piece.musicxml"
        source.write_bytes(midi)
        hidden = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        subprocess.run([musescore, "-o", target, source], check=True, env=hidden, capture_output=True)
        return target.read_bytes()


def figures(piece: Piece, seconds: float, musescore: str) -> list[float]:
    """Give OMR-NED of a performance, for every column."""
    beats_file, score_file = score_files(piece)
    bars = {note.id: note.bar for note in read_score_notes(score_file)}
    last, end = whole_bars(read_alignment(piece.labels), bars, seconds)
    truth = first_bars(score_file.read_bytes(), last)
    played = cut(read_transcription(piece.audio), end)
    beats = passable(read_beats(beats_file, even=False))
    given = sum(beat < end + 0.05 for beat in beats.beats)
    known = replace(beats, beats=beats.beats[:given], downbeats=tuple(b for b in beats.downbeats if b < end + 0.05))
    true, found = analysed(played, Timing(beats=known)), analysed(played)
    scores = [
        to_musicxml(true),
        imported(to_midi(true, two_hands=False), musescore),
        to_musicxml(found),
        imported(to_midi(played, two_hands=False), musescore),
    ]
    return [omr_ned(score, truth) for score in scores]


def main() -> None:
    """Compare and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="as of pitchai eval --dataset scores")
    parser.add_argument("--labels", type=Path, help="folder of scores, where they don't lie beside the performances")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--musescore", default="mscore3")
    parser.add_argument("--first", action="store_true", help="one performance of every piece")
    options = parser.parse_args()
    rows: dict[str, list[float]] = {}
    for piece in load_dataset("scores", options.data, labels=options.labels, split="notes"):
        title = piece.name.rpartition("/")[0]
        if options.first and any(name.rpartition("/")[0] == title for name in rows):
            continue
        rows[piece.name] = figures(piece, options.seconds, options.musescore)
        print(piece.name, *(f"{value:.3f}" for value in rows[piece.name]), file=sys.stderr, flush=True)
    table = Table("performance", *COLUMNS)
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.3f}" for value in values))
    table.add_row("mean", *(f"{value:.3f}" for value in np.mean(list(rows.values()), axis=0)))
    Console().print(table)


if __name__ == "__main__":
    main()
