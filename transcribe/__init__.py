"""pitchai: listen to a recording and write down the music.

>>> from transcribe import Transcriber
>>> result = Transcriber().transcribe_file("examples/waltz.flac")
>>> len(result.notes)
56

A :class:`Transcriber` hears notes, chords and instruments, as the command does. The rungs below it: ``load_audio``
(file → samples), ``Transcriber.activations`` (samples → activations; ``LogMel`` is their spectrogram), ``decode``
(activations → notes), ``analysed`` (notes → beats and keys), ``score_notes`` (notes against the truth).
"""

TYPE_CHECKING = False  # what typing has under this name; importing typing takes 7 ms
if TYPE_CHECKING:
    from transcribe.audio.reader import Audio, load_audio
    from transcribe.beats.analysis import analysed
    from transcribe.edits.replay import replayed
    from transcribe.engine.features import FeatureConfig, FrameGrid, LogMel
    from transcribe.errors import InputError, OutputError, PitchaiError, UsageError, WeightsError
    from transcribe.events import Chord, Drum, Key, Note, Pedal, Tag, Transcription
    from transcribe.files import load, save
    from transcribe.notes.decoder import Activations, DecodingConfig, decode
    from transcribe.notes.metrics import score_notes
    from transcribe.registry import summary
    from transcribe.score.analysis import Timing
    from transcribe.transcriber import Transcriber, transcribe_audio, transcribe_file

__version__ = "0.1.0"

# All is imported when it is first used, so that importing this package costs nothing: the command line has to handle
# signals before anything that takes time.
_LAZY = {
    "Activations": "notes.decoder",
    "Audio": "audio.reader",
    "Chord": "events",
    "DecodingConfig": "notes.decoder",
    "Drum": "events",
    "FeatureConfig": "engine.features",
    "FrameGrid": "engine.features",
    "InputError": "errors",
    "Key": "events",
    "LogMel": "engine.features",
    "Note": "events",
    "OutputError": "errors",
    "Pedal": "events",
    "PitchaiError": "errors",
    "Tag": "events",
    "Timing": "score.analysis",
    "Transcriber": "transcriber",
    "Transcription": "events",
    "UsageError": "errors",
    "WeightsError": "errors",
    "analysed": "beats.analysis",
    "decode": "notes.decoder",
    "load": "files",
    "load_audio": "audio.reader",
    "replayed": "edits.replay",
    "save": "files",
    "score_notes": "notes.metrics",
    "summary": "registry",
    "transcribe_audio": "transcriber",
    "transcribe_file": "transcriber",
}

__all__ = [
    "Activations",
    "Audio",
    "Chord",
    "DecodingConfig",
    "Drum",
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
    "load",
    "load_audio",
    "replayed",
    "save",
    "score_notes",
    "summary",
    "transcribe_audio",
    "transcribe_file",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'transcribe' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"transcribe.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
