"""The task of telling which instruments play, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from transcribe.engine.task import AnyActivations, Header, Heads, Lazy, Listener, Model, Option, Progress, Source
from transcribe.formats.format import Format, plain
from transcribe.formats.table import FORMATS
from transcribe.report.summary import minutes
from transcribe.report.tables import Table

if TYPE_CHECKING:
    import numpy as np

    from transcribe.datasets import Dataset, Piece
    from transcribe.engine.features import FeatureConfig, FrameGrid
    from transcribe.events import Transcription
    from transcribe.instruments.decoder import TagActivations, TagDecoder, TagDecodingConfig
    from transcribe.instruments.metrics import SpanReport, TagReport
    from transcribe.instruments.network import InstrumentsNetwork, JoinedNetwork
    from transcribe.score.analysis import Timing

InstrumentsModel = Model["TagDecodingConfig", "FeatureConfig"]

_FORMATS: Mapping[str, Format] = {
    "json": FORMATS["json"],
    "csv": Format("csv", (".csv",), plain("formats.csv.instruments_to_csv")),
    "lab": Format("lab", (".lab",), plain("formats.lab.instruments_to_lab")),
    "jams": FORMATS["jams"],
}


class InstrumentsTask:
    """Who plays when; see :class:`transcribe.registry.Task`."""

    name = "instruments"
    help = "Tell which instruments play, and when."
    by_default = True
    requires: tuple[str, ...] = ()
    options = (
        Option("vocabulary", str, "instruments or families.", default="instruments"),
        Option("threshold", float, "Report instruments from this probability on.", 0.0, 1.0),
    )
    formats = _FORMATS
    datasets: Lazy[Mapping[str, Dataset]] = Lazy("instruments.datasets.DATASETS")
    decoding: Lazy[type[TagDecodingConfig]] = Lazy("instruments.decoder.TagDecodingConfig")
    features: Lazy[Callable[[Header], FeatureConfig]] = Lazy("engine.weights.log_mel_config")
    evaluation_options: frozenset[str] = frozenset()
    constants: tuple[str, ...] = ()
    precisions = ("float32", "bfloat16")
    settings_key = "instruments"

    def network(self, header: Header) -> InstrumentsNetwork | JoinedNetwork:
        """Build the network untrained."""
        from transcribe.engine.weights import build
        from transcribe.instruments.network import InstrumentsConfig, InstrumentsNetwork, JoinedConfig, JoinedNetwork

        if self.follows(header):
            return JoinedNetwork(build(JoinedConfig, header["network"]))
        return InstrumentsNetwork(self.features(header), build(InstrumentsConfig, header["network"]))

    def follows(self, header: Header) -> tuple[Source, ...]:
        """Say what the network reads: notes of any instruments and what a network of the spectrum hears, or nothing."""
        listener = header.get("network", {}).get("listener")
        return (Source("notes", "any", needs="tells_instruments"), Source(self.name, listener)) if listener else ()

    def inputs(self, header: Header, *heard: AnyActivations) -> np.ndarray:
        """Put together what two networks say of every step, once for each of its frames."""
        from transcribe.instruments.joined import rows

        return rows(*heard)

    def stride(self, network: InstrumentsNetwork | JoinedNetwork) -> int:
        """Count the frames of a step of the output."""
        return network.config.stride

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> TagActivations:
        """Name the network's heads."""
        from transcribe.instruments.decoder import TagActivations

        families, instruments, *playing = heads
        return TagActivations(families, instruments, grid, stride, *playing)

    def decoder(self, model: InstrumentsModel) -> TagDecoder:
        """Begin to collect who plays."""
        from transcribe.instruments.decoder import TagDecoder

        return TagDecoder(model.decoding, tells_pianos=not self.follows(model.header))

    def complete(self, result: Transcription, timing: Timing) -> Transcription:
        """Leave out what is heard beside a piano that plays alone."""
        from transcribe.instruments.decoder import of_a_piano

        return replace(result, instruments=of_a_piano(result.instruments)) if result.piano_alone else result

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Name who plays, the most first."""
        from transcribe.instruments.decoder import who_plays

        if found := who_plays(result):
            yield "instruments", ", ".join(found)

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out a table over all, and one of times."""
        from transcribe.instruments.decoder import UNKNOWN, summed_up

        found = summed_up(result.instruments, result.duration)
        rows = [(label, f"{sure:.0%}", f"{share:.0%} of the time") for label, sure, share in found]
        yield Table(("", "probability", "plays"), tuple(rows or [(UNKNOWN, "", "nothing is sure")]), title)
        if result.instruments:
            spans = ((minutes(t.onset), minutes(t.offset), t.label, f"{t.probability:.0%}") for t in result.instruments)
            yield Table(("from", "to", "", "probability"), tuple(spans))

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[TagActivations],
        *,
        progress: Progress | None = None,
    ) -> TagReport | SpanReport:
        """Hear every clip and compare its likeliest labels with the true ones, or who plays when."""
        from transcribe.instruments.metrics import evaluate_instruments, evaluate_spans

        if all(piece.read is not None for piece in pieces):
            return evaluate_spans(pieces, transcriber, progress)
        return evaluate_instruments(pieces, transcriber, progress)


INSTRUMENTS = InstrumentsTask()
