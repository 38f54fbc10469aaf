"""Notes → what they tell of beats and keys, with what somebody knows already; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from transcribe.events import Transcription
from transcribe.score.beats import Beats, find_beats
from transcribe.score.placing import quantized
from transcribe.theory.keys import find_key, find_keys


@dataclass(frozen=True)
class Timing:
    """What is known of the beats: all of them, or their ``tempo`` a minute; whether to move notes onto them.

    ``detail``: how fine rhythms are, in scores too; above 1 finer, below simpler.
    """

    tempo: float | None = None
    beats: Beats | None = None
    quantize: bool = False
    detail: float = 1.0

    @property
    def settings(self) -> dict[str, Any]:
        """What of it a result depends on, for its ``settings``; nothing where nothing is known."""
        given: dict[str, Any] = {} if self.tempo is None else {"tempo": self.tempo}
        if self.beats is not None:
            given["beats"] = "given"
        return {**given, "quantize": True, "detail": self.detail} if self.quantize else given


def analysed(transcription: Transcription, timing: Timing = Timing()) -> Transcription:
    """Add beats, tempo and keys to a transcription; beats and keys that it has stay, where nothing else is known."""
    notes = transcription.notes
    known = timing.beats
    if known is None and (timing.tempo is not None or not transcription.beats):
        known = find_beats(notes, timing.tempo)
    if known is not None:
        transcription = replace(
            transcription,
            beats=known.beats,
            downbeats=known.downbeats,
            beat_confidence=known.confidence if known.beats else None,
            tempo=None if known.tempo is None else round(known.tempo, 2),
        )
    transcription = replace(transcription, settings={**transcription.settings, **timing.settings})
    if transcription.key is None:
        transcription = replace(transcription, key=find_key(notes), keys=find_keys(notes))
    return quantized(transcription, timing.detail) if timing.quantize else transcription


def metre(beats: Sequence[float], downbeats: Sequence[float]) -> int:
    """Count the beats of most bars; 0 where there are no two downbeats."""
    if len(downbeats) < 2:
        return 0
    first = set(downbeats)
    places = [i for i, beat in enumerate(beats) if beat in first]
    lengths = [b - a for a, b in pairwise(places)]
    return max(set(lengths), key=lengths.count) if lengths else 0
