"""The task of hearing the notes and the pedal of a piano; beats and keys follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from transcribe.engine.task import Header, Heads, Lazy, Listener, Model, Option, Progress
from transcribe.formats.table import FORMATS
from transcribe.report.summary import counted, pitch_name, tuning_name
from transcribe.report.tables import Table

if TYPE_CHECKING:
    from transcribe.audio.reader import MeteredBlocks
    from transcribe.datasets import Dataset, Piece
    from transcribe.engine.features import FeatureConfig, FrameGrid
    from transcribe.events import Transcription
    from transcribe.notes.decoder import Activations, DecodingConfig, NoteDecoder
    from transcribe.notes.metrics import NotesReport, PieceScores
    from transcribe.notes.network import NotesNetwork

NotesModel = Model["DecodingConfig", "FeatureConfig"]


class NotesTask:
    """Notes and pedal; see :class:`transcribe.registry.Task`."""

    name = "notes"
    help = "Listen to recordings and write down their notes."
    by_default = True
    requires: tuple[str, ...] = ()
    options = (
        Option("onset_threshold", float, "Higher: fewer notes, of higher confidence.", 0.0, 1.0),
        Option("frame_threshold", float, "Higher: shorter notes.", 0.0, 1.0),
        Option("min_note_length", float, "Leave out shorter notes (seconds).", 0.0),
        Option("min_pitch", int, "Lowest MIDI number.", 0, 127),
        Option("max_pitch", int, "Highest MIDI number.", 0, 127),
    )
    formats = FORMATS
    datasets: Lazy[Mapping[str, Dataset]] = Lazy("notes.datasets.DATASETS")
    decoding: Lazy[type[DecodingConfig]] = Lazy("notes.decoder.DecodingConfig")
    features: Lazy[Callable[[Header], FeatureConfig]] = Lazy("engine.weights.log_mel_config")
    evaluation_options = frozenset({"pedal_extended", "thresholds", "keep", "onset_tolerance", "reliability"})
    reference_suffixes = (".mid", ".midi", ".json", ".csv", ".tsv", ".txt")
    constants: tuple[str, ...] = ()
    precisions = ("float32", "bfloat16")
    settings_key = ""

    def decoding_of(self, header: Header) -> type[DecodingConfig]:
        """Choose the settings: those of a model of any instruments are about drums too."""
        from transcribe.notes.decoder import DecodingConfig
        from transcribe.notes.ensemble import EnsembleDecodingConfig

        return EnsembleDecodingConfig if "drum_thresholds" in header["decoding"] else DecodingConfig

    def network(self, header: Header) -> NotesNetwork:
        """Build the network untrained."""
        from transcribe.engine.trunk import TrunkConfig
        from transcribe.engine.weights import build
        from transcribe.notes.ensemble_network import EnsembleConfig, EnsembleNetwork
        from transcribe.notes.network import NotesNetwork

        if "family" in header["network"]:
            return EnsembleNetwork(self.features(header), build(EnsembleConfig, header["network"]))
        return NotesNetwork(self.features(header), build(TrunkConfig, header["network"]))

    def stride(self, network: NotesNetwork) -> int:
        """Count the frames of a step of the output: one, as the heads tell a step's frames apart again."""
        return 1

    def activations(self, heads: Heads, grid: FrameGrid, stride: int) -> Activations:
        """Name the network's heads."""
        from transcribe.notes.decoder import Activations
        from transcribe.notes.ensemble import EnsembleActivations

        onset, frame, offset, velocity, pedal, *others = heads
        if not others:
            return Activations(onset, frame, offset, velocity, pedal, grid)
        return EnsembleActivations(onset, frame, offset, velocity, pedal, grid, *others)

    def decoder(self, model: NotesModel) -> NoteDecoder:
        """Begin to decode."""
        from transcribe.engine.weights import build
        from transcribe.notes.decoder import NoteDecoder
        from transcribe.notes.ensemble import EnsembleDecoder, EnsembleDecodingConfig

        decoding = model.decoding
        tuned = model.header.get("decoding")
        if tuned is not None and decoding.forecast and decoding != build(type(decoding), tuned):
            decoding = replace(decoding, forecast=())  # with other settings nothing is known of it
        return EnsembleDecoder(decoding) if isinstance(decoding, EnsembleDecodingConfig) else NoteDecoder(decoding)

    def remarks(self, result: Transcription, level: MeteredBlocks) -> Iterator[str]:
        """Warn of a recording without notes, and of what isn't a piano alone."""
        if not level.silent and not result.notes and not result.drums:
            yield "no notes were heard"
        if result.notes and _sounds_otherwise(result):
            yield (
                "this doesn't sound like a piano alone, all that the notes' network knows; "
                "expect wrong and missing notes"
            )

    def rows(self, result: Transcription) -> Iterator[tuple[str, str]]:
        """Sum up notes, pedal and tuning."""
        yield "notes", str(len(result.notes))
        if result.notes:
            pitches = [note.pitch for note in result.notes]
            velocities = sorted(note.velocity for note in result.notes)
            yield "range", f"{pitch_name(min(pitches))} – {pitch_name(max(pitches))}"
            yield "velocity", f"{velocities[0]} – {velocities[-1]}, median {velocities[len(velocities) // 2]}"
            # Whoever wrote the notes by hand said nothing of it; and of other sounds than a piano's it isn't known.
            if result.models and not _sounds_otherwise(result):
                yield "confidence", _expected(result)
        if result.drums:
            yield "drums", counted(len(result.drums), "stroke")
        if result.pedals:
            held = sum(pedal.offset - pedal.onset for pedal in result.pedals)
            yield "pedal", f"{len(result.pedals)} × down, {held / max(result.duration, 1e-9):.0%} of the time"
        if result.tuning is not None:
            yield "tuning", tuning_name(result.tuning, [section.cents for section in result.tunings])

    def tables(self, title: str, result: Transcription) -> Iterator[Table | str]:
        """Lay out the summary's part of notes."""
        yield Table((), tuple(self.rows(result)), title)

    def evaluate(
        self,
        dataset: str,
        pieces: Sequence[Piece],
        transcriber: Listener[Activations],
        *,
        progress: Progress | None = None,
        pedal_extended: bool = False,
        thresholds: Sequence[float] = (),
        keep: Callable[[PieceScores, Transcription, Transcription], None] | None = None,
        onset_tolerance: float = 0.05,
        reliability: bool = False,
    ) -> NotesReport:
        """Transcribe every piece and score it; see :func:`transcribe.notes.metrics.evaluate`."""
        from transcribe.notes.metrics import evaluate

        return evaluate(
            dataset, pieces, transcriber, pedal_extended, thresholds, progress, keep, onset_tolerance, reliability
        )

    def compare(
        self,
        reference: Path,
        estimate: Path,
        *,
        pedal_extended: bool = False,
        onset_tolerance: float = 0.05,
        keep: Callable[[PieceScores, Transcription, Transcription], None] | None = None,
    ) -> NotesReport:
        """Score the notes of a file against those of another."""
        from transcribe.notes.datasets import read_labels
        from transcribe.notes.metrics import compare

        truth, found = read_labels(reference), read_labels(estimate)
        remarks = [f"{path.name}: {said}" for path, t in ((reference, truth), (estimate, found)) for said in t.warnings]
        report = replace(compare(truth, found, pedal_extended, onset_tolerance), warnings=tuple(remarks))
        if keep is not None:
            keep(report.pieces[0], truth, found)
        return report


NOTES = NotesTask()


def _expected(result: Transcription) -> str:
    """Say how many notes are expected to be right, and to be missing where that is known."""
    if result.forecast is None:
        confidence = sum(note.confidence for note in result.notes) / len(result.notes)
        # The calibration is off by a point or two itself: nothing is certain.
        return f"{min(confidence, 0.99):.0%} of the notes are expected to be right"
    right, missed = round(100 * result.forecast.precision), round(100 * (1 - result.forecast.recall))
    return f"about {right} of 100 notes right, {missed} of 100 missed"


def _sounds_otherwise(result: Transcription) -> bool:
    """Whether something else is heard than a piano, all that a network knows which doesn't tell instruments."""
    return result.piano_alone is False and not result.tells_instruments
