"""Songs with chords, of POP909 or made up, and the parts that instruments play of them: chords in, notes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.synthesis.sounds import CLOSED_HIHAT, KICK, RIDE, SNARE
from transcribe.theory.chords import NO_CHORD, Label, parse

EXCERPT = 60.0  # seconds of a song that are played at once
# (onset s, offset s, label)
Span = tuple[float, float, Label]
# (onset s, offset s, pitch, velocity)
Notes = list[tuple[float, float, int, int]]

# A guitar's open strings.
STRINGS = (40, 45, 50, 55, 59, 64)
# How often a made-up chord has which quality.
QUALITIES = {
    "maj": 5, "min": 5, "7": 3, "maj7": 3, "min7": 3, "sus4": 2, "sus2": 2, "dim": 2, "aug": 2, "maj6": 1.5,
    "min6": 1.5, "hdim7": 1.5, "dim7": 1.5, "minmaj7": 1, "sus4(b7)": 1.5,
}  # fmt: skip
RICHER = {
    "maj": ("maj7", "maj7", "7", "maj6", "sus4", "sus2", "aug", "sus4(b7)"),
    "min": ("min7", "min7", "min6", "minmaj7", "hdim7", "dim"),
    "dim": ("hdim7", "dim7"),
}


@dataclass(frozen=True)
class Song:
    """Chords that abut, beats in seconds, and tracks that somebody played; all may be empty but the chords."""

    chords: list[Span]
    beats: np.ndarray
    tracks: dict[str, Notes]


def read_song(midi: Path) -> Song:
    """Read one song of POP909: ``001.mid``, ``001_chord_midi.txt``, ``001_beat_midi.txt``."""
    import pretty_midi

    chords = [_span(line) for line in midi.with_name(f"{midi.stem}_chord_midi.txt").read_text().splitlines() if line]
    beats = np.loadtxt(midi.with_name(f"{midi.stem}_beat_midi.txt"), ndmin=2)[:, 0]
    played = pretty_midi.PrettyMIDI(str(midi))
    tracks = {i.name: [(n.start, n.end, n.pitch, n.velocity) for n in i.notes] for i in played.instruments}
    return Song(chords, beats, tracks)


def _span(line: str) -> Span:
    onset, offset, text = line.split()
    return float(onset), float(offset), parse(text)


def excerpt(song: Song, start: float, seconds: float) -> Song:
    """Cut out ``seconds`` from ``start``."""

    def within(notes: Notes) -> Notes:
        kept = [note for note in notes if start <= note[0] < start + seconds]
        return [(on - start, min(off - start, seconds), pitch, velocity) for on, off, pitch, velocity in kept]

    chords = [
        (max(on - start, 0.0), min(off - start, seconds), label)
        for on, off, label in song.chords
        if on < start + seconds and off > start
    ]
    beats = song.beats[(song.beats >= start) & (song.beats < start + seconds)] - start
    return Song(chords, beats, {name: within(notes) for name, notes in song.tracks.items()})


def vary(song: Song, rng: np.random.Generator, enriched: float = 0.4) -> Song:
    """Another key and tempo (0.85-1.2); a share has richer chords, then without the tracks that contradict them."""
    semitones, stretch = int(rng.integers(-5, 7)), rng.uniform(0.85, 1.2)
    chords = [(on * stretch, off * stretch, label.transposed(semitones)) for on, off, label in song.chords]
    tracks = {
        name: [(on * stretch, off * stretch, pitch + semitones, velocity) for on, off, pitch, velocity in notes]
        for name, notes in song.tracks.items()
    }
    if rng.random() < enriched:
        tracks = {name: notes for name, notes in tracks.items() if name == "MELODY" and rng.random() < 0.4}
        often, swapped = rng.uniform(0.3, 0.9), {}
        for label in dict.fromkeys(label for _, _, label in chords):
            swapped[label] = label
            if label.root is not None and rng.random() < often:
                swapped[label] = Label(label.root, str(rng.choice(RICHER.get(label.quality, (label.quality,)))))
                if rng.random() < 0.3:
                    bass = rng.choice(sorted(swapped[label].intervals))
                    swapped[label] = Label(label.root, swapped[label].quality, int(bass))
        chords = [(on, off, swapped[label]) for on, off, label in chords]
    return Song(chords, song.beats * stretch, tracks)


def rested(song: Song, rng: np.random.Generator) -> Song:
    """Let chords end early, many or few of them: a rest of a quarter of a second to two, in which nobody plays on."""
    often = rng.uniform(0.2, 0.8)
    chords: list[Span] = []
    rests: list[tuple[float, float]] = []
    for on, off, label in song.chords:
        rest = min(rng.uniform(0.25, 2.0), 0.6 * (off - on))
        if label == NO_CHORD or rest < 0.25 or rng.random() > often:
            chords.append((on, off, label))
            continue
        chords += [(on, off - rest, label), (off - rest, off, NO_CHORD)]
        rests.append((off - rest, off))

    def left(notes: Notes) -> Notes:
        kept = []
        for on, off, pitch, velocity in notes:
            if not any(start <= on < end for start, end in rests):
                end = min([off, *(start for start, _ in rests if on < start)])
                kept.append((on, end, pitch, velocity))
        return kept

    return Song(chords, song.beats, {name: left(notes) for name, notes in song.tracks.items()})


def made_up(seconds: float, rng: np.random.Generator) -> Song:
    """Any chords in any order, one to eight beats each, sometimes with rests between them."""
    beat = 60 / rng.uniform(55, 170)
    qualities, chances = list(QUALITIES), np.array(list(QUALITIES.values()))
    start = rng.uniform(0, 2) if rng.random() < 0.5 else 0.0
    chords: list[Span] = [(0.0, start, NO_CHORD)] if start else []
    rests, slow = rng.random() < 0.35, rng.choice([1, 1, 2])
    few = [_any_label(qualities, chances, rng) for _ in range(int(rng.integers(2, 7)))] if rng.random() < 0.5 else []
    while start < seconds:
        label = few[rng.integers(len(few))] if few else _any_label(qualities, chances, rng)
        # What was struck long ago is no longer heard.
        end = start + min(6.0, beat * slow * int(rng.choice([1, 2, 2, 4, 4, 8])))
        chords.append((start, end, label))
        start = end
        if rests and rng.random() < 0.5:
            start = end + beat * int(rng.integers(1, 4))
            chords.append((end, start, NO_CHORD))
    return excerpt(
        Song(chords, np.arange(chords[0][1] if chords[0][2] == NO_CHORD else 0.0, seconds, beat), {}), 0.0, seconds
    )


def _any_label(qualities: list[str], chances: np.ndarray, rng: np.random.Generator) -> Label:
    quality = str(rng.choice(qualities, p=chances / chances.sum()))
    label = Label(int(rng.integers(12)), quality)
    bass = int(rng.choice(sorted(label.intervals))) if rng.random() < 0.25 else 0
    return Label(label.root, quality, bass)


def voicing(label: Label, low: int, high: int, n_notes: int, rng: np.random.Generator) -> list[int]:
    """Choose pitches for a chord: all its pitch classes as far as there is room, root position or not, doubled."""
    classes = sorted((label.root or 0) + interval for interval in label.intervals)
    pitches = [p for p in range(low, high + 1) if any((p - c) % 12 == 0 for c in classes)]
    if len(pitches) <= n_notes:
        return pitches
    first = int(rng.integers(0, len(pitches) - n_notes + 1))
    chosen = pitches[first : first + n_notes]
    present = {p % 12 for p in chosen}
    for missing in [c % 12 for c in classes if c % 12 not in present]:
        chosen.append(next(p for p in range(chosen[-1] - 11, high + 13) if p % 12 == missing))
    if rng.random() < 0.3 and len(chosen) > 3:  # opened: the second from the top an octave down
        chosen[-2] -= 12
    return sorted(set(chosen))


def fretted(label: Label, fret: int) -> list[int] | None:
    """Finger a chord on a guitar, four frets from ``fret`` on, or the first three with open strings (0).

    Strings below the lowest that has the root, or the bass, are left out. None where a pitch class isn't to be had.

    Examples
    --------
    >>> fretted(parse("A:min"), 0), fretted(parse("F:maj"), 1)
    ([45, 52, 57, 60, 64], [41, 48, 53, 57, 60, 65])
    """
    classes = {((label.root or 0) + interval) % 12 for interval in label.intervals}
    lowest = ((label.root or 0) + label.bass) % 12
    frets = range(4) if fret == 0 else range(fret, fret + 4)
    pitches: list[int] = []
    for string in STRINGS:
        found = [string + f for f in frets if (string + f) % 12 in (classes if pitches else {lowest})]
        pitches += found[:1]
    return pitches if len(pitches) > 3 and {pitch % 12 for pitch in pitches} >= classes else None


def _on_a_guitar(label: Label, first: int, low: int, n_notes: int, rng: np.random.Generator) -> list[int]:
    """Finger a chord as near to a fret as can be; in any position where it can't be fingered."""
    for fret in sorted(range(9), key=lambda fret: abs(fret - first)):
        if (pitches := fretted(label, fret)) is not None:
            return pitches
    return _with_bass(voicing(label, low, low + 28, n_notes, rng), label, low)


def strummed(song: Song, rng: np.random.Generator) -> Notes:
    """Strum a guitar: four to six strings, as hands finger them or in any position, in a rhythm that stays."""
    notes: Notes = []
    low, n_notes = int(rng.integers(40, 50)), int(rng.integers(4, 7))
    by_hand, first = rng.random() < 0.5, int(rng.choice([0, 0, 0, 1, 2, 3, 5, 7]))
    pattern, spread = rng.random(8) < rng.uniform(0.2, 0.9), rng.uniform(0.004, 0.045)
    once, clumsy = rng.random() < 0.3, rng.random() < 0.4
    for on, off, label in _sounding(song.chords):
        if by_hand:
            pitches = _on_a_guitar(label, first, low, n_notes, rng)
        else:
            pitches = _with_bass(voicing(label, low, low + 28, n_notes, rng), label, low)
        # Strings that aren't quite pressed down hardly sound: any but the root's may be among them.
        weak = {p % 12 for p in pitches if clumsy and rng.random() < 0.3} - {label.root}
        times = [on] if once else [on, *(t for i, t in enumerate(_eighths(song.beats, on, off)) if pattern[i % 8])]
        for i, time in enumerate(times):
            end = times[i + 1] if i + 1 < len(times) else off
            down = i % 2 == 0 or rng.random() < 0.5
            for k, pitch in enumerate(pitches if down else pitches[::-1][: max(3, n_notes - 2)]):
                velocity = _velocity(rng, 30 if pitch % 12 in weak else 80)
                notes.append((time + k * spread, max(end, time + 0.1), pitch, velocity))
    return notes


def picked(song: Song, rng: np.random.Generator) -> Notes:
    """Break the chords: one note after the other."""
    notes: Notes = []
    low, n_notes = int(rng.integers(42, 58)), int(rng.integers(3, 7))
    order, ring = rng.permutation(8) if rng.random() < 0.5 else np.arange(8), rng.random() < 0.7
    for on, off, label in _sounding(song.chords):
        pitches = _with_bass(voicing(label, low, low + 28, n_notes, rng), label, low)
        times = [on, *_eighths(song.beats, on, off)]
        for i, time in enumerate(times):
            pitch = pitches[int(order[i % 8]) % len(pitches)] if i else pitches[0]
            notes.append((time, off if ring else min(time + 0.3, off), pitch, _velocity(rng, 75)))
    return notes


def held(song: Song, rng: np.random.Generator) -> Notes:
    """Hold the chords for as long as they last."""
    low, n_notes = int(rng.integers(46, 62)), int(rng.integers(3, 6))
    return [
        (on, off, pitch, _velocity(rng, 70))
        for on, off, label in _sounding(song.chords)
        for pitch in voicing(label, low, low + 24, n_notes, rng)
    ]


def comped(song: Song, rng: np.random.Generator) -> Notes:
    """Strike the chords again and again in a rhythm, short or long, with or without a left hand's bass."""
    notes: Notes = []
    low, n_notes = int(rng.integers(46, 60)), int(rng.integers(3, 6))
    pattern, length, left = rng.random(8) < rng.uniform(0.2, 0.8), rng.uniform(0.3, 1.0), rng.random() < 0.5
    for on, off, label in _sounding(song.chords):
        pitches = voicing(label, low, low + 24, n_notes, rng)
        if left:
            notes.append((on, off, _bass_pitch(label, 33), _velocity(rng, 75)))
        times = [on, *(t for i, t in enumerate(_eighths(song.beats, on, off)) if pattern[i % 8])]
        for i, time in enumerate(times):
            end = times[i + 1] if i + 1 < len(times) else off
            notes += [(time, time + max(0.08, (end - time) * length), p, _velocity(rng, 75)) for p in pitches]
    return notes


def bass_line(song: Song, rng: np.random.Generator) -> Notes:
    """Play the bass of every chord, held or in a rhythm, with a fifth or an octave here and there."""
    notes: Notes = []
    low, busy = int(rng.integers(26, 34)), rng.uniform(0, 1)
    for on, off, label in _sounding(song.chords):
        pitch = _bass_pitch(label, low)
        times = [on, *(t for t in _eighths(song.beats, on, off) if rng.random() < busy)]
        for i, time in enumerate(times):
            end = times[i + 1] if i + 1 < len(times) else off
            other = i and rng.random() < 0.25 and 7 in label.intervals and not label.bass
            notes.append((time, end, pitch + (int(rng.choice([7, 12])) if other else 0), _velocity(rng, 90)))
    return notes


def drum_part(song: Song, rng: np.random.Generator) -> Notes:
    """Beat kick, snare and a cymbal."""
    cymbal = int(rng.choice([CLOSED_HIHAT, RIDE]))
    notes: Notes = []
    for i, beat in enumerate(song.beats):
        struck = [KICK if i % 2 == 0 else SNARE, cymbal]
        notes += [(beat, beat + 0.2, drum, _velocity(rng, 95)) for drum in struck]
    notes += [(t, t + 0.2, cymbal, _velocity(rng, 70)) for t in _eighths(song.beats, 0.0, EXCERPT)]
    return notes


def _sounding(chords: list[Span]) -> list[Span]:
    return [span for span in chords if span[2].root is not None and span[1] - span[0] > 0.05]


def _eighths(beats: np.ndarray, on: float, off: float) -> list[float]:
    """Beats and the middles between them, strictly inside a span."""
    grid = np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) / 2])) if len(beats) > 1 else beats
    return [float(t) for t in grid if on + 0.08 < t < off - 0.08]


def _bass_pitch(label: Label, low: int) -> int:
    return low + ((label.root or 0) + label.bass - low) % 12


def _with_bass(pitches: list[int], label: Label, low: int) -> list[int]:
    """Put the bass below the others."""
    bass = _bass_pitch(label, low)
    return [bass, *(p for p in pitches if p > bass)]


def _velocity(rng: np.random.Generator, centre: float) -> int:
    return int(np.clip(rng.normal(centre, 12), 20, 127))


def songs_of(folder: Path, use: str) -> list[Path]:
    """Split POP909 by song: every ninth is for validation, every ninth from another start for testing."""
    songs = sorted(folder.glob("[0-9][0-9][0-9].mid"))
    parts = {
        "validation": [s for s in songs if int(s.stem) % 9 == 4],
        "test": [s for s in songs if int(s.stem) % 9 == 8],
    }
    parts["train"] = [s for s in songs if s not in {*parts["validation"], *parts["test"]}]
    return parts[use]
