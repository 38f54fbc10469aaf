"""pitchai: listen to a recording and write down the music.

>>> from transcribe import transcribe_file
>>> transcription = transcribe_file("song.wav")  # doctest: +SKIP

The rungs of the ladder, for those who enter further down: ``load_audio`` (file → samples), ``Transcriber.activations``
(samples → activations; ``LogMel`` is their spectrogram), ``decode`` (activations → notes), ``analysed`` (notes → beats
and keys), ``score_notes`` (notes against the truth).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from transcribe.errors import InputError, OutputError, PitchaiError, UsageError, WeightsError
from transcribe.events import Chord, Key, Note, Pedal, Tag, Transcription

if TYPE_CHECKING:
    from transcribe.audio import Audio, load_audio
    from transcribe.beats.analysis import analysed
    from transcribe.engine.features import FeatureConfig, FrameGrid, LogMel
    from transcribe.notes.decoder import Activations, DecodingConfig, decode
    from transcribe.notes.metrics import score_notes
    from transcribe.score.analysis import Timing
    from transcribe.transcriber import Transcriber, transcribe_audio, transcribe_file

__version__ = "0.1.0"

# What needs numpy or torch is imported when it is first used, so that importing this package costs nothing.
_LAZY = {
    "Activations": "notes.decoder",
    "Audio": "audio",
    "DecodingConfig": "notes.decoder",
    "FeatureConfig": "engine.features",
    "FrameGrid": "engine.features",
    "LogMel": "engine.features",
    "Timing": "score.analysis",
    "Transcriber": "transcriber",
    "analysed": "beats.analysis",
    "decode": "notes.decoder",
    "load_audio": "audio",
    "score_notes": "notes.metrics",
    "transcribe_audio": "transcriber",
    "transcribe_file": "transcriber",
}

__all__ = [
    "Activations",
    "Audio",
    "Chord",
    "DecodingConfig",
    "FeatureConfig",
    "FrameGrid",
    "InputError",
    "Key",
    "LogMel",
    "Note",
    "OutputError",
    "Pedal",
    "PitchaiError",
    "Tag",
    "Timing",
    "Transcriber",
    "Transcription",
    "UsageError",
    "WeightsError",
    "analysed",
    "decode",
    "load_audio",
    "score_notes",
    "transcribe_audio",
    "transcribe_file",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'transcribe' has no attribute {name!r}")
    return getattr(import_module(f"transcribe.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
