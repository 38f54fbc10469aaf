"""What a recording holds, as plain frozen dataclasses; standard library only.

Times are seconds from the start of the recording, pitches MIDI numbers (60 is middle C), velocities 1-127.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import total_ordering
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pretty_midi


# Beats whose confidence is lower on the average are said to be a guess.
GUESSED_BELOW = 0.5
# Where something else than a piano is the likeliest in more of the sound than this, no piano plays alone. Measured with
# instruments-3 on 84 renders of pianos and 72 of other instruments that it never heard, half of them through bad
# microphones: any share between 0.16 and 0.38 is wrong of two pianos and one other; this is the middle.
NOVEL_ABOVE = 0.27
# Where a network of any instruments was asked too, a piano plays alone if it has so much more of the notes than
# something else has of the sound. By any-3 and instruments-3, of renders, all margins from 0.3 to 0.6 are wrong of 2 of
# 32 pianos, and of 4 to 1 of 88 others (by the sound alone 2 and 10). This is the lowest: a piano should stay one
# through a bad microphone.
PIANO_MARGIN = 0.3


@total_ordering
@dataclass(frozen=True, slots=True)
class Note:
    """A tone from ``onset`` to ``offset``; ordered by (onset, pitch).

    ``confidence`` is the calibrated probability (0-1) that the note is there; ``instrument`` is one of
    :data:`transcribe.theory.families.FAMILIES`, None where it isn't known. ``hand`` (``right`` or ``left``) and
    ``spelling`` (``F#``, without the octave) are what the user said of it, None where a score is to find them.
    """

    onset: float
    pitch: int
    offset: float
    velocity: int
    confidence: float = 1.0
    instrument: str | None = None
    hand: str | None = None
    spelling: str | None = None

    def __lt__(self, other: Note) -> bool:
        """Compare by onset, then pitch, then the rest; no instrument comes before any."""
        return self._order < other._order

    @property
    def _order(self) -> tuple[float, int, float, int, float, str, str, str]:
        said = self.instrument or "", self.hand or "", self.spelling or ""
        return self.onset, self.pitch, self.offset, self.velocity, self.confidence, *said


@dataclass(frozen=True, order=True, slots=True)
class Drum:
    """A stroke on a drum or cymbal, ``label`` one of :data:`transcribe.theory.families.DRUMS`."""

    onset: float
    label: str
    velocity: int
    confidence: float = 1.0


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A part of a recording, from ``onset`` to ``offset``."""

    onset: float
    offset: float


@dataclass(frozen=True, order=True, slots=True)
class Pedal(Span):
    """A span during which the sustain pedal is down."""


@dataclass(frozen=True, order=True, slots=True)
class Chord(Span):
    """A span with one chord, its label in Harte's syntax (``C:maj``, ``A:min7/b3``, ``N`` for none)."""

    label: str
    confidence: float = 1.0


@dataclass(frozen=True, order=True, slots=True)
class Tag(Span):
    """A span to which a label (an instrument, a genre) applies with a probability."""

    label: str
    probability: float


@dataclass(frozen=True, order=True, slots=True)
class Key(Span):
    """A span in one key, named in mir_eval's way: ``Eb major``, ``F# minor``."""

    label: str


@dataclass(frozen=True, order=True, slots=True)
class Metre(Span):
    """A span in one metre, named as it is written: ``3/4``, ``6/8``."""

    label: str


@dataclass(frozen=True, order=True, slots=True)
class Tuning(Span):
    """A span that lies ``cents`` above A = 440 Hz, below where negative; 0 where it is close."""

    cents: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foretold of a recording's notes: the share of those found that is right, that of the true ones found."""

    precision: float
    recall: float


@dataclass(frozen=True, repr=False)
class Transcription:
    """Everything heard in one recording.

    ``duration`` in seconds; ``tuning`` in cents above A = 440 Hz, 0 where it is close and None where it isn't known,
    and ``tunings`` are those of its sections, of which ``tuning`` lasts longest; ``tempo`` in beats a minute and
    ``beat_confidence`` (0-1), None where they can't be told; ``beats`` in seconds, and the ``downbeats`` among them;
    ``beat_confidences`` (0-1) of every beat, or none where they aren't known; ``metres`` of the sections; ``key`` is
    that of the whole, ``keys`` are those of its sections; ``novelty`` is the share of the sound (0-1) in which
    something else than a piano is the likeliest to be heard, None where unknown; ``piano_share`` is the share of the
    first minute's notes (0-1) that sound like a piano's, None where nobody was asked; ``drums`` are ordered by onset;
    ``forecast`` says how many notes will prove right, None where nobody can tell; ``warnings`` are remarks for the
    listener, one line each; ``models`` names the weights; ``settings`` are the parameters that the result depends on.
    ``edits`` are what the user corrected, in order, which isn't in the other fields yet: they are as heard, and
    :func:`transcribe.edits.replay.replayed` does it (:mod:`transcribe.edits`).
    """

    notes: tuple[Note, ...] = ()
    pedals: tuple[Pedal, ...] = ()
    beats: tuple[float, ...] = ()
    downbeats: tuple[float, ...] = ()
    chords: tuple[Chord, ...] = ()
    instruments: tuple[Tag, ...] = ()
    genres: tuple[Tag, ...] = ()
    duration: float = 0.0
    tuning: int | None = None
    tunings: tuple[Tuning, ...] = ()
    tempo: float | None = None
    beat_confidence: float | None = None
    key: str | None = None
    keys: tuple[Key, ...] = ()
    beat_confidences: tuple[float, ...] = ()
    metres: tuple[Metre, ...] = ()
    novelty: float | None = None
    piano_share: float | None = None
    drums: tuple[Drum, ...] = ()
    forecast: Forecast | None = None
    warnings: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    edits: tuple[Mapping[str, Any], ...] = ()

    @property
    def piano_alone(self) -> bool | None:
        """Whether a piano plays alone, or nearly so; None where nobody listened for other instruments."""
        if self.novelty is None:
            return None
        if self.piano_share is None:
            return self.novelty <= NOVEL_ABOVE
        return self.piano_share > self.novelty + PIANO_MARGIN

    @property
    def tells_instruments(self) -> bool:
        """Whether it is known of notes who plays them, or of drums."""
        return bool(self.drums) or any(note.instrument for note in self.notes)

    def save(self, path: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write a file; its suffix says in which format. See :func:`transcribe.save`."""
        from transcribe import save

        save(self, path, overwrite=overwrite)

    def to_pretty_midi(self) -> pretty_midi.PrettyMIDI:
        """Make a :class:`pretty_midi.PrettyMIDI` of the notes, and of the pedals as CC64, all in one piano.

        Times stay as they are; the rest (beats, chords, keys) is left out.
        """
        import pretty_midi

        piano = pretty_midi.Instrument(program=0, name="Piano")
        piano.notes = [pretty_midi.Note(note.velocity, note.pitch, note.onset, note.offset) for note in self.notes]
        for pedal in self.pedals:
            piano.control_changes += [
                pretty_midi.ControlChange(64, 127, pedal.onset),
                pretty_midi.ControlChange(64, 0, pedal.offset),
            ]
        midi = pretty_midi.PrettyMIDI(resolution=960)
        midi.instruments.append(piano)
        return midi

    def __repr__(self) -> str:
        """Say what was found in a line: how many of each event, and what is true of the whole."""
        counts = {name: len(value) for name, value in vars(self).items() if isinstance(value, tuple) and value}
        whole = {name: getattr(self, name) for name in ("duration", "tempo", "key") if getattr(self, name) is not None}
        shown = ", ".join(f"{name}={value!r}" for name, value in {**counts, **whole}.items())
        return f"<Transcription: {shown}>"

    def _repr_html_(self) -> str:
        """Sum it up in a notebook."""
        from transcribe import summary

        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in summary(self))
        return f"<table>{rows}</table>"
