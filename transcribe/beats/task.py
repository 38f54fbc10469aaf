"""The task of finding beats, bars and keys: they follow from the notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.engine.task import Lazy, Listener, Option, Progress
from transcribe.errors import InputError
from transcribe.events import GUESSED_BELOW
from transcribe.formats.format import Format, plain
from transcribe.formats.table import FORMATS
from transcribe.report.summary import clock
from transcribe.report.tables import Report, Table
from transcribe.score.numbering import numbered

if TYPE_CHECKING:
    from transcribe.datasets import Dataset, Piece
    from transcribe.events import Transcription
    from transcribe.score.analysis import Timing

# No more keys and no more metres than this are named in a summary.
_SHOWN = 4
_FORMATS: Mapping[str, Format] = {
    "beats": Format("beats", (".beats", ".txt"), plain("formats.beats.to_beats")),
    "json": FORMATS["json"],
    "csv": Format("csv", (".csv",), plain("formats.csv.beats_to_csv")),
    "midi": FORMATS["midi"],
    "jams": FORMATS["jams"],
}


class BeatsTask:
    """Beats, downbeats, tempo, metres and keys, which are found in notes; see ``transcribe.registry``."""

    name = "beats"
    help = "Find the beats, the bars and the key."
    by_default = False
    requires = ("notes",)
    options: tuple[Option, ...] = ()
    formats = _FORMATS
    datasets: Lazy[Mapping[str, Dataset]] = Lazy("beats.datasets.DATASETS")
    evaluation_options: frozenset[str] = frozenset()
    reads = frozenset({".mid", ".midi", ".json", ".csv"})

    def complete(self, result: Transcription, timing: Timing) -> Transcription:
        """Find the beats and the keys of the notes."""
        from transcribe.beats.analysis import analysed

        return analysed(result, timing)

    def read(self, path: Path, timing: Timing) -> Transcription:
        """Find the beats and the keys of the notes that a file holds, whatever beats it tells.

        Raises
        ------
        InputError
            If it can't be read or holds no notes.
        """
        from transcribe.beats.analysis import analysed
        from transcribe.formats.table import read_transcription

        given = read_transcription(path)
        if not given.notes and not given.drums:
            raise InputError(f"{path}: it holds no notes and no drums whose beats could be found")
        return analysed(replace(given, beats=(), downbeats=(), beat_confidences=(), metres=(), tempo=None), timing)

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Say what the tempo and the key are."""
        if result.tempo is not None:
            metres = [metre.label for metre in result.metres]
            signed = f", {', then '.join(metres[:_SHOWN])}{' …' if len(metres) > _SHOWN else ''}" if metres else ""
            yield "tempo", f"{result.tempo:.0f} beats a minute{signed}{_doubt(result)}"
        if result.key is not None:
            sections = [section.label for section in result.keys]
            yield "key", f"{', then '.join(sections if 1 < len(sections) <= _SHOWN else [result.key])}{_guess(result)}"

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out tempo, metre and key, and a table of bars; of beats where no bars are clear."""
        from transcribe.score.analysis import metre

        length = metre(result.beats, result.downbeats)
        about = [("beats", str(len(result.beats)))]
        if result.tempo is not None:
            confidence = "known" if result.beat_confidence == 1 else f"{result.beat_confidence or 0:.0%}"
            about.append(("tempo", f"{result.tempo:.1f} beats a minute"))
            metres = ", then ".join(metre.label for metre in result.metres[:_SHOWN])
            counted = [metres, f"{length} beats a bar"] if length else ["unclear"]
            about.append(("metre", ": ".join(filter(None, counted))))
            about.append(("confidence", confidence))
        about += [("key", f"{key.label}, {clock(key.onset)} – {clock(key.offset)}") for key in result.keys]
        yield Table((), tuple(about), title)
        if result.beats:
            rows = tuple(_bars(result, by_bar=length > 0))
            yield Table(("bar" if length else "beat", "from", "beats a minute"), rows)

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[object],
        *,
        progress: Progress | None = None,
    ) -> Report:
        """Hear every recording and compare beats and keys with the true ones, or what is written with the score."""
        from transcribe.beats.metrics import evaluate_beats
        from transcribe.beats.score_metrics import evaluate_scores

        return (evaluate_scores if dataset == "scores" else evaluate_beats)(pieces, transcriber, progress)


def _bars(result: Transcription, by_bar: bool) -> Iterator[tuple[str, str, str]]:
    """Yield number, begin and tempo of every bar, or of every beat."""
    beats = list(numbered(result))
    starts = [
        (bar if by_bar else i, time, i) for i, (time, bar, beat) in enumerate(beats, 1) if beat == 1 or not by_bar
    ]
    for (name, time, i), (_, after, j) in pairwise([*starts, (0, beats[-1][0], len(beats))]):
        yield str(name), clock(time), f"{60 * (j - i) / (after - time):.1f}" if after > time else ""


BEATS = BeatsTask()


def _doubt(result: Transcription) -> str:
    """Say how far the beats are to be trusted; nothing of those that stand in a file."""
    confidence = result.beat_confidence or 0.0
    if confidence < GUESSED_BELOW:
        return _guess(result)
    return ", known" if confidence == 1 and result.models else ""


def _guess(result: Transcription) -> str:
    """Say that it is a guess, where a network heard the notes: what stands in a file is none."""
    return " (a guess)" if result.models else ""
