"""Bands for training the notes of any instruments: one to eight parts, each with its player, sound and place.

    python -m train.synthesis.bands recipes/bands.toml

writes pairs ``00000.flac`` and ``00000.mid``: 20 to 60 s of a piece, its parts given to other instruments, played with
vibrato, slides and swells, by sound fonts, sampled notes and pianos, modelled strings, winds and voices; drums of
their own or a drummer's; recorded as :mod:`train.synthesis.recorder` does. The labels have a track for each family that
plays, with its General MIDI program, and drums on channel 10. ``00000.json`` says what was played by what. A second
call goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from train import recipes
from train.progress import Progress
from train.synthesis import modelled, recorder, rooms, samplers, scores, singers
from train.synthesis.fonts import Font, Timbre
from train.synthesis.performances import Performance, syncopated_pedal
from train.synthesis.piano import SAMPLE_RATE, Piano, Voicing, load_pianos, play
from train.synthesis.players import Played, cast_part, humanised, touched, warped
from train.synthesis.scores import Part
from transcribe.theory.families import DRUM_KEYS, DRUM_OF_KEY, FAMILIES, PROGRAMS

SHORTEST, LONGEST = 20.0, 60.0  # seconds of an excerpt
MOST_PARTS = 8
# How often a part that could be played by a sampled piano, sampled notes, a model or a singer is; else by a font.
_PIANO_SHARE, _SAMPLED_SHARE, _MODELLED_SHARE, _SUNG_SHARE = 0.5, 0.35, 0.35, 0.65
# Below half a semitone with what the instruments are off themselves, or labels would be the next key's.
_DETUNED = (-36.0, 36.0)  # cents


@dataclass(frozen=True)
class Sounds:
    """What can play."""

    fonts: Sequence[Font]
    kits: Sequence[Font]
    pianos: Sequence[Piano] = ()
    sampled: Mapping[str, Sequence[list[samplers.Recorded]]] | None = None
    modelled: bool = False


@dataclass(frozen=True)
class Band:
    """An excerpt made: samples, what was played, and what by."""

    samples: np.ndarray
    parts: tuple[Played, ...]
    sources: tuple[str, ...]


def arrange(parts: Sequence[Part], rng: np.random.Generator, alone: float, together: float = 0.0) -> list[Part]:
    """Choose who plays, in any key: a lone part, or up to eight, some of them with a bass or a melody of its own.

    A share of ``together`` has one player for all that isn't drums.
    """
    pitched = [part for part in parts if not part.is_drums]
    drums = [part for part in parts if part.is_drums]
    if pitched and together and rng.random() < together:
        chosen = [scores.merge(pitched)]
    elif pitched and rng.random() < alone:
        chosen = [pitched[int(rng.integers(len(pitched)))]]
    else:
        count = min(len(pitched), int(rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.05, 0.2, 0.2, 0.25, 0.12, 0.1, 0.08])))
        chosen = [pitched[i] for i in sorted(rng.permutation(len(pitched))[:count])]
        if chosen and rng.random() < 0.35:
            i = int(np.argmax([len(part.notes) * part.is_polyphonic for part in chosen]))
            chosen[i : i + 1] = [part for part in scores.split_melody(chosen[i]) if len(part.notes)]
        if chosen and rng.random() < 0.35 and min(np.median(part.notes[:, 2]) for part in chosen) > 48:
            chosen.append(scores.bass_line(chosen))
        chosen += drums if rng.random() < 0.85 or not chosen else []
    shift = int(rng.integers(-6, 6))
    moved = []
    for part in chosen[:MOST_PARTS]:
        notes = part.notes.copy()
        notes[:, 2] += 0 if part.is_drums else shift
        moved.append(replace(part, notes=notes))
    return moved


def perform(
    parts: Sequence[Part],
    seconds: float,
    rng: np.random.Generator,
    kept: float,
    scatter: float,
    families: Sequence[str] = FAMILIES,
) -> list[Played]:
    """Give every part to a musician and let them play."""
    cast = [played for part in parts if (played := cast_part(part, rng, kept, families)) is not None]
    band = []
    for played in cast:
        on_piano = played.family == "piano"
        pedals = played.part.pedals if on_piano else played.part.pedals[:0]
        if on_piano and not len(pedals) and rng.random() < 0.3:
            pedals = syncopated_pedal(played.part.notes[:, 0], seconds, rng)
        played = replace(played, part=replace(played.part, pedals=pedals))
        played = touched(humanised(played, rng, scatter), rng, seconds)
        band += [replace(played, part=part) for part in scores.cut([played.part], 0.0, seconds)]
    return band


def sound_of(
    played: Played, seconds: float, rng: np.random.Generator, sounds: Sounds, tuning: float
) -> tuple[np.ndarray, str]:
    """Play a part dry, by what can play it, and name that."""
    if played.part.is_drums:
        font = sounds.kits[int(rng.integers(len(sounds.kits)))]
        return font.play(played, seconds, Timbre(filter=float(rng.uniform(-1500, 300)))), font.name
    if played.family == "piano" and sounds.pianos and rng.random() < _PIANO_SHARE:
        bank = sounds.pianos[int(rng.integers(len(sounds.pianos)))]
        voicing = Voicing.draw(rng)
        voicing = replace(voicing, cents=voicing.cents - voicing.cents[69] + tuning)
        return play(bank, Performance(played.part.notes, played.part.pedals), seconds, rng, voicing), bank.name
    choices = (sounds.sampled or {}).get(played.sound, ())
    if choices and rng.random() < _SAMPLED_SHARE:
        recordings = choices[int(rng.integers(len(choices)))]
        if samplers.can_play(recordings, played):
            return samplers.play(recordings, played, seconds, rng, tuning), "sampled notes"
    alone = not played.part.is_polyphonic
    if sounds.modelled and alone and played.family == "voice" and rng.random() < _SUNG_SHARE:
        return singers.sing(played, seconds, rng, tuning), "singer"
    if sounds.modelled and alone and played.sound in modelled.INSTRUMENTS and rng.random() < _MODELLED_SHARE:
        notes = [(on, off, int(pitch), int(velocity)) for on, off, pitch, velocity in played.part.notes]
        return modelled.play(played.sound, notes, seconds, rng), "model"
    font = sounds.fonts[int(rng.integers(len(sounds.fonts)))]
    return font.play(played, seconds, Timbre.draw(rng), tuning), font.name


def mix(
    band: Sequence[Played], seconds: float, rng: np.random.Generator, sounds: Sounds, studio: recorder.Studio
) -> Band:
    """Play all parts, each as loud as it is, in its place, and record them together; who can't be heard is left out."""
    tuning = float(np.clip(rng.normal(0, 6) if rng.random() < 0.6 else rng.uniform(*_DETUNED), *_DETUNED))
    total = np.zeros(round(seconds * SAMPLE_RATE))
    heard, sources = [], []
    spread_out = rng.random() < 0.35  # each in a place of its own
    for played in band:
        dry, source = sound_of(played, seconds, rng, sounds, float(np.clip(tuning + rng.normal(0, 4), *_DETUNED)))
        dry = np.pad(np.asarray(dry, np.float64)[: len(total)], (0, max(0, len(total) - len(dry))))
        loud = np.sort(np.square(dry[::64]))
        level = float(np.sqrt(loud[int(0.6 * len(loud)) :].mean()))  # of what sounds, not of its pauses
        if level < 1e-6:
            continue
        dry = dry / level * 10 ** (float(np.clip(rng.normal(0, 4), -9, 6)) / 20)
        if rng.random() < 0.3:
            dry = recorder.equalise(dry, SAMPLE_RATE, rng, strongest=4)
        if rng.random() < (0.3 if played.sound == "electric guitar" else 0.04):
            dry = recorder.saturate(dry, rng)
        if spread_out and studio.rooms:
            dry = recorder.in_room(dry, studio.rooms[int(rng.integers(len(studio.rooms)))], rng)
        total += dry
        heard.append(played)
        sources.append(source)
    samples = recorder.record(total, SAMPLE_RATE, rng, 0.2, studio, careful=0.45)
    return Band(np.asarray(samples, np.float32), tuple(heard), tuple(sources))


def without_notes(seconds: float, rng: np.random.Generator, studio: recorder.Studio) -> Band:
    """Silence, noise or speech: nobody plays."""
    samples = np.zeros(round(seconds * SAMPLE_RATE))
    if rng.random() < 0.6 and studio.voices:
        samples += recorder.excerpt_of(studio.voices[int(rng.integers(len(studio.voices)))], len(samples), rng)
    elif rng.random() < 0.8:
        samples += rng.standard_normal(len(samples)) * 1e-3
    return Band(recorder.record(samples, SAMPLE_RATE, rng, studio=studio), (), ())


def write_pair(out: Path, name: str, band: Band, about: Mapping[str, Any]) -> None:
    """Write ``name.flac``, ``name.json`` and ``name.mid``; the labels last, so that a pair is whole where they are."""
    import pretty_midi

    soundfile.write(out / f"{name}.flac", band.samples, SAMPLE_RATE, subtype="PCM_16")
    sources = zip(band.parts, band.sources, strict=True)
    played = [[part.family or "drums", part.sound, part.program, source] for part, source in sources]
    (out / f"{name}.json").write_text(json.dumps({**about, "parts": played}) + "\n", encoding="utf-8")
    midi = pretty_midi.PrettyMIDI(resolution=9600, initial_tempo=60.0)
    tracks: dict[str, Any] = defaultdict(lambda: None)
    for part in band.parts:
        family = part.family or "drums"
        if tracks[family] is None:
            tracks[family] = pretty_midi.Instrument(PROGRAMS.get(family, 0), part.part.is_drums, family)
            if family == "piano":  # a first CC64 says that the pedal is known, even if it is never used
                tracks[family].control_changes.append(pretty_midi.ControlChange(64, 0, 0.0))
        for onset, offset, pitch, velocity in part.labels:
            if part.part.is_drums:
                drum = DRUM_OF_KEY.get(int(pitch))
                if drum is None:
                    continue
                pitch = DRUM_KEYS[drum]
            tracks[family].notes.append(pretty_midi.Note(int(velocity), int(pitch), float(onset), float(offset)))
        for down, up in part.part.pedals:
            tracks[family].control_changes += [
                pretty_midi.ControlChange(64, 127, float(down)), pretty_midi.ControlChange(64, 0, float(up))
            ]  # fmt: skip
    midi.instruments = list(tracks.values())
    part_file = out / f"{name}.part"
    midi.write(str(part_file))
    part_file.replace(out / f"{name}.mid")


def make(
    folders: Sequence[Sequence[Path]],
    drummers: Sequence[Path],
    rng: np.random.Generator,
    sounds: Sounds,
    studio: recorder.Studio,
    options: argparse.Namespace,
) -> tuple[Band, str]:
    """Make one excerpt, and name the piece; where nobody can play what was drawn, another is."""
    seconds = float(rng.uniform(SHORTEST, LONGEST))
    if rng.random() < options.silent_share:
        return without_notes(seconds, rng, studio), ""
    while True:
        folder = folders[int(rng.integers(len(folders)))]
        path = folder[int(rng.integers(len(folder)))]
        whole = scores.read_parts(path)
        # A span that fills the excerpt in any tempo.
        start = rng.uniform(0, max(0.0, scores.duration(whole) - seconds))
        excerpt = scores.cut(whole, start, 1.35 * seconds)
        parts = arrange(excerpt, rng, options.alone_share, options.together_share)
        if drummers and not any(part.is_drums for part in parts) and rng.random() < options.drummer_share:
            beat = scores.read_parts(drummers[int(rng.integers(len(drummers)))])
            start = rng.uniform(0, max(0.0, scores.duration(beat) - seconds))
            parts += scores.cut(beat, start, 1.35 * seconds)
        if not parts:
            continue
        parts = scores.cut(warped(parts, rng), 0.0, seconds)
        performed = any(word in path.parts for word in options.performed)
        scatter = 0.002 if performed else float(rng.choice([0.003, 0.008, 0.015, 0.025]))
        band = perform(parts, seconds, rng, options.kept_share, scatter, options.families)
        if band:
            return mix(band, seconds, rng, sounds, studio), f"{path.parent.name}/{path.name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for the pairs")
    add("--midi", type=Path, nargs="+", required=True, help="folders of MIDI files, each as likely as the others")
    add("--drummers", type=Path, nargs="*", default=[], help="folders of MIDI of drums, for pieces without")
    add("--performed", nargs="*", default=[], help="names of folders whose timing is a player's own already")
    add("--split", choices=("train", "validation"), default="train", help="which of the pieces")
    add("--fonts", type=Path, nargs="+", required=True, help="sound fonts for what has a pitch")
    add("--kits", type=Path, nargs="+", required=True, help="sound fonts for drums")
    add("--pianos", type=Path, nargs="*", default=[], help="sampled pianos (train.synthesis.banks)")
    add("--sampled", type=Path, help="folder of single notes with notes.csv")
    add("--modelled", action=argparse.BooleanOptionalAction, default=False, help="modelled sounds as well")
    add("--rooms", type=Path, help="impulse responses made by train.synthesis.rooms")
    add("--sounds", type=Path, help="folder with speech*.flac made by train.synthesis.sounds")
    add("--codecs", action="store_true", help="MP3, AAC and Opus, by PyAV")
    add("--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="who may play what isn't drums")
    add("--together-share", type=float, default=0.0, help="one player for all parts, as of a piano's two hands")
    add("--alone-share", type=float, default=0.3, help="one part only")
    add("--silent-share", type=float, default=0.05, help="silence, noise, speech")
    add("--drummer-share", type=float, default=0.3, help="a drummer for pieces without drums")
    add("--kept-share", type=float, default=0.3, help="parts that stay with the instrument that the file names")
    add("--hours", type=float, default=1.0)
    add("--seed", type=int, default=0)
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Render on one core; several calls with other seeds take several."""
    parser = _parser()
    for options in recipes.parsed(parser, arguments, Path(__file__).parent):
        _render(options, parser)


def _render(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    validation = options.split == "validation"
    folders = [scores.find_pieces(folder, validation) for folder in options.midi]
    for folder, paths in zip(options.midi, folders, strict=True):
        if not paths:
            parser.error(f"{folder}: no .mid file of the {options.split} split; see --midi and --split")
    drummers = [path for folder in options.drummers for path in scores.find_pieces(folder, validation)]
    opened = {path: Font(path) for path in {*options.fonts, *options.kits}}
    sounds = Sounds(
        [opened[path] for path in options.fonts],
        [opened[path] for path in options.kits],
        [piano for folder in options.pianos for piano in load_pianos(folder)],
        samplers.load_bank(options.sampled) if options.sampled else None,
        options.modelled,
    )
    studio = recorder.Studio(
        rooms.load(options.rooms) if options.rooms else (),
        sorted(options.sounds.glob("speech*.flac")) if options.sounds else (),
        tuple(recorder.CODECS) if options.codecs else (),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    count = round(options.hours * 3600 / ((SHORTEST + LONGEST) / 2))
    for index in Progress(range(count), "bands", count):
        name = f"{index:05d}"
        if not (options.out / f"{name}.mid").exists():
            rng = np.random.default_rng([options.seed, index])
            band, piece = make(folders, drummers, rng, sounds, studio, options)
            write_pair(options.out, name, band, {"piece": piece})


if __name__ == "__main__":
    main()
