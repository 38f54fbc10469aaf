"""What is no piano: speech (espeak-ng) and drums (FluidSynth), to play over the music or without any.

    python -m train.synthesis.sounds --out runs/sounds --soundfonts Red_Zeppelin_4_LV2.sf2 --voices en-us+m1 de+f2 fr+m3

Both programs come with Debian (``espeak-ng``, ``fluidsynth``). Other voices and another sound font make sounds to be
judged by.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from scipy import signal

from train import recipes

if TYPE_CHECKING:
    from pretty_midi import PrettyMIDI

SAMPLE_RATE = 16000
SECONDS = 30.0
VOICES = ["en-us+m1", "en-gb+f2", "de+m3", "de+f1", "fr+m2", "fr+f4", "es+m4", "it+f3", "nl+m5", "ru+m1", "pl+f2"]
KICK, SNARE, CLOSED_HIHAT, OPEN_HIHAT, CRASH, RIDE = 36, 38, 42, 46, 49, 51
TOMS = (41, 43, 45, 47, 48, 50)


def speech(voice: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Let espeak-ng talk nonsense of plausible syllables, with pauses."""
    pieces, length = [], 0
    while length < seconds * SAMPLE_RATE:
        words = ["".join(_syllable(rng) for _ in range(rng.integers(1, 4))) for _ in range(rng.integers(4, 12))]
        command = ["espeak-ng", "-v", voice, "-s", str(rng.integers(120, 210)), "-p", str(rng.integers(20, 80))]
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            subprocess.run([*command, "-w", file.name, " ".join(words) + "."], check=True)
            samples, rate = soundfile.read(file.name, dtype="float32")
        spoken = signal.resample_poly(samples, SAMPLE_RATE, rate)
        pieces += [spoken, np.zeros(int(rng.uniform(0.1, 1.5) * SAMPLE_RATE))]
        length += len(pieces[-2]) + len(pieces[-1])
    return np.concatenate(pieces)[: int(seconds * SAMPLE_RATE)]


def _syllable(rng: np.random.Generator) -> str:
    consonants = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "st", "tr", "pl", "v"]
    return str(rng.choice(consonants)) + str(rng.choice(list("aeiou"))) + str(rng.choice(["", "", "n", "r", "s", "l"]))


def drums(soundfont: Path, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Let FluidSynth play a made-up drum part: a pattern of 16 steps, varied, with fills."""
    import pretty_midi

    hits = []
    step = 60 / rng.uniform(70, 180) / 4
    chances = {KICK: rng.uniform(0.1, 0.4, 16), SNARE: rng.uniform(0, 0.15, 16)}
    chances[KICK][[0, 8]] = 0.95
    chances[SNARE][[4, 12]] = 0.95
    chances[int(rng.choice([CLOSED_HIHAT, OPEN_HIHAT, RIDE]))] = np.tile([0.95, rng.uniform(0, 0.9)], 8)
    for i in range(int(seconds / step)):
        struck = [drum for drum, chance in chances.items() if rng.random() < chance[i % 16]]
        if i % 64 >= 56 and rng.random() < 0.6:
            struck = [int(rng.choice(TOMS))]
        if i % 64 == 0:
            struck.append(CRASH)
        for drum in struck:
            start = max(0.0, i * step + rng.normal(0, 0.006))
            hits.append(pretty_midi.Note(int(rng.integers(50, 125)), drum, start, start + 0.2))
    # Fonts of a single kit have it as their first preset, others in the bank of percussion.
    for is_drum in (True, False):
        midi = pretty_midi.PrettyMIDI()
        midi.instruments = [pretty_midi.Instrument(0, is_drum)]
        midi.instruments[0].notes = hits
        played = synthesise(soundfont, midi)[: int(seconds * SAMPLE_RATE)]
        if played.any():
            return played
    raise ValueError(f"{soundfont}: no drums in this sound font")


def synthesise(soundfont: Path, midi: PrettyMIDI, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """Play MIDI with FluidSynth, or TiMidity where the font is its configuration (.cfg); no reverb, no chorus.

    Returns
    -------
    np.ndarray
        float32 (n_samples,), mono; no samples where a note would sound for ever.

    Raises
    ------
    ValueError
        If the file is no sound font.
    """
    patches = soundfont.suffix == ".cfg"
    with soundfont.open("rb") as font:
        if not patches and font.read(4) != b"RIFF":  # FluidSynth would take its default instead
            raise ValueError(f"{soundfont}: no sound font")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = f"{folder}/score.mid", f"{folder}/sound.wav"
        midi.write(score)
        command = ["fluidsynth", "-niq", "-R", "0", "-C", "0", "-g", "0.6", "-r", str(sample_rate), "-T", "wav"]
        # Only the samples that are played: compressed fonts (SF3) take long to unpack.
        command += ["-o", "synth.dynamic-sample-loading=1", "-O", "float", "-F", sound, str(soundfont), score]
        if patches:
            command = ["timidity", "-c", str(soundfont), "-EFreverb=0", "-EFchorus=0", "-s", str(sample_rate), "-Ow"]
            command += ["-o", sound, score]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=30 + midi.get_end_time())
        except subprocess.TimeoutExpired:  # some sounds never end, and FluidSynth waits for it
            return np.zeros(0, np.float32)
        samples, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    return np.asarray(samples.mean(1))


def main() -> None:
    """Write ``speech-NNN.flac`` and ``drums-NNN.flac`` of 30 s each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--soundfonts", type=Path, nargs="+", required=True, help="for the drums")
    parser.add_argument("--voices", nargs="+", default=VOICES, help="of espeak-ng")
    parser.add_argument("--count", type=int, default=40, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    for options in recipes.parsed(parser, None, Path(__file__).parent):
        _write(options)


def _write(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    for i in range(options.count):
        rng = np.random.default_rng([options.seed, i])
        made = {
            "speech": speech(options.voices[i % len(options.voices)], SECONDS, rng),
            "drums": drums(options.soundfonts[i % len(options.soundfonts)], SECONDS, rng),
        }
        for kind, samples in made.items():
            samples = 0.9 * samples / max(float(np.abs(samples).max()), 1e-6)
            soundfile.write(options.out / f"{kind}-{i:03d}.flac", samples, SAMPLE_RATE)


if __name__ == "__main__":
    main()
