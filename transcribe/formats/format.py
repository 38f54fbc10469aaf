"""What a file format is, and the checks of what is read from one."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeGuard

from transcribe.engine.task import imported
from transcribe.errors import InputError
from transcribe.events import Chord, Drum, Key, Metre, Note, Pedal, Tag, Transcription, Tuning
from transcribe.theory.chords import parse
from transcribe.theory.families import DRUMS, FAMILIES

if TYPE_CHECKING:
    from transcribe.engine.task import Activations
    from transcribe.report.roll import Scene

#: What is said of the hand that plays a note, None where nothing is.
HANDS = ("right", "left", None)
# Nothing lasts longer than a month, in seconds.
LONGEST = 31 * 24 * 3600.0


@dataclass(frozen=True)
class Page:
    """How a score looks.

    ``title`` and ``composer`` stand above; ``repeats``: what returns unchanged at once is written once, between repeat
    signs; ``show_confidence``: notes that are unsure are grey; ``lead_sheet``: the melody and chord symbols alone.
    ``ids``: notes and measures have names by which they are found in the score again.
    """

    title: str = ""
    composer: str = ""
    repeats: bool = True
    show_confidence: bool = False
    lead_sheet: bool = False
    ids: bool = False


PLAIN = Page()


@dataclass(frozen=True)
class Rendering:
    """What a format may show beside the transcription itself.

    ``scene`` makes what pictures and reports show, when one is written; ``detail`` says how fine the rhythms of scores
    are, above 1 finer, below simpler; ``activations`` are the network's, None where they weren't kept. ``page`` is how
    scores look, and its title stands above a chart too; ``capo`` is the fret that a chart's chords are fingered above;
    ``one_track``: both hands of a MIDI file are in one, and ``title`` is what it says of itself; ``one_ear``: sound has
    the recording left, the notes right.
    """

    scene: Callable[[], Scene] | None = None
    detail: float = 1.0
    activations: Sequence[Activations] | None = None
    page: Page = PLAIN
    capo: int = 0
    one_track: bool = False
    title: str = ""
    one_ear: bool = False


# The bytes of a file, or what writes them into an open one.
Content = bytes | Callable[[IO[bytes]], None]
Writer = Callable[[Transcription, Rendering], Content]


@dataclass(frozen=True)
class Format:
    """A file format: how it is written, and read where it can be.

    Attributes
    ----------
    name
        What ``--format`` calls it.
    suffixes
        The first is written.
    writer
        A transcription, and what it may show beside it, to bytes.
    read
        Bytes to a transcription; raises InputError. None where it is written only.
    needs
        What a transcription must have been made with: ``activations``, ``chords``.
    shows
        What it can show of a :class:`~transcribe.report.roll.Scene`: ``reference``, ``spectrogram``, ``sound``.
    about
        What it holds, in a line.
    detailed
        Whether ``detail`` and ``page`` make a difference: it is a score.
    charted
        Whether a title and a ``capo`` make a difference: it is a chart.
    handed
        Whether ``one_track`` and ``title`` make a difference: it is MIDI.
    audible
        Whether ``one_ear`` makes a difference: it is sound.
    check
        Raises UsageError where a package that it takes isn't installed; None where it takes none.
    """

    name: str
    suffixes: tuple[str, ...]
    writer: Writer
    read: Callable[[bytes], Transcription] | None = None
    needs: frozenset[str] = frozenset()
    shows: frozenset[str] = frozenset()
    detailed: bool = False
    charted: bool = False
    handed: bool = False
    audible: bool = False
    check: Callable[[], None] | None = None
    about: str = ""

    def content(self, transcription: Transcription, rendering: Rendering = Rendering()) -> Content:
        """Make the bytes of a file, or what writes them into an open one."""
        return self.writer(transcription, rendering)

    def write(self, transcription: Transcription, rendering: Rendering = Rendering()) -> bytes:
        """Make the bytes of a file."""
        content = self.content(transcription, rendering)
        if isinstance(content, bytes):
            return content
        buffer = io.BytesIO()
        content(buffer)
        return buffer.getvalue()


# A function is named by its place below ``transcribe``, such as ``formats.midi.to_midi``, and imported when it is
# called: listing formats costs nothing, and they can be sent to other processes.
def plain(function: str) -> Writer:
    """Make a writer of a function that takes a transcription alone."""
    return partial(_plain, function)


def illustrated(function: str) -> Writer:
    """Make a writer of a function that takes a scene too."""
    return partial(_illustrated, function)


def detailed(function: str) -> Writer:
    """Make a writer of a function that takes, too, how fine rhythms are and how the page looks."""
    return partial(_detailed, function)


def handed(function: str) -> Writer:
    """Make a writer of a function that takes, too, whether the hands have a track each, and a title."""
    return partial(_handed, function)


def charted(function: str) -> Writer:
    """Make a writer of a function that takes, too, a title and a capo."""
    return partial(_charted, function)


def audible(suffix: str) -> Writer:
    """Make a writer of sound, which is written piece by piece."""
    return partial(_audible, suffix)


def lazily(function: str) -> Callable[..., Any]:
    """Make a function of the name of one, which is imported when it is called."""
    return partial(_call, function)


def _call(function: str, *arguments: object) -> Any:
    return imported(function)(*arguments)


def _plain(function: str, transcription: Transcription, _: Rendering) -> bytes:
    return bytes(_call(function, transcription))


def _illustrated(function: str, transcription: Transcription, rendering: Rendering) -> bytes:
    return bytes(_call(function, transcription, rendering.scene and rendering.scene()))


def _detailed(function: str, transcription: Transcription, rendering: Rendering) -> bytes:
    return bytes(_call(function, transcription, rendering.detail, rendering.page))


def _handed(function: str, transcription: Transcription, rendering: Rendering) -> bytes:
    return bytes(_call(function, transcription, not rendering.one_track, rendering.title))


def _charted(function: str, transcription: Transcription, rendering: Rendering) -> bytes:
    return bytes(_call(function, transcription, rendering.page.title, rendering.capo))


def _audible(suffix: str, transcription: Transcription, rendering: Rendering) -> Content:
    scene = rendering.scene() if rendering.one_ear and rendering.scene else None

    def write(file: IO[bytes]) -> None:
        _call("report.sonify.write_audio", file, transcription, suffix, scene and scene.recording)

    return write


def checked(transcription: Transcription) -> Transcription:
    """Pass on a transcription that was read, if what it holds makes sense.

    Raises
    ------
    InputError
        If a time, a pitch or a velocity is no number or out of range, something ends before it begins, or a field
        holds what it can't.
    """
    t = transcription
    events: tuple[Note | Pedal | Chord | Tag | Key | Metre | Tuning, ...] = (
        *t.notes,
        *t.pedals,
        *t.chords,
        *t.instruments,
        *t.genres,
        *t.keys,
        *t.metres,
        *t.tunings,
    )
    for event in events:
        if not all(_is_time(time) for time in (event.onset, event.offset)):
            raise InputError(f"a time is no number of seconds between 0 and a month: {event}")
        if event.offset < event.onset:
            raise InputError(f"something ends before it begins: {event}")
        if isinstance(event, Note) and not (_within(event.pitch, 127) and _within(event.velocity, 127)):
            raise InputError(f"a pitch or a velocity is no whole number from 0 to 127: {event}")
        confidence = (
            event.confidence if isinstance(event, (Note, Chord)) else event.probability if isinstance(event, Tag) else 0
        )
        if not (_is_number(confidence) and 0 <= confidence <= 1):
            raise InputError(f"a confidence is no number from 0 to 1: {event}")
        if isinstance(event, (Chord, Tag)) and not isinstance(event.label, str):
            raise InputError(f"a label is no text: {event}")
        if isinstance(event, Chord):
            _check_label(event.label)
        if isinstance(event, Note) and event.instrument not in (None, *FAMILIES):
            raise InputError(f"an instrument is none of {', '.join(FAMILIES)}: {event}")
        if isinstance(event, Note) and event.hand not in HANDS:
            raise InputError(f"a hand is neither right nor left: {event}")
        if isinstance(event, Note) and event.spelling is not None:
            _check_spelling(event)
    for drum in t.drums:
        _check_drum(drum)
    if not (_is_time(t.duration) and all(_is_time(beat) for beat in (*t.beats, *t.downbeats))):
        raise InputError("the duration or a beat is no number of seconds between 0 and a month")
    if t.beat_confidences and len(t.beat_confidences) != len(t.beats):
        raise InputError("there are not as many confidences of beats as beats")
    if not all(_is_number(confidence) and 0 <= confidence <= 1 for confidence in t.beat_confidences):
        raise InputError("a confidence of a beat is no number from 0 to 1")
    for metre in t.metres:
        _check_metre(metre.label)
    told = (t.tempo, t.novelty, t.piano_share, t.beat_confidence)
    if not all(value is None or (_is_number(value) and value >= 0) for value in told):
        raise InputError("the tempo, the novelty, the piano's share or the confidence of the beats is no number")
    foretold = () if t.forecast is None else (t.forecast.precision, t.forecast.recall)
    if not all(_is_number(share) and 0 <= share <= 1 for share in foretold):
        raise InputError("a forecast is no number from 0 to 1")
    for cents in (*(section.cents for section in t.tunings), *([] if t.tuning is None else [t.tuning])):
        if not (type(cents) is int and -55 <= cents <= 50):
            raise InputError("a tuning is no whole number of cents from -55 to 50")
    if not all(isinstance(edit, dict) and isinstance(edit.get("op"), str) for edit in t.edits):
        raise InputError("an edit is no operation with a name")
    if not all(isinstance(text, str) for text in t.warnings):
        raise InputError("a warning is no text")
    for key in (*(section.label for section in t.keys), *([] if t.key is None else [t.key])):
        _check_key(key)
    if not (isinstance(t.settings, dict) and isinstance(t.models, dict)):
        raise InputError("models and settings are no tables")
    if not all(isinstance(name, str) for name in t.models.values()):
        raise InputError("the name of a model is no text")
    return transcription


def _check_drum(drum: Drum) -> None:
    if not (_is_time(drum.onset) and _within(drum.velocity, 127)):
        raise InputError(f"a time or a velocity is no number or out of range: {drum}")
    if drum.label not in DRUMS:
        raise InputError(f"a drum is none of {', '.join(DRUMS)}: {drum}")
    if not (_is_number(drum.confidence) and 0 <= drum.confidence <= 1):
        raise InputError(f"a confidence is no number from 0 to 1: {drum}")


def _check_label(label: str) -> None:
    try:
        parse(label)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_spelling(note: Note) -> None:
    from transcribe.theory.spelling import spells

    if not spells(note.spelling, note.pitch):
        raise InputError(f"a spelling isn't that of the note: {note}")


def _check_key(key: object) -> None:
    from transcribe.theory.keys import signature

    try:
        signature(str(key))
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_metre(metre: object) -> None:
    from transcribe.theory.metres import parse_metre

    try:
        parse_metre(str(metre))
    except ValueError as error:
        raise InputError(str(error)) from None


def _is_time(value: object) -> bool:
    return _is_number(value) and 0 <= value <= LONGEST


def _within(value: object, highest: int) -> bool:
    return _is_number(value) and isinstance(value, int) and 0 <= value <= highest


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
