"""The task of telling a recording's genre, from excerpts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from transcribe.engine.task import Fields, Header, Lazy, Listener, Model, Option, Progress
from transcribe.formats.format import Format, plain
from transcribe.formats.table import FORMATS
from transcribe.report.tables import Table

if TYPE_CHECKING:
    import numpy as np

    from transcribe.audio.reader import MeteredBlocks
    from transcribe.datasets import Dataset, Piece
    from transcribe.events import Transcription
    from transcribe.genre.decoder import GenreDecodingConfig
    from transcribe.genre.features import Front
    from transcribe.genre.metrics import GenreReport
    from transcribe.genre.network import GenreNetwork

GenreModel = Model["GenreDecodingConfig", "Front"]

# Shorter excerpts tell nothing of a genre, in seconds.
_SHORTEST = 1.0


_FORMATS: Mapping[str, Format] = {
    "json": FORMATS["json"],
    "csv": Format("csv", (".csv",), plain("formats.csv.genres_to_csv")),
}


class GenreTask:
    """The genre; see :class:`transcribe.registry.Task`."""

    name = "genre"
    help = "Guess the genre. Few recordings are of one genre alone; it says how sure it is."
    by_default = False
    requires: tuple[str, ...] = ()
    options = (Option("threshold", float, "Below this probability the genre is called unsure.", 0.0, 1.0),)
    formats = _FORMATS
    datasets: Lazy[Mapping[str, Dataset]] = Lazy("genre.datasets.DATASETS")
    decoding: Lazy[type[GenreDecodingConfig]] = Lazy("genre.decoder.GenreDecodingConfig")
    evaluation_options: frozenset[str] = frozenset()
    constants: tuple[str, ...] = ()
    # A table's figures span too many orders of magnitude for less.
    precisions = ("float32",)
    settings_key = "genre"

    def features(self, header: Header) -> Front:
        """Choose the front end.

        Raises
        ------
        UsageError
            If librosa isn't installed and the front end needs it.
        """
        from transcribe.genre.features import FRONTS, import_librosa

        front = header["network"]["front"]
        if front != "mel":
            import_librosa()
        return FRONTS[front]

    def network(self, header: Header) -> GenreNetwork:
        """Build the network untrained."""
        from transcribe.engine.weights import build
        from transcribe.genre.network import GenreConfig, GenreNetwork

        return GenreNetwork(build(GenreConfig, header["network"]))

    def logits(self, model: GenreModel, excerpt: np.ndarray, threads: int | None = None) -> np.ndarray:
        """Run the network over an excerpt, samples at the front end's rate: logits (n_labels,)."""
        import numpy as np
        import torch

        from transcribe.engine.devices import device_of, set_torch_threads

        set_torch_threads(threads)
        features = torch.from_numpy(model.features.compute(excerpt).astype(np.float32))
        with torch.inference_mode():
            found = model.network(features[None].to(device_of(model.network)))[0]
        return np.asarray(found.float().cpu().numpy())

    def listen(
        self,
        model: GenreModel,
        blocks: MeteredBlocks,
        duration: float | None,
        progress: Progress | None,
        threads: int | None,
    ) -> Fields:
        """Hear excerpts of a recording: genres, the likeliest first."""
        from transcribe.audio.reader import SILENCE
        from transcribe.genre.decoder import probabilities, ranked
        from transcribe.genre.features import excerpts, starts

        front, decoding = model.features, model.decoding
        first = [round(start * front.sample_rate) for start in starts(duration, front.seconds, decoding.n_excerpts)]
        length = round(front.seconds * front.sample_rate)
        logits = []
        for number, excerpt in enumerate(excerpts(blocks, first, length), 1):
            if len(excerpt) >= _SHORTEST * front.sample_rate and abs(excerpt).max() >= SILENCE:
                logits.append(self.logits(model, excerpt, threads))
            if progress is not None:
                progress(number / len(first) * (duration or 0.0), duration)
        seconds = blocks.n_samples / front.sample_rate
        warnings = tuple(self._warnings(model, seconds, bool(logits)))
        if not logits:
            return {"warnings": warnings}
        shares = probabilities(logits, decoding.temperature)
        return {"genres": ranked(self.labels(model), shares, seconds), "warnings": warnings}

    def labels(self, model: GenreModel) -> tuple[str, ...]:
        """Name the genres that a model knows."""
        return tuple(model.header["network"]["labels"])

    def _warnings(self, model: GenreModel, seconds: float, heard: bool) -> Iterator[str]:
        wanted = model.features.seconds
        if not heard:
            yield "too little sounds to tell a genre"
        elif seconds < wanted:
            yield f"{seconds:.1f} s are less than the {wanted:.0f} s that {model.name} was trained on"

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Name the genre, or what it may be."""
        from transcribe.genre.decoder import verdict

        if result.genres:
            yield "genre", verdict(result.genres, result.settings)

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out the likeliest genres, and whether one is sure."""
        from transcribe.genre.decoder import SHOWN, verdict

        rows = [(tag.label, f"{tag.probability:.0%}") for tag in result.genres[:SHOWN]]
        yield Table(("", "probability"), tuple(rows or [("unknown", "")]), title)
        yield verdict(result.genres, result.settings)

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[object],
        *,
        progress: Progress | None = None,
    ) -> GenreReport:
        """Hear every recording and compare its likeliest genre with the true one."""
        from transcribe.genre.metrics import evaluate_genres

        return evaluate_genres(pieces, transcriber, self.labels(transcriber.model), progress)


GENRE = GenreTask()
