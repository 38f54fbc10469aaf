"""The task of naming chords."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.engine.task import AnyActivations, Header, Heads, Lazy, Listener, Model, Option, Progress, Source
from transcribe.formats.format import Format, plain
from transcribe.formats.table import FORMATS
from transcribe.report.summary import clock
from transcribe.report.tables import Report, Table
from transcribe.theory.chords import chord_name, names

if TYPE_CHECKING:
    import numpy as np

    from transcribe.audio.reader import MeteredBlocks
    from transcribe.chords.decoder import ChordActivations, ChordDecoder, ChordDecodingConfig
    from transcribe.chords.network import ChordsNetwork
    from transcribe.datasets import Dataset, Piece
    from transcribe.engine.features import FeatureConfig, FrameGrid
    from transcribe.events import Transcription

ChordsModel = Model["ChordDecodingConfig", "FeatureConfig"]

# No more chords than this are named in a summary.
_SHOWN = 16

_FORMATS: Mapping[str, Format] = {
    **{name: FORMATS[name] for name in ("json", "jams", "lab", "chordpro", "leadsheet")},
    "csv": Format("csv", (".csv",), plain("formats.csv.chords_to_csv")),
    "midi": Format("midi", (".mid", ".midi"), plain("formats.midi.block_chords")),
}


class ChordsTask:
    """Chords; see :class:`transcribe.registry.Task`."""

    name = "chords"
    help = "Name the chords of recordings."
    by_default = True
    requires: tuple[str, ...] = ()
    options = (Option("vocabulary", str, "majmin, triads, sevenths or full (sixths and basses too).", default="full"),)
    formats = _FORMATS
    datasets: Lazy[Mapping[str, Dataset]] = Lazy("chords.datasets.DATASETS")
    decoding: Lazy[type[ChordDecodingConfig]] = Lazy("chords.decoder.ChordDecodingConfig")
    features: Lazy[Callable[[Header], FeatureConfig]] = Lazy("engine.weights.log_mel_config")
    evaluation_options: frozenset[str] = frozenset()
    reference_suffixes = (".lab",)
    constants = ("changes",)
    precisions = ("float32", "bfloat16")
    settings_key = "chords"

    def network(self, header: Header) -> ChordsNetwork:
        """Build the network untrained."""
        from transcribe.chords.network import ChordsConfig, ChordsNetwork
        from transcribe.engine.weights import build

        return ChordsNetwork(self.features(header), build(ChordsConfig, header["network"]))

    def follows(self, header: Header) -> tuple[Source, ...]:
        """Say that the network reads notes, where it does; those of any instruments where none are asked for."""
        return (Source("notes", "any"),) if header["network"]["front"] == "notes" else ()

    def inputs(self, header: Header, *heard: AnyActivations) -> np.ndarray:
        """Take the onset and the frame activations of every key."""
        import numpy as np

        (notes,) = heard
        return np.concatenate([notes.onset, notes.frame], axis=1)

    def stride(self, network: ChordsNetwork) -> int:
        """Count the frames of a step of the output."""
        return network.config.stride

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> ChordActivations:
        """Name the network's heads."""
        from transcribe.chords.decoder import ChordActivations

        chord, bass = heads
        return ChordActivations(chord, bass, grid, stride)

    def decoder(self, model: ChordsModel) -> ChordDecoder:
        """Begin a search for chords."""
        from transcribe.chords.decoder import ChordDecoder

        return ChordDecoder(model.constants["changes"], model.decoding)

    def remarks(self, result: Transcription, level: MeteredBlocks) -> Iterator[str]:
        """Warn of a recording without chords."""
        if not level.silent and all(chord.label == "N" for chord in result.chords):
            yield "no chords were heard"

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Name the chords in their order, without the rests between them."""
        if result.chords:
            found = names([chord for chord in result.chords if chord.label != "N"]) or names(result.chords)
            more = f" … ({len(found)} in all)" if len(found) > _SHOWN else ""
            yield "chords", " ".join(found[:_SHOWN]) + more

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out a chart to play from, and a table of times."""
        from transcribe.formats.leadsheet import to_lead_sheet

        yield title
        yield to_lead_sheet(result).decode()
        rows = (
            (clock(c.onset), clock(c.offset), chord_name(c.label), c.label, f"{c.confidence:.0%}")
            for c in result.chords
        )
        yield Table(("from", "to", "chord", "Harte", "confidence"), tuple(rows))

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[ChordActivations],
        *,
        progress: Progress | None = None,
    ) -> Report:
        """Measure chords over songs, or over clips where every label is a folder's name.

        Raises
        ------
        UsageError
            If there are songs and clips.
        """
        from transcribe.chords.metrics import evaluate

        return evaluate(pieces, transcriber, progress)

    def compare(self, reference: Path, estimate: Path) -> Report:
        """Score the chords of a ``.lab`` file against those of another."""
        from transcribe.chords.datasets import read_chords
        from transcribe.chords.metrics import compare

        return compare(read_chords(reference), read_chords(estimate))


CHORDS = ChordsTask()
