"""Sampled pianos as the public offers them → banks that :mod:`train.synthesis.piano` plays.

    python -m train.synthesis.banks sfz SalamanderGrandPianoV3.sfz --out banks/salamander
    python -m train.synthesis.banks soundfont FluidR3_GM.sf2 --program 0 --out banks/fluid-grand
    python -m train.synthesis.banks files Piano.ff.*.aiff --out banks/steinway-iowa

``sfz`` reads SFZ 1 (with ``#include`` and ``#define``); ``soundfont`` lets FluidSynth play every third key of an SF2,
SF3 or DLS; ``files`` takes recordings of single notes whose names end in the note, as the University of Iowa offers
them. A bank is a folder of 16 kHz files, leading silence cut, with ``samples.csv``; release samples are kept apart.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from train.synthesis.sounds import SAMPLE_RATE, synthesise
from transcribe.audio.reader import load_audio

LONGEST = 8.0  # seconds kept of a note
SILENCE = 10 ** (-50 / 20)  # of the peak: what is cut before a note
SOUNDFONT_PITCHES = range(21, 109, 3)
SOUNDFONT_VELOCITIES = (15, 40, 64, 88, 115)
_SEMITONES = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


@dataclass(frozen=True)
class Region:
    """A sample and where it belongs; ``velocity`` is the lowest that plays it."""

    sample: Path
    pitch: int
    velocity: int
    release: bool = False


def parse_note(name: str) -> int:
    """Read a note as MIDI number: ``60``, ``c4``, ``Bb3``, ``f#-1``.

    Raises
    ------
    ValueError
        If it is none.
    """
    if name.lstrip("-").isdigit():
        return int(name)
    found = re.fullmatch(r"([a-gA-G])([#b]?)(-?\d)", name)
    if not found:
        raise ValueError(f"{name!r} is no note")
    letter, accidental, octave = found.groups()
    return 12 * (int(octave) + 1) + _SEMITONES[letter.lower()] + {"#": 1, "b": -1, "": 0}[accidental]


def read_sfz(path: Path) -> list[Region]:
    """Find the regions of an SFZ file: first of round robins, attack and release alike, one a file."""
    regions: dict[Path, Region] = {}
    inherited: dict[str, dict[str, str]] = {"control": {}, "global": {}, "master": {}, "group": {}}
    levels = list(inherited)
    for header, opcodes in _sections(_source(path, path.parent, {})):
        if header in inherited:
            inherited[header] = opcodes
            for lower in levels[levels.index(header) + 1 :]:
                inherited[lower] = {}
        elif header == "region":
            merged: dict[str, str] = {}
            for level in levels:
                merged |= inherited[level]
            region = _region({**merged, **opcodes}, path.parent)
            if region is not None:
                regions.setdefault(region.sample, region)
    return list(regions.values())


def _source(path: Path, root: Path, defines: dict[str, str]) -> str:
    """Read a file with its comments taken out, its defines and includes put in."""
    lines = []
    for line in re.sub(r"//.*|/\*.*?\*/", "", path.read_text(encoding="utf-8", errors="replace")).splitlines():
        define = re.match(r"\s*#define\s+(\$\w+)\s+(\S+)", line)
        include = re.match(r'\s*#include\s+"([^"]+)"', line)
        for name in sorted(defines, key=len, reverse=True):
            line = line.replace(name, defines[name])
        if define:
            defines[define[1]] = define[2]
        elif include:
            lines.append(_source(root / include[1].replace("\\", "/"), root, defines))
        else:
            lines.append(line)
    return "\n".join(lines)


def _sections(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for header, body in re.findall(r"<(\w+)>([^<]*)", text):
        # A value goes on to the next opcode or the end of the line: file names hold spaces.
        yield header, dict(re.findall(r"(\w+)=(.*?)(?=\s+\w+=|\s*$)", body, re.MULTILINE))


def _region(opcodes: dict[str, str], root: Path) -> Region | None:
    if "sample" not in opcodes or opcodes["sample"].startswith("*") or opcodes.get("seq_position", "1") != "1":
        return None
    key = opcodes.get("pitch_keycenter", opcodes.get("key", opcodes.get("lokey", "60")))
    file = root / (opcodes.get("default_path", "") + opcodes["sample"]).replace("\\", "/")
    velocity = int(opcodes.get("lovel", "1"))
    return Region(file, parse_note(key), velocity, opcodes.get("trigger", "attack").startswith("release"))


def read_files(paths: Iterable[Path]) -> list[Region]:
    """Take the note from a word of each file's name (``Piano.ff.Bb4``, ``guitar_As2_forte``); all are of one layer."""
    regions = []
    for path in paths:
        found = re.search(r"(?:^|[._ ])([A-Ga-g])([#bs]?)(-?\d)(?=[._ ]|$)", path.stem)
        if not found:
            raise ValueError(f"{path}: there is no note in its name")
        regions.append(Region(path, parse_note(found[1] + found[2].replace("s", "#") + found[3]), 1))
    return regions


def write_bank(notes: Iterable[tuple[Region, np.ndarray]], folder: Path) -> None:
    """Write notes (samples at ``SAMPLE_RATE``) and ``samples.csv``; silent ones are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for region, samples in notes:
        peak = float(np.abs(samples).max(initial=0.0))
        if peak > 1e-5:
            start = int(np.argmax(np.abs(samples) > peak * SILENCE))
            kept.append((region, peak, 0.9 * samples[start : start + int(LONGEST * SAMPLE_RATE)] / peak))
    layers = {kind: sorted({r.velocity for r, _, _ in kept if r.release == kind}) for kind in (False, True)}
    rows = []
    for region, peak, samples in kept:
        layer, trigger = layers[region.release].index(region.velocity) + 1, "release" if region.release else "attack"
        name = f"{region.pitch:03d}_{layer:02d}_{trigger}.flac"
        soundfile.write(folder / name, samples, SAMPLE_RATE)
        rows.append((name, region.pitch, layer, "", trigger, f"{peak:.6f}"))
    if not rows:
        raise ValueError(f"{folder}: no sample can be used")
    with (folder / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("file", "pitch", "velocity_layer", "microphone", "trigger", "original_peak"), *rows]
        )


def from_soundfont(font: Path, program: int) -> Iterator[tuple[Region, np.ndarray]]:
    """Let FluidSynth play the keys, a note every ``LONGEST`` seconds."""
    import pretty_midi

    instrument = pretty_midi.Instrument(program)
    keys = [(pitch, velocity) for pitch in SOUNDFONT_PITCHES for velocity in SOUNDFONT_VELOCITIES]
    for i, (pitch, velocity) in enumerate(keys):
        instrument.notes.append(pretty_midi.Note(velocity, pitch, i * LONGEST, (i + 0.9) * LONGEST))
    midi = pretty_midi.PrettyMIDI()
    midi.instruments = [instrument]
    played = synthesise(font, midi)
    for i, (pitch, velocity) in enumerate(keys):
        start = int(i * LONGEST * SAMPLE_RATE)
        yield Region(font, pitch, velocity), played[start : start + int(0.9 * LONGEST * SAMPLE_RATE)]


def main() -> None:
    """Make one bank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("sfz", "soundfont", "files"))
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--program", type=int, default=0, help="of a sound font: General MIDI, from 0")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.kind == "soundfont":
        write_bank(from_soundfont(options.sources[0], options.program), options.out)
        return
    regions = read_sfz(options.sources[0]) if options.kind == "sfz" else read_files(options.sources)
    write_bank(((region, load_audio(region.sample, SAMPLE_RATE).samples) for region in regions), options.out)


if __name__ == "__main__":
    main()
