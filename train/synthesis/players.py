"""How musicians play their parts: who could play one, late or early, loud or soft, with vibrato, slides and swells."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from scipy import signal

from train.synthesis.performances import without_overlaps
from train.synthesis.scores import Part
from train.synthesis.solos import SOUNDS, Sound
from transcribe.theory.families import FAMILIES, FAMILY_OF_PROGRAM

# How often a family is drawn where several could play: those with few sounds, and what leads in songs, more often.
FAMILY_WEIGHTS = {
    "piano": 1.5, "keys": 0.8, "organ": 0.8, "guitar": 1.6, "bass": 0.3, "strings": 1.6, "brass": 1.1, "reed": 1.4,
    "flute": 1.0, "voice": 1.6, "mallet": 0.7, "synth": 0.8,
}  # fmt: skip
# Seconds after which a sound has died away whatever the score says, by program: where its label ends.
RINGING = {
    8: 2.0, 9: 2.0, 10: 2.0, 11: 4.0, 12: 1.0, 13: 0.5, 14: 5.0, 15: 2.0, 24: 4.0, 25: 4.0, 26: 4.0, 27: 5.0, 28: 0.5,
    31: 3.0, 32: 3.0, 45: 0.6, 46: 4.0, 47: 2.0, 104: 3.0, 105: 1.2, 106: 1.5, 107: 2.5, 108: 1.0,
}  # fmt: skip
# Seconds between the points at which a player's touch is written down.
STEP = 0.02


@dataclass(frozen=True)
class Played:
    """A part as somebody plays it.

    ``cents`` and ``loudness`` (0-1) of the instrument are sampled every ``STEP`` seconds, on top of the notes; None
    where its player can't change a note once it sounds.
    """

    part: Part
    sound: str
    program: int
    cents: np.ndarray | None = None
    loudness: np.ndarray | None = None

    @property
    def family(self) -> str | None:
        """The family of the program; None for drums."""
        return None if self.part.is_drums else FAMILY_OF_PROGRAM[self.program]

    @property
    def labels(self) -> np.ndarray:
        """Notes as they can be heard: no longer than the instrument rings."""
        notes = self.part.notes.copy()
        if not self.part.is_drums:
            notes[:, 1] = np.minimum(notes[:, 1], notes[:, 0] + RINGING.get(self.program, np.inf))
        return notes


def cast_part(
    part: Part, rng: np.random.Generator, kept: float = 0.3, families: Collection[str] = FAMILIES
) -> Played | None:
    """Give a part to an instrument that could play it, an octave or two away where it must; None where none can.

    Parameters
    ----------
    part
        What is to be played.
    rng
        Of all randomness.
    kept
        How often the instrument of the file keeps it, where it names one.
    families
        Who may play what isn't drums.
    """
    if part.is_drums:
        return Played(part, "drums", int(rng.choice([0, 0, 0, 8, 16, 24, 25, 32, 40])))
    names = [name for name, sound in SOUNDS.items() if FAMILY_OF_PROGRAM[sound.programs[0]] in families]
    own = [name for name in names if part.program in SOUNDS[name].programs]
    low = float(np.median(part.notes[:, 2])) < 50 and "bass" in families
    if low and rng.random() < 0.55 and not part.is_polyphonic:
        names = ["bass", "plucked double bass"]
    elif own and part.program and rng.random() < kept:
        names = own
    fitting = [(name, shift) for name in names if (shift := _shift(part, SOUNDS[name])) is not None]
    if not fitting:
        return None
    able = [str(FAMILY_OF_PROGRAM[SOUNDS[name].programs[0]]) for name, _ in fitting]
    weights = np.array([FAMILY_WEIGHTS[family] / able.count(family) for family in able])
    name, shift = fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]
    sound = SOUNDS[name]
    notes = part.notes.copy()
    notes[:, 2] += shift
    notes = notes[(notes[:, 2] >= sound.low) & (notes[:, 2] <= sound.high)]
    program = part.program if part.program in sound.programs and rng.random() < 0.5 else int(rng.choice(sound.programs))
    return Played(replace(part, notes=notes), name, program)


def _shift(part: Part, sound: Sound) -> int | None:
    """Find the octaves, in semitones, that bring nine tenths of the notes into an instrument's range."""
    if part.is_polyphonic and not sound.chords:
        return None
    pitches = part.notes[:, 2]
    for shift in (0, 12, -12, 24, -24):
        if np.mean((pitches + shift >= sound.low) & (pitches + shift <= sound.high)) > 0.9:
            return shift
    return None


def warped(parts: list[Part], rng: np.random.Generator) -> list[Part]:
    """Play in another tempo, and for half of all pieces in one that comes and goes."""
    end = max(float(part.notes[:, 1].max()) for part in parts)
    knots = np.arange(0, end + 4, 2.0)
    pace = signal.lfilter([0.5], [1, -0.7], rng.normal(0, 0.08, len(knots))) * (rng.random() < 0.5)
    pace = np.clip(pace, -0.3, 0.3) + np.log(rng.uniform(0.75, 1.3))
    times = np.concatenate([[0.0], np.cumsum(np.diff(knots) * np.exp(pace[:-1]))])
    return [
        replace(
            part,
            notes=np.column_stack([*np.interp(part.notes[:, :2].T, knots, times), part.notes[:, 2:]]),
            pedals=np.interp(part.pedals, knots, times),
        )
        for part in parts
    ]


def humanised(played: Played, rng: np.random.Generator, scatter: float) -> Played:
    """Play as people do: never quite together, never two notes alike, each phrase with its own dynamics.

    Parameters
    ----------
    played
        The part.
    rng
        Of all randomness.
    scatter
        Standard deviation of onsets in s; little where somebody played it already.
    """
    notes = played.part.notes.copy()
    length = notes[:, 1] - notes[:, 0]
    late = rng.normal(0, scatter, len(notes)) + rng.normal(0, scatter)
    if played.part.is_drums:
        late = rng.normal(0, scatter / 2, len(notes))
    elif SOUNDS[played.sound].strummed:  # one string after the other, from either side
        late += _spread(notes, rng.uniform(0.002, 0.025) * rng.choice([1, 1, -1]))
    elif not SOUNDS[played.sound].shaped:
        late += _spread(notes, rng.normal(0, 0.006))
    notes[:, 0] = np.maximum(0.0, notes[:, 0] + late)
    articulation = rng.uniform(0.4, 0.95) if rng.random() < 0.35 else rng.uniform(0.92, 1.06)
    notes[:, 1] = notes[:, 0] + np.maximum(0.05, length * articulation * np.exp(rng.normal(0, 0.05, len(notes))))
    notes[:, 3] = _velocities(notes, rng)
    order = np.argsort(notes[:, 0], kind="stable")
    return replace(played, part=replace(played.part, notes=without_overlaps(notes[order])))


def _spread(notes: np.ndarray, between: float) -> np.ndarray:
    """Seconds by which each note of a chord is late: its rank from the lowest times ``between``, not less than 0."""
    chord = np.cumsum(np.diff(notes[:, 0], prepend=-1.0) > 0.02)
    order = np.lexsort((notes[:, 2], chord))
    first = np.searchsorted(chord, chord)
    rank = np.empty(len(notes))
    rank[order] = np.arange(len(notes))
    rank -= first
    if between < 0:
        size = np.bincount(chord)[chord]
        rank = size - 1 - rank
    return np.asarray(rank * abs(between))


def _velocities(notes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw dynamics: those of the file where it has any, stronger or weaker, or else a phrase's swell and accents."""
    own = notes[:, 3]
    if len(own) > 2 and own.std() > 4:
        loud = own.mean() + rng.uniform(-15, 15) + (own - own.mean()) * rng.uniform(0.6, 1.3)
    else:
        swell = np.sin(2 * np.pi * (notes[:, 0] / rng.uniform(2, 12) + rng.random()))
        loud = rng.uniform(45, 105) + rng.uniform(0, 14) * swell
    return np.asarray(np.clip(np.round(loud + rng.normal(0, rng.uniform(2, 9), len(own))), 12, 127))


def touched(played: Played, rng: np.random.Generator, seconds: float) -> Played:
    """Let a player shape single notes after their attack: scoops, vibrato, swells, soft attacks.

    Only where the instrument can, and one note sounds at a time; a string section's vibrato is everybody's.
    """
    if played.part.is_drums:
        return played
    sound = SOUNDS[played.sound]
    if played.part.is_polyphonic or not (sound.shaped or sound.strummed or played.family in ("voice", "synth", "bass")):
        return played
    n_steps = int(seconds / STEP) + 2
    cents = signal.lfilter([0.1], [1, -0.9], rng.normal(0, rng.uniform(1, 20), n_steps)) * sound.shaped
    loudness = np.ones(n_steps)
    rate, depth = rng.uniform(4, 7), rng.uniform(0, 60 if played.family == "voice" else 35) * (rng.random() < 0.75)
    scoops, softness = rng.choice([0.0, 0.1, 0.4]), rng.choice([0.0, 0.02, 0.08, 0.2])
    notes = played.part.notes
    ends = np.append(notes[1:, 0], seconds)
    for (onset, offset, _, _), end in zip(notes, ends, strict=True):
        first, last = int(onset / STEP), min(int(min(end, offset + 0.3) / STEP) + 1, n_steps)
        time = np.arange(last - first) * STEP
        if rng.random() < scoops:
            cents[first:last] -= rng.uniform(30, 190) * np.exp(-time / rng.uniform(0.03, 0.12))
        if not sound.shaped and played.family not in ("voice", "synth"):
            continue
        sets_in = np.clip((time - rng.uniform(0.1, 0.5)) / 0.3, 0, 1)
        cents[first:last] += depth * sets_in * np.sin(2 * np.pi * rate * time)
        rise = np.clip((time + STEP) / max(softness * rng.uniform(0.3, 1.5), STEP), 0.1, 1)
        swell = 1 - rng.uniform(0, 0.6) * np.clip(time / max(offset - onset, 0.3), 0, 1) ** rng.uniform(0.5, 2)
        loudness[first:last] = rise * swell
    return replace(played, cents=np.clip(cents, -195, 195), loudness=loudness)
