"""Choosing the notes' model by who plays: a piano's where a piano plays alone, one of any instruments elsewhere.

The network of instruments listens ahead, to the first ten minutes at the most. Where it is in doubt, that of any
instruments is asked who plays the notes of the first minute: a piano through a bad microphone sounds like a guitar to
the one, and a guitar's strum like a piano, but seldom to both. What they took is kept: a recording is gone through
once, in flat memory, and may come through a pipe.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from transcribe.engine.weights import load_model, manifest
from transcribe.errors import UsageError
from transcribe.events import PIANO_MARGIN, Transcription
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.task import NOTES
from transcribe.theory.families import FAMILIES

if TYPE_CHECKING:
    from transcribe.engine.task import Activations, AnyActivations, AnyModel, Decoder, WindowModel
    from transcribe.notes.ensemble import EnsembleActivations

AUTO = "auto"
#: The size, in the manifest, of a model of any instruments.
ANY = "any"
# Their spectrogram takes 30 MB.
AHEAD_SECONDS = 600.0
# How much of it that of any instruments hears, in seconds: three windows.
_NOTES_SECONDS = 60.0
# Something else in so little of the sound is no doubt: of the renders by which PIANO_MARGIN was chosen all such are a
# piano's, of 378 strums of a real guitar 7 are not.
_SURE = 0.02
# An onset is heard where its activation is so high.
_HEARD = 0.3


@dataclass(frozen=True)
class Choice:
    """Which model was chosen and why, in words; and the piano's share of the first notes, where that was asked."""

    words: str
    piano_share: float | None


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
    ) -> tuple[list[WindowModel], list[Decoder[AnyActivations]], list[Iterator[AnyActivations]], Choice]:
        """Listen ahead, and leave out the model of the two that isn't chosen.

        Parameters
        ----------
        models
            These three, perhaps among others.
        decoders, streams
            The decoder of each and its activations, of which the listener's are taken ahead, and a block of any's.

        Returns
        -------
        tuple
            The models that are left, their decoders and activations, and what was chosen. Where nothing sounds, it is
            the piano's.
        """
        place, streams = _place(models, self.listener), list(streams)
        novelty = self._listen(streams[place], decoders[place])
        share = None
        if novelty is not None and _SURE < novelty < 1 - PIANO_MARGIN:  # elsewhere no share would change the answer
            asked = _place(models, self.any)
            first = list(taken(streams[asked], _NOTES_SECONDS))
            streams[asked] = itertools.chain(first, streams[asked])
            share = piano_share(first)
        is_piano = Transcription(novelty=novelty, piano_share=share).piano_alone is not False
        chosen, other = (self.piano, self.any) if is_piano else (self.any, self.piano)
        if novelty is None:
            reason = "nothing is heard that tells who plays"
        else:
            alone = "a piano plays alone" if is_piano else "no piano plays alone"
            notes = "" if share is None else f", a piano in {share:.0%} of the first notes"
            reason = f"{alone} (something else is likelier in {novelty:.0%} of the sound{notes})"
        # What isn't read from mustn't be kept: its windows would be.
        left = [i for i in range(len(models)) if i != _place(models, other)]
        kept = ([models[i] for i in left], [decoders[i] for i in left], [streams[i] for i in left])
        return (*kept, Choice(f"{chosen.name}: {reason}", share))

    def _listen(self, stream: Iterator[AnyActivations], decoder: Decoder[AnyActivations]) -> float | None:
        seconds = 0.0
        for block in taken(stream, AHEAD_SECONDS):
            decoder.push(block)
            seconds += block.seconds
        novelty: float | None = decoder.fields(seconds)["novelty"]
        return novelty

    def model_of(self, block: Activations) -> WindowModel:
        """Tell which of the two made activations of notes."""
        from transcribe.notes.ensemble import EnsembleActivations

        return self.any if isinstance(block, EnsembleActivations) else self.piano


def taken(stream: Iterator[AnyActivations], seconds: float) -> Iterator[AnyActivations]:
    """Take blocks until they cover so many seconds, and no more."""
    covered = 0.0
    while covered < seconds and (block := next(stream, None)) is not None:
        yield block
        covered += block.seconds


def piano_share(blocks: Iterable[EnsembleActivations]) -> float | None:
    """Tell which share of the onsets is a piano's, by their activations; None where there are none."""
    of_families = np.zeros(len(FAMILIES))
    for block in blocks:
        onset = np.where(block.onset >= _HEARD, block.onset, 0.0)
        of_families += np.einsum("tp,tpf->f", onset, block.family, dtype=float)
    total = float(of_families.sum())
    return float(of_families[FAMILIES.index("piano")]) / total if total else None


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
