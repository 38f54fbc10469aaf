"""Choosing the notes' model by who plays: a piano's where a piano plays alone, one of any instruments elsewhere.

The network of instruments listens ahead, to the first ten minutes at the most, and what it took is kept for the others:
a recording is gone through once, in flat memory, and may come through a pipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transcribe.engine.weights import load_model, manifest
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.task import NOTES

if TYPE_CHECKING:
    from transcribe.engine.task import Activations, AnyActivations, AnyModel, Decoder, WindowModel

AUTO = "auto"
#: The size, in the manifest, of a model of any instruments.
ANY = "any"
# Their spectrogram takes 30 MB.
AHEAD_SECONDS = 600.0


@dataclass(frozen=True)
class Automatic:
    """The models to choose of, and the one of instruments by which it is done."""

    piano: WindowModel
    any: WindowModel
    listener: WindowModel

    def settled(
        self,
        models: Sequence[WindowModel],
        decoders: Sequence[Decoder[AnyActivations]],
        streams: Sequence[Iterator[AnyActivations]],
    ) -> tuple[list[WindowModel], list[Decoder[AnyActivations]], list[Iterator[AnyActivations]], str]:
        """Listen ahead, and leave out the model of the two that isn't chosen.

        Parameters
        ----------
        models
            These three, perhaps among others.
        decoders, streams
            The decoder of each and its activations, of which the listener's are taken ahead.

        Returns
        -------
        tuple
            The models that are left, their decoders and activations, and what was chosen and why, in words. Where
            nothing sounds, it is the piano's.
        """
        place = _place(models, self.listener)
        novelty = self._listen(streams[place], decoders[place])
        heard = Transcription(novelty=novelty)
        chosen, other = (self.any, self.piano) if heard.piano_alone is False else (self.piano, self.any)
        if novelty is None:
            reason = "nothing is heard that tells who plays"
        else:
            alone = "a piano plays alone" if heard.piano_alone else "no piano plays alone"
            reason = f"{alone} (something else is likelier in {novelty:.0%} of the sound)"
        # What isn't read from mustn't be kept: its windows would be.
        left = [i for i in range(len(models)) if i != _place(models, other)]
        kept = ([models[i] for i in left], [decoders[i] for i in left], [streams[i] for i in left])
        return (*kept, f"{chosen.name}: {reason}")

    def _listen(self, stream: Iterator[AnyActivations], decoder: Decoder[AnyActivations]) -> float | None:
        seconds = 0.0
        for block in stream:
            decoder.push(block)
            seconds += block.seconds
            if seconds >= AHEAD_SECONDS:
                break
        novelty: float | None = decoder.fields(seconds)["novelty"]
        return novelty

    def model_of(self, block: Activations) -> WindowModel:
        """Tell which of the two made activations of notes."""
        from transcribe.notes.ensemble import EnsembleActivations

        return self.any if isinstance(block, EnsembleActivations) else self.piano


def is_wanted(task: str, name: str | AnyModel | None) -> bool:
    """Whether a model is to be chosen: where it is asked for, and by default if the manifest says so."""
    if task != NOTES.name:
        return False
    return name == AUTO or (name is None and any(entry.elsewhere for entry in manifest().values()))


def load_automatic(device: str, precision: str) -> Automatic:
    """Load the models to choose of.

    Raises
    ------
    UsageError
        If there is none of any instruments.
    """
    if not any(entry.task == NOTES.name and entry.size == ANY for entry in manifest().values()):
        raise UsageError("--model auto: no model of any instruments is installed to choose; try small, medium or large")
    names = ((NOTES, None), (NOTES, ANY), (INSTRUMENTS, listener_of(device, precision)))
    return Automatic(*(load_model(task, name, device, precision) for task, name in names))


def listener_of(device: str, precision: str) -> str:
    """Name the network of instruments that reads the spectrum: the default, or the one that this reads in its turn."""
    model = load_model(INSTRUMENTS, None, device, precision)
    own = [source.model for source in INSTRUMENTS.follows(model.header) if source.task == INSTRUMENTS.name]
    return own[0] if own else model.name


def _place(models: Sequence[WindowModel], wanted: WindowModel) -> int:
    return next(i for i, model in enumerate(models) if model is wanted)
