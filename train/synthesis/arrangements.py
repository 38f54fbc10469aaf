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
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile
from scipy import signal

from train import recipes
from train.progress import Progress
from train.synthesis import recorder, rooms
from train.synthesis.performances import Performance
from train.synthesis.piano import Piano, Voicing, load_pianos, play
from train.synthesis.songs import (
    EXCERPT,
    Notes,
    Song,
    Span,
    bass_line,
    comped,
    drum_part,
    excerpt,
    held,
    made_up,
    picked,
    read_song,
    rested,
    songs_of,
    strummed,
    vary,
)
from train.synthesis.sounds import SAMPLE_RATE, synthesise
from transcribe.theory.chords import NO_CHORD, parse_name

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
        if options.rest_share and rng.random() < options.rest_share:
            song = rested(song, rng)
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
    parser.add_argument("--rest-share", type=float, default=0.0, help="songs in which everybody pauses now and then")
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
            for _ in Progress(pool.imap_unordered(partial(_strum_one, options=options), jobs), "strum", len(jobs)):
                pass
        return
    options.midi = songs_of(options.songs, options.split) if options.songs else []
    if not options.midi:
        parser.error(f"{options.songs}: no songs of POP909's layout (001.mid, 001_chord_midi.txt …)")
    count = round(options.hours * 3600 / EXCERPT)
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        done = pool.imap_unordered(partial(_render_one, options=options), range(count))
        for _ in Progress(done, "minute", count):
            pass


if __name__ == "__main__":
    main()
