"""Songs arranged anew for training chords: chord labels in, a band's MIDI and its sound out.

    python -m train.synthesis.arrangements --out runs/songs-train --songs POP909 --soundfonts FluidR3_GM.sf2 --hours 20

writes pairs ``00000.flac`` and ``00000.lab``. The chords come from POP909 (with its melody and piano, or without and
enriched: sevenths, sixths, suspensions that pop hardly has) or are made up; they are strummed, picked, comped, held
and broken by random General MIDI sounds, with or without a bass, drums and a melody. ``--strums 140`` writes clips of
one strummed chord instead, ``Am/000.flac``. Needs FluidSynth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile
from scipy import signal
from tqdm import tqdm

from train import recipes
from train.synthesis import recorder, rooms
from train.synthesis.performances import Performance
from train.synthesis.piano import Piano, Voicing, load_pianos, play
from train.synthesis.sounds import CLOSED_HIHAT, KICK, RIDE, SAMPLE_RATE, SNARE, synthesise
from transcribe.theory.chords import NO_CHORD, Label, parse, parse_name

EXCERPT = 60.0  # seconds
# (onset s, offset s, label)
Span = tuple[float, float, Label]
# (onset s, offset s, pitch, velocity)
Notes = list[tuple[float, float, int, int]]
# (program, -1 for drums; notes; loudness)
Part = tuple[int, Notes, float]

# Programs of General MIDI, from 0.
GUITARS = (24, 25, 25, 26, 27, 28, 29)
PLUCKED = (24, 25, 26, 46, 0, 4, 11, 12, 104, 105, 107, 45, 8, 6)
KEYS = (0, 0, 0, 1, 2, 3, 4, 5, 7, 16, 17, 18, 19, 21, 6)
PADS = (48, 49, 50, 51, 52, 53, 61, 62, 63, 88, 89, 90, 91, 92, 93, 94, 95, 19, 16, 54)
BASSES = (32, 33, 33, 34, 35, 36, 37, 38, 39, 0, 43)
LEADS = (0, 4, 11, 21, 22, 24, 27, 40, 41, 42, 52, 53, 54, 56, 57, 64, 65, 66, 68, 71, 72, 73, 74, 75, 80, 81, 82, 85)

# How many of the parts for guitars and pianos are played by sampled ones, where there are any.
BANK_SHARE = 0.6
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


def strummed(song: Song, rng: np.random.Generator) -> Notes:
    """Strum a guitar: four to six strings, down and up, in a rhythm that stays."""
    notes: Notes = []
    low, n_notes = int(rng.integers(40, 50)), int(rng.integers(4, 7))
    pattern, spread = rng.random(8) < rng.uniform(0.2, 0.9), rng.uniform(0.004, 0.045)
    once, clumsy = rng.random() < 0.3, rng.random() < 0.4
    for on, off, label in _sounding(song.chords):
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


def arranged(song: Song, rng: np.random.Generator, alone_share: float = 0.35) -> list[Part]:
    """Give the song to a lone instrument, or to a band of up to eight with bass, drums and a melody."""
    parts: list[Part] = []
    makers = ((strummed, GUITARS), (picked, PLUCKED), (held, PADS), (comped, KEYS), (strummed, GUITARS))
    alone = rng.random() < alone_share
    played = song.tracks.get("PIANO", []) + song.tracks.get("BRIDGE", [])
    if played and (alone or rng.random() < 0.6):
        parts.append((int(rng.choice(KEYS)), played, 0.8))
    for _ in range(int(not parts) if alone else int(rng.integers(0 if parts else 1, 4))):
        maker, programs = makers[int(rng.integers(len(makers)))]
        parts.append((int(rng.choice(programs)), maker(song, rng), rng.uniform(0.4, 1.0)))
    if not alone:
        if song.tracks.get("MELODY") and rng.random() < 0.85:
            parts.append((int(rng.choice(LEADS)), song.tracks["MELODY"], rng.uniform(0.6, 1.1)))
        if rng.random() < 0.8:
            parts.append((int(rng.choice(BASSES)), bass_line(song, rng), rng.uniform(0.6, 1.1)))
        if rng.random() < 0.7 and len(song.beats):
            parts.append((-1, drum_part(song, rng), rng.uniform(0.3, 1.0)))
    return parts


def render(
    song: Song,
    soundfont: Path,
    rng: np.random.Generator,
    studio: recorder.Studio,
    alone_share: float = 0.35,
    banks: Mapping[str, Sequence[Piano]] = MappingProxyType({}),
) -> tuple[np.ndarray, list[Span]]:
    """Arrange, play and record an excerpt: samples and the chords that go with them."""
    dry, ratio = _played(arranged(song, rng, alone_share), EXCERPT, soundfont, rng, banks)
    chords = [(on / ratio, off / ratio, label) for on, off, label in song.chords]
    return recorder.record(dry, SAMPLE_RATE, rng, studio=studio), chords


def _played(
    parts: list[Part],
    seconds: float,
    soundfont: Path,
    rng: np.random.Generator,
    banks: Mapping[str, Sequence[Piano]] = MappingProxyType({}),
) -> tuple[np.ndarray, float]:
    """Play parts, a little sharper or flatter (up to 50 cents) and so much faster or slower: samples and the ratio.

    Where there are ``banks`` of guitars or pianos, they play some of the parts that are written for such.
    """
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960)
    length = int(seconds * SAMPLE_RATE)
    sampled = np.zeros(length)
    for program, notes, loudness in parts:
        played = []
        for on, off, pitch, velocity in notes:
            late = max(0.0, on + rng.normal(0, 0.006))
            if 0 <= pitch <= 127:
                loud = np.clip(velocity * loudness, 1, 127)
                played.append((late, max(off, late + 0.05), int(pitch), int(loud)))
        bank = banks.get("guitar" if program in GUITARS else "piano" if program in KEYS else "")
        if bank and rng.random() < BANK_SHARE:
            performance = Performance(np.array(sorted(played), float).reshape(-1, 4), np.zeros((0, 2)))
            voicing = Voicing.draw(rng)
            # All that play are tuned together, or a semitone's name would be a matter of taste.
            voicing = replace(voicing, cents=voicing.cents - voicing.cents[69])
            sound = play(bank[int(rng.integers(len(bank)))], performance, seconds, rng, voicing)
            sampled[: len(sound)] += loudness * 0.1 * sound / max(float(np.sqrt(np.mean(sound**2))), 1e-9)
            continue
        midi.instruments.append(pretty_midi.Instrument(max(program, 0), is_drum=program < 0))
        midi.instruments[-1].notes = [pretty_midi.Note(loud, pitch, on, off) for on, off, pitch, loud in played]
    cents = rng.normal(0, 8) if rng.random() < 0.5 else rng.uniform(-50, 50)
    dry = synthesise(soundfont, midi)[:length] if any(i.notes for i in midi.instruments) else np.zeros(0)
    dry = np.pad(dry, (0, length - len(dry)))
    if sampled.any():
        loud = float(np.sqrt(np.mean(dry**2))) if dry.any() else 0.1
        dry = dry + sampled * loud / 0.1
    down = round(400 * 2 ** (cents / 1200))
    return signal.resample_poly(dry, 400, down), down / 400


def to_lab(chords: list[Span], seconds: float) -> str:
    """Write lines of a .lab file, up to the end of the audio."""
    return "".join(f"{on:.4f}\t{min(off, seconds):.4f}\t{label}\n" for on, off, label in chords if on < seconds)


@cache
def _studio(room_file: Path | None, sounds: Path | None, codecs: bool) -> recorder.Studio:
    return recorder.Studio(
        rooms.load(room_file) if room_file else (),
        sorted(sounds.glob("speech*.flac")) if sounds else (),
        tuple(recorder.CODECS) if codecs else (),
    )


def _banks(options: argparse.Namespace) -> dict[str, list[Piano]]:
    kinds = (("guitar", options.guitars), ("piano", options.pianos))
    return {kind: [piano for folder in folders for piano in _bank(folder)] for kind, folders in kinds if folders}


@cache
def _bank(folder: Path) -> list[Piano]:
    return load_pianos(folder)


def _render_one(index: int, options: argparse.Namespace) -> int:
    name = f"{index:05d}"
    lab = options.out / f"{name}.lab"
    if lab.exists():
        return index
    rng = np.random.default_rng([options.seed, index])
    studio = _studio(options.rooms, options.sounds, options.codecs)
    kind = rng.random()
    if kind < options.silent_share:
        samples = rng.standard_normal(int(EXCERPT * SAMPLE_RATE)) * 1e-3
        sounds = sorted(options.sounds.glob("*.flac")) if options.sounds else []
        if sounds and rng.random() < 0.6:
            samples = recorder.excerpt_of(sounds[int(rng.integers(len(sounds)))], len(samples), rng)
        samples = (
            np.zeros(len(samples)) if rng.random() < 0.1 else recorder.record(samples, SAMPLE_RATE, rng, 0.12, studio)
        )
        chords = [(0.0, EXCERPT, NO_CHORD)]
    else:
        if kind > 1 - options.made_up_share:
            song = made_up(EXCERPT, rng)
        else:
            whole = vary(read_song(options.midi[int(rng.integers(len(options.midi)))]), rng, options.enriched_share)
            end = whole.chords[-1][1]
            song = excerpt(whole, rng.uniform(0, max(0.0, end - EXCERPT)), EXCERPT)
        soundfont = options.soundfonts[int(rng.integers(len(options.soundfonts)))]
        samples, chords = render(song, soundfont, rng, studio, options.alone_share, _banks(options))
    soundfile.write(options.out / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    lab.write_text(to_lab(chords, len(samples) / SAMPLE_RATE), encoding="utf-8")
    return index


def _strum_one(job: tuple[str, int], options: argparse.Namespace) -> None:
    """Write one clip of a guitar that strums one chord: ``Am/000.flac``."""
    name, index = job
    folder = options.out / name
    folder.mkdir(exist_ok=True)
    path = folder / f"{index:03d}.flac"
    if path.exists():
        return
    label = parse_name(name)
    rng = np.random.default_rng([options.seed, index, *map(ord, str(label))])
    seconds = float(rng.uniform(1.5, 3.0))
    song = Song([(rng.uniform(0, 0.3), seconds, label)], np.zeros(0), {})
    soundfont = options.soundfonts[int(rng.integers(len(options.soundfonts)))]
    studio = _studio(options.rooms, options.sounds, options.codecs)
    part = (int(rng.choice(GUITARS)), strummed(song, rng), 1.0)
    samples = recorder.record(
        _played([part], seconds, soundfont, rng, _banks(options))[0], SAMPLE_RATE, rng, studio=studio
    )
    part = path.with_suffix(".part")
    soundfile.write(part, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    part.replace(path)


def songs_of(folder: Path, use: str) -> list[Path]:
    """Split POP909 by song: every ninth is for validation, every ninth from another start for testing."""
    songs = sorted(folder.glob("[0-9][0-9][0-9].mid"))
    parts = {
        "validation": [s for s in songs if int(s.stem) % 9 == 4],
        "test": [s for s in songs if int(s.stem) % 9 == 8],
    }
    parts["train"] = [s for s in songs if s not in {*parts["validation"], *parts["test"]}]
    return parts[use]


def main() -> None:
    """Render in parallel; a second call goes on where the first was stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--songs", type=Path, help="folder of POP909's songs")
    parser.add_argument("--strums", type=int, default=0, help="instead of songs, so many clips of one strum a label")
    parser.add_argument("--labels", default="Am,Bb,C,Dm,Em,F,G", help="with --strums: the chords")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train", help="which of its songs")
    parser.add_argument("--soundfonts", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--guitars", type=Path, nargs="*", default=[], help="banks of plucked strings (train.synthesis.banks)"
    )
    parser.add_argument("--pianos", type=Path, nargs="*", default=[], help="banks of pianos (train.synthesis.banks)")
    parser.add_argument("--made-up-share", type=float, default=0.35, help="random chords instead of songs")
    parser.add_argument("--silent-share", type=float, default=0.06, help="noise, speech, drums: no chord")
    parser.add_argument("--enriched-share", type=float, default=0.4, help="songs with richer chords than written")
    parser.add_argument("--alone-share", type=float, default=0.35, help="a lone instrument instead of a band")
    parser.add_argument("--rooms", type=Path, help="impulse responses made by train.synthesis.rooms")
    parser.add_argument("--sounds", type=Path, help="folder of speech and drums made by train.synthesis.sounds")
    parser.add_argument("--codecs", action="store_true", help="MP3, AAC and Opus, by PyAV")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    for options in recipes.parsed(parser, None, Path(__file__).parent):
        _write(options, parser)


def _write(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    if options.strums:
        jobs = [(name, index) for name in options.labels.split(",") for index in range(options.strums)]
        with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
            for _ in tqdm(pool.imap_unordered(partial(_strum_one, options=options), jobs), total=len(jobs)):
                pass
        return
    options.midi = songs_of(options.songs, options.split) if options.songs else []
    if not options.midi:
        parser.error(f"{options.songs}: no songs of POP909's layout (001.mid, 001_chord_midi.txt …)")
    count = round(options.hours * 3600 / EXCERPT)
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        done = pool.imap_unordered(partial(_render_one, options=options), range(count))
        for _ in tqdm(done, total=count, unit="min"):
            pass


if __name__ == "__main__":
    main()
