"""One instrument at a time, for training instruments: folders of clips named by what plays in them.

    python -m train.synthesis.solos --out runs/solos-train --soundfonts FluidR3_GM.sf2 --drums Red_Zeppelin_4_LV2.sf2 \
        --notes NOTES --pianos PIANOS --midi POP909 --hours 10

writes ``violin/00012.flac`` and so on: General MIDI sounds through FluidSynth, single real notes strung together,
modelled strings and winds, sampled pianos, drums as a kit and one by one, speech, and noise. They play melodies,
chords, excerpts of songs or held notes with pauses. ``train/instruments`` mixes them.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from scipy import signal

from train import recipes
from train.progress import Progress
from train.synthesis import modelled, recorder, rooms
from train.synthesis.performances import excerpt, read_midi
from train.synthesis.piano import SAMPLE_RATE, Piano, load_pianos, play
from train.synthesis.sounds import CLOSED_HIHAT, KICK, OPEN_HIHAT, SNARE, drums, synthesise

if TYPE_CHECKING:
    from train.synthesis.fonts import Font

SECONDS = 20.0


@dataclass(frozen=True)
class Sound:
    """How an instrument is played.

    ``programs`` of General MIDI (from 0), its range, how often it plays chords, whether it strums them, and whether
    its player shapes a note after the attack (a bow, breath).
    """

    programs: tuple[int, ...]
    low: int
    high: int
    chords: float = 0.0
    strummed: bool = False
    shaped: bool = False


# The names are folders; train/instruments knows what they are.
SOUNDS = {
    "piano": Sound((0, 0, 1, 2, 3), 24, 105, 0.7),
    "electric piano": Sound((4, 5), 30, 100, 0.6),
    "harpsichord": Sound((6, 7), 30, 90, 0.5),
    "mallets": Sound((8, 9, 10, 11, 12, 13, 14), 50, 100, 0.3),
    "organ": Sound((16, 17, 18, 19, 20), 36, 90, 0.6),
    "accordion": Sound((21, 23), 50, 90, 0.5, shaped=True),
    "harmonica": Sound((22,), 55, 90, 0.2, shaped=True),
    "acoustic guitar": Sound((24, 25), 40, 82, 0.6, strummed=True),
    "electric guitar": Sound((26, 27, 28, 29, 30), 40, 86, 0.5, strummed=True),
    "bass": Sound((33, 34, 35, 36, 37, 38, 39), 26, 55),
    "plucked double bass": Sound((32,), 26, 58),
    "violin": Sound((40,), 55, 96, shaped=True),
    "viola": Sound((41,), 48, 86, shaped=True),
    "cello": Sound((42,), 36, 76, shaped=True),
    "double bass": Sound((43,), 26, 60, shaped=True),
    "string section": Sound((44, 45, 48, 49, 50, 51), 36, 90, 0.6),
    "harp": Sound((46,), 28, 96, 0.4),
    "voice": Sound((52, 53, 54), 45, 82, 0.5, shaped=True),
    "trumpet": Sound((56, 59), 54, 84, shaped=True),
    "trombone": Sound((57,), 40, 72, shaped=True),
    "tuba": Sound((58,), 26, 58, shaped=True),
    "horn": Sound((60,), 40, 77, shaped=True),
    "brass section": Sound((61,), 40, 84, 0.5),
    "saxophone": Sound((64, 65, 66, 67), 42, 84, shaped=True),
    "oboe": Sound((68,), 58, 90, shaped=True),
    "english horn": Sound((69,), 52, 82, shaped=True),
    "bassoon": Sound((70,), 34, 70, shaped=True),
    "clarinet": Sound((71,), 50, 91, shaped=True),
    "flute": Sound((72, 73), 60, 96, shaped=True),
    "recorder": Sound((74, 75, 77, 78, 79), 60, 96, shaped=True),
    "synth": Sound((62, 63, *range(80, 96)), 36, 96, 0.5),
    "banjo": Sound((105, 106, 107), 45, 84, 0.4, strummed=True),
}
# Folders of single notes (the Philharmonia's, free banks'), and what they are here.
NOTES = {
    "acoustic_guitar": "acoustic guitar", "electric_bass": "bass", "electric_guitar": "electric guitar",
    "electric_piano": "electric piano", "piano": "piano", "strings": "string section", "vibraphone": "mallets",
    "banjo": "banjo", "bass_clarinet": "clarinet", "bassoon": "bassoon", "cello": "cello", "clarinet": "clarinet",
    "contrabassoon": "bassoon", "cor_anglais": "english horn", "double_bass": "double bass", "flute": "flute",
    "french_horn": "horn", "guitar": "acoustic guitar", "mandolin": "banjo", "oboe": "oboe",
    "saxophone": "saxophone", "trombone": "trombone", "trumpet": "trumpet", "tuba": "tuba", "viola": "viola",
    "violin": "violin",
}  # fmt: skip
DRUMS = {"bass drum": (KICK, 35), "snare drum": (SNARE, 40, 37), "hi-hat": (CLOSED_HIHAT, 44, OPEN_HIHAT)}
# How many clips of what has no program of its own go with one of each program's.
SHARES = {"real": 8, "modelled": 2, "sampled piano": 3, "drums": 4, "drum": 6, "speech": 4, "noise": 4}

# A guitar's chords over the root: fifth, octave, third …, as the shapes under a hand have them.
SHAPES = ((0, 7, 12, 16, 19, 24), (0, 7, 12, 15, 19, 24), (0, 7, 12), (0, 7, 10, 16, 19), (0, 5, 9, 16), (0, 4, 7, 12))

# (onset s, offset s, pitch, velocity)
Notes = list[tuple[float, float, int, int]]
# Bends (s, cents) and controllers (s, number, value).
Touch = tuple[list[tuple[float, float]], list[tuple[float, int, float]]]


def line(sound: Sound, rng: np.random.Generator, seconds: float = SECONDS) -> Notes:
    """Make up a melody, with chords where the instrument has such, or notes with long pauses."""
    notes: Notes = []
    beat, loud = 60 / rng.uniform(60, 160), rng.integers(45, 115)
    sparse, chordal = rng.random() < 0.25, rng.random() < sound.chords
    pitch, time = int(rng.integers(sound.low, sound.high + 1)), rng.uniform(0, 1)
    while time < seconds - 0.2:
        length = beat * rng.choice([0.25, 0.5, 0.5, 1, 1, 2, 4]) if not sparse else rng.uniform(0.2, 4)
        # Within a voice's reach, back to the middle in the end.
        pitch += int(rng.integers(-5, 6)) if not sparse else int(rng.integers(-12, 13))
        pitch = int(np.clip(pitch, sound.low, sound.high))
        stack: Sequence[int] = (0,)
        if chordal and sound.strummed:
            stack = SHAPES[int(rng.integers(len(SHAPES)))][:: int(rng.choice([1, 1, -1]))]
            pitch = min(pitch, sound.low + 14)
        elif chordal:
            stack = (0, *rng.choice([3, 4, 5, 7, 9, 12], int(rng.integers(1, 4)), replace=False))
        held, between = length * rng.uniform(0.4, 1.05), rng.uniform(0.002, 0.03) if sound.strummed else 0.0
        for i, interval in enumerate(stack):
            onset, offset = time + i * between, min(time + held, seconds)
            if pitch + interval <= sound.high and onset < offset:
                velocity = int(np.clip(rng.normal(loud, 10), 15, 127))
                notes.append((onset, offset, int(pitch + interval), velocity))
        time += length + (rng.uniform(0.2, 3) if sparse else beat * (rng.random() < 0.1) * 2)
    return notes


def held(sound: Sound, rng: np.random.Generator, seconds: float = SECONDS) -> Notes:
    """Make up long notes with pauses between, anywhere in the instrument's range and at any velocity."""
    notes: Notes = []
    time = rng.uniform(0, 1)
    while time < seconds - 0.5:
        offset = min(time + rng.uniform(1, 4), seconds)
        notes.append((time, offset, int(rng.integers(sound.low, sound.high + 1)), int(rng.integers(20, 128))))
        time = offset + rng.uniform(0.3, 1.5)
    return notes


def of_a_song(midi: Path, sound: Sound, rng: np.random.Generator) -> Notes:
    """Take an excerpt of a song, brought into the instrument's range; one voice of it where it has no chords."""
    whole = read_midi(midi)
    end = whole.notes[-1, 0] if len(whole.notes) else 0.0
    notes = excerpt(whole, rng.uniform(0, max(0.0, end - SECONDS)), SECONDS).notes
    if not sound.chords:  # the highest of what sounds together
        highest: list[np.ndarray] = []
        for note in notes:
            if highest and note[0] < highest[-1][0] + 0.05:
                highest[-1] = max(highest[-1], note, key=lambda n: n[2])
            else:
                highest.append(note)
        notes = np.array(highest).reshape(-1, 4)
    if not len(notes):
        return line(sound, rng)
    shift = 12 * round((rng.uniform(sound.low + 8, sound.high - 8) - np.median(notes[:, 2])) / 12)
    placed = [(on, off, int(pitch) + shift, int(velocity)) for on, off, pitch, velocity in notes]
    return [note for note in placed if sound.low <= note[2] <= sound.high] or line(sound, rng)


def synthesised(
    soundfont: Path, program: int, notes: Notes, is_drum: bool = False, touch: Touch | None = None
) -> np.ndarray:
    """Play notes through a sound font, with a player's ``touch`` or without."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960)
    midi.instruments = [pretty_midi.Instrument(program, is_drum)]
    midi.instruments[0].notes = [pretty_midi.Note(velocity, pitch, on, off) for on, off, pitch, velocity in notes]
    if touch is not None:
        midi.instruments[0].pitch_bends = [pretty_midi.PitchBend(round(cents * 8192 / 200), t) for t, cents in touch[0]]
        midi.instruments[0].control_changes = [
            pretty_midi.ControlChange(number, round(value), t) for t, number, value in touch[1]
        ]
    return synthesise(soundfont, midi)[: int(SECONDS * SAMPLE_RATE)]


def by_font(
    path: Path,
    program: int,
    notes: Notes,
    rng: np.random.Generator | None = None,
    is_drum: bool = False,
    touch: Touch | None = None,
) -> np.ndarray:
    """Play notes through a sound font within the process, its sound changed at random if ``rng`` is given.

    What plays TiMidity's patches does so in a process of its own, and changes nothing.
    """
    # They read what is sounded here.
    from train.synthesis.fonts import Timbre
    from train.synthesis.players import STEP, Played
    from train.synthesis.scores import Part

    if path.suffix == ".cfg":
        return synthesised(path, program, notes, is_drum, touch)
    bends, controls = touch or ([], [])
    grid = np.arange(0, SECONDS + STEP, STEP)

    def drawn(points: Sequence[tuple[float, float]]) -> np.ndarray | None:
        return np.interp(grid, *np.array(points, float).T) if points else None

    cents, loudness = drawn(bends), drawn([(time, (value / 127) ** 2) for time, _, value in controls])
    part = Part(np.array(sorted(notes), float).reshape(-1, 4), np.zeros((0, 2)), program, is_drum)
    timbre = Timbre() if rng is None else Timbre.draw(rng)
    if is_drum and rng is not None:
        timbre = Timbre(filter=float(rng.uniform(-1500, 300)))
    return _font(path).play(Played(part, "", program, cents, loudness), SECONDS, timbre)


@cache
def _font(path: Path) -> Font:
    from train.synthesis.fonts import Font

    return Font(path)


def touch_of(sound: Sound, rng: np.random.Generator) -> Touch:
    """Tune the instrument; where a player shapes its notes, let vibrato, pitch and loudness wander as they do."""
    tuning = float(np.clip(rng.normal(0, 20), -60, 60))
    if not sound.shaped or rng.random() < 0.25:
        return [(0.0, tuning)], []
    times = np.arange(0, SECONDS, 0.05)
    # Vibrato of 4 to 7 Hz that comes and goes, over a pitch that is never quite steady.
    depth = rng.uniform(0, 30) * np.clip(np.sin(2 * np.pi * (rng.uniform(0.1, 0.6) * times + rng.random())), 0, 1)
    wander = signal.lfilter([0.1], [1, -0.9], rng.normal(0, rng.uniform(2, 25), len(times)))
    cents = tuning + depth * np.sin(2 * np.pi * rng.uniform(4, 7) * times) + wander
    swell = signal.lfilter([0.05], [1, -0.95], rng.normal(0, rng.uniform(0, 120), len(times)))
    loudness = np.clip(rng.uniform(80, 120) + swell, 30, 127)
    return (
        [(float(t), float(c)) for t, c in zip(times, np.clip(cents, -190, 190), strict=True)],
        [(float(t), 11, float(value)) for t, value in zip(times, loudness, strict=True)],
    )


def strung_together(paths: Sequence[Path], rng: np.random.Generator) -> np.ndarray:
    """Play single recorded notes one after the other: whole or cut short, a semitone up or down, with pauses or not."""
    out = np.zeros(int(SECONDS * SAMPLE_RATE), np.float32)
    time, pauses, shift = rng.uniform(0, 0.5), rng.random() < 0.4, rng.uniform(-1, 1)
    while time < SECONDS - 0.2:
        samples = _note(paths[int(rng.integers(len(paths)))])
        down = round(1000 * 2 ** (shift / 12))
        samples = signal.resample_poly(samples, 1000, down)
        length = min(len(samples), int(rng.choice([0.15, 0.3, 0.5, 1, 2, 8]) * SAMPLE_RATE))
        samples = samples[:length] * 10 ** (rng.uniform(-8, 0) / 20)
        fade = min(length, 800)
        samples[-fade:] *= np.linspace(1, 0, fade)
        first = int(time * SAMPLE_RATE)
        samples = samples[: len(out) - first]
        out[first : first + len(samples)] += samples
        time += length / SAMPLE_RATE * rng.uniform(0.8, 1.0) + (rng.uniform(0.1, 2) if pauses else 0.0)
    return out


@cache
def _note(path: Path) -> np.ndarray:
    """Read a note, as loud as any, from its attack on."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = signal.resample_poly(samples.mean(1), SAMPLE_RATE, rate).astype(np.float32)
    mono /= max(float(np.abs(mono).max()), 1e-6)
    loud = np.flatnonzero(np.abs(mono) > 0.02)
    return np.asarray(mono[max(0, loud[0] - 80) : loud[-1] + 1] if len(loud) else mono)


def one_drum(soundfonts: Sequence[Path], keys: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Beat one drum: a rhythm or single strokes; silence where none of the sound fonts has it."""
    pause, time, times = rng.uniform(0.15, 1.5), rng.uniform(0, 0.5), []
    while time < SECONDS - 0.2:
        times.append(max(0.0, time + rng.normal(0, 0.01)))
        time += pause * rng.choice([0.5, 1, 1, 2])
    for soundfont in rng.permutation(np.array(soundfonts, object)):
        kit = int(rng.choice([0, 8, 16, 24, 25, 32, 40]))
        for key in rng.permutation(keys):
            notes = [(on, on + 0.2, int(key), int(rng.integers(50, 127))) for on in times]
            # Fonts of a single kit have it as their first preset, others in the bank of percussion.
            for program, is_drum in ((kit, True), (0, True), (0, False)):
                played = by_font(soundfont, program, notes, rng, is_drum)
                if played.any():
                    return played
    return np.zeros(int(SECONDS * SAMPLE_RATE))


def noise(rng: np.random.Generator) -> np.ndarray:
    """Make noise of any colour from white to brown, steady or swelling: what is no instrument."""
    n_samples = int(SECONDS * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    spectrum *= np.maximum(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), 20.0) ** (-rng.choice([0, rng.uniform(0, 1)]))
    samples = np.fft.irfft(spectrum, n_samples)
    swell = np.interp(np.arange(n_samples), np.arange(0, n_samples + 1, n_samples / 10), rng.uniform(-1, 1, 11))
    samples *= 10 ** (rng.choice([0, rng.uniform(0, 12)]) * swell / 20)
    return np.asarray(samples * (10 ** (rng.uniform(-35, 0) / 20) / np.abs(samples).max()))


@dataclass(frozen=True)
class _Sources:
    soundfonts: tuple[Path, ...]
    drums: tuple[Path, ...]
    notes: dict[str, tuple[Path, ...]]
    pianos: tuple[Path, ...]
    midi: tuple[Path, ...]
    sounds: Path | None
    rooms: Path | None
    codecs: bool
    held: float
    out: Path
    seed: int


@cache
def _bank(folder: Path) -> list[Piano]:
    return load_pianos(folder)


@cache
def _studio(room_file: Path | None, sounds: Path | None, codecs: bool) -> recorder.Studio:
    # Nobody speaks over these: it would be a second sound.
    return recorder.Studio(rooms.load(room_file) if room_file else (), (), tuple(recorder.CODECS) if codecs else ())


def plan(sources: _Sources, n_clips: int) -> list[tuple[str, str]]:
    """Choose kind and folder of every clip: each program of each sound font alike, and the others in their shares."""
    jobs = [("program", name) for name in SOUNDS for _ in range(2)] if sources.soundfonts else []
    jobs += [("real", name) for name in sources.notes for _ in range(SHARES["real"] // 4)]
    jobs += [("modelled", name) for name in modelled.INSTRUMENTS for _ in range(SHARES["modelled"])]
    jobs += [("sampled piano", "piano")] * SHARES["sampled piano"] if sources.pianos else []
    if sources.drums:
        jobs += [("drums", "drums")] * SHARES["drums"]
        jobs += [("drum", name) for name in DRUMS for _ in range(SHARES["drum"] // 2)]
    jobs += [("noise", "noise")] * SHARES["noise"]
    jobs += [("speech", "speech")] * SHARES["speech"] if sources.sounds else []
    return [jobs[i % len(jobs)] for i in range(n_clips)]


def solo(kind: str, name: str, sources: _Sources, rng: np.random.Generator) -> np.ndarray:
    """Make one clip, dry."""
    n_samples = int(SECONDS * SAMPLE_RATE)
    if kind == "program":
        sound = SOUNDS[name]
        if rng.random() < sources.held:
            notes = held(sound, rng)
        elif sources.midi and rng.random() < 0.4:
            notes = of_a_song(sources.midi[int(rng.integers(len(sources.midi)))], sound, rng)
        else:
            notes = line(sound, rng)
        soundfont = sources.soundfonts[int(rng.integers(len(sources.soundfonts)))]
        return by_font(soundfont, int(rng.choice(sound.programs)), notes, rng, touch=touch_of(sound, rng))
    if kind == "modelled":
        return modelled.play(name, line(SOUNDS[name], rng), SECONDS, rng)
    if kind == "real":
        return strung_together(sources.notes[name], rng)
    if kind == "sampled piano":
        bank = _bank(sources.pianos[int(rng.integers(len(sources.pianos)))])
        performance = read_midi(sources.midi[int(rng.integers(len(sources.midi)))])
        start = rng.uniform(0, max(0.0, performance.notes[-1, 0] - SECONDS))
        return play(bank[int(rng.integers(len(bank)))], excerpt(performance, start, SECONDS), SECONDS, rng)
    if kind == "noise":
        return noise(rng)
    if kind == "drums":
        return drums(sources.drums[int(rng.integers(len(sources.drums)))], SECONDS, rng)
    if kind == "drum":
        return one_drum(sources.drums, DRUMS[name], rng)
    assert sources.sounds is not None
    spoken = sorted(sources.sounds.glob("speech*.flac"))
    return recorder.excerpt_of(spoken[int(rng.integers(len(spoken)))], n_samples, rng)


def _write_one(job: tuple[int, tuple[str, str]], sources: _Sources) -> None:
    index, (kind, name) = job
    folder = sources.out / name
    path = folder / f"{index:05d}.flac"
    if path.exists():
        return
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng([sources.seed, index])
    samples = solo(kind, name, sources, rng)
    if not np.any(samples):
        return  # the sound font has no such sound
    studio = _studio(sources.rooms, sources.sounds, sources.codecs)
    recorded = recorder.record(np.asarray(samples, np.float64), SAMPLE_RATE, rng, 0.4, studio)
    soundfile.write(path, recorded, SAMPLE_RATE, subtype="PCM_16")


def main() -> None:
    """Write clips on all cores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--soundfonts", type=Path, nargs="*", default=[])
    parser.add_argument("--drums", type=Path, nargs="*", default=[], help="sound fonts with drums")
    parser.add_argument("--notes", type=Path, nargs="*", default=[], help="with folders of single notes in them")
    parser.add_argument("--pianos", type=Path, nargs="*", default=[], help="sampled pianos (train/synthesis/banks.py)")
    parser.add_argument("--midi", type=Path, required=True, help="folder of songs")
    parser.add_argument("--sounds", type=Path, help="folder with speech*.flac (train/synthesis/sounds.py)")
    parser.add_argument("--rooms", type=Path, help="responses (train/synthesis/rooms.py)")
    parser.add_argument("--codecs", action="store_true")
    parser.add_argument("--held", type=float, default=0.3, help="share of the sound fonts' clips that hold their notes")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    for options in recipes.parsed(parser, None, Path(__file__).parent):
        _write(options)


def _write(options: argparse.Namespace) -> None:
    notes: dict[str, tuple[Path, ...]] = {}
    for bank, (folder, name) in itertools.product(options.notes, NOTES.items()):
        if found := tuple(sorted((bank / folder).glob("*.*"))):
            notes[name] = notes.get(name, ()) + found
    sources = _Sources(
        tuple(options.soundfonts),
        tuple(options.drums),
        notes,
        tuple(options.pianos),
        tuple(sorted(path for path in options.midi.rglob("*.mid") if "versions" not in path.parts)),
        options.sounds,
        options.rooms,
        options.codecs,
        options.held,
        options.out,
        options.seed,
    )
    options.out.mkdir(parents=True, exist_ok=True)
    jobs = list(enumerate(plan(sources, round(options.hours * 3600 / SECONDS))))
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for _ in Progress(pool.imap_unordered(partial(_write_one, sources=sources), jobs, 4), "recording", len(jobs)):
            pass


if __name__ == "__main__":
    main()
