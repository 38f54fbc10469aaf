"""Notes and drums → what they tell of beats and keys, with what is known already."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from transcribe.beats.finder import find_beats
from transcribe.beats.model import BeatsModel, load_beats_model
from transcribe.events import GUESSED_BELOW, Key, Transcription
from transcribe.score.analysis import Timing
from transcribe.score.beats import Beats
from transcribe.score.placing import quantized
from transcribe.theory.keys import find_key, find_keys


def analysed(
    transcription: Transcription,
    timing: Timing = Timing(),  # noqa: B008 (frozen)
    model: BeatsModel | None = None,
) -> Transcription:
    """Add beats, tempo, metres and keys to a transcription; what it has stays, where nothing else is known.

    Parameters
    ----------
    timing
        What is known, and whether notes are moved onto the beats.
    model
        Finds the beats; the default one where None.

    Raises
    ------
    WeightsError
        If the weights can't be loaded.
    """
    if timing.tells_beats or not transcription.beats:
        transcription = _with_beats(transcription, timing, model)
    transcription = replace(transcription, settings={**transcription.settings, **timing.settings})
    transcription = _with_keys(transcription, timing)
    if not timing.quantize:
        return transcription
    return quantized(transcription, timing.detail, timing.strength, timing.grid)


def _with_beats(transcription: Transcription, timing: Timing, model: BeatsModel | None) -> Transcription:
    known = timing.beats
    notes, drums = transcription.notes, transcription.drums
    if known is None or timing.tells_bars:
        given = () if timing.tempo is not None else transcription.beats if known is None else known.beats
        model = model or (default_beats_model() if notes or drums else None)
        found = Beats()
        if model is not None:
            found = find_beats(notes, model.network, timing, given, drums=drums, chords=transcription.chords)
        if model is not None and found.beats:
            transcription = replace(transcription, models={**transcription.models, "beats": model.name})
        known = replace(found, confidence=1.0, confidences=()) if known is not None else found
    tempo = timing.tempo if known.beats and timing.tempo is not None else known.tempo
    warnings = transcription.warnings
    if known.beats and known.confidence < GUESSED_BELOW:
        warnings = (*warnings, "the beats are a guess: the notes tell little of them")
    return replace(
        transcription,
        beats=known.beats,
        downbeats=known.downbeats,
        beat_confidences=known.confidences,
        metres=known.metres,
        beat_confidence=known.confidence if known.beats else None,
        tempo=None if tempo is None else round(tempo, 2),
        warnings=warnings,
    )


def _with_keys(transcription: Transcription, timing: Timing) -> Transcription:
    notes = transcription.notes
    if timing.key is not None:
        end = max([transcription.duration, *(note.offset for note in notes)])
        return replace(transcription, key=timing.key, keys=(Key(0.0, end, timing.key),))
    if transcription.key is not None:
        return transcription
    return replace(transcription, key=find_key(notes), keys=find_keys(notes))


@cache
def default_beats_model() -> BeatsModel:
    """Load the beat network once."""
    return load_beats_model()
