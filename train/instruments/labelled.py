"""Sets of labelled clips to evaluate the instruments network on, from sound fonts it wasn't trained on.

    python -m train.instruments.labelled notes --out runs/notes-test --soundfonts sf_GMbank.sf2 --clips 1100
    python -m train.instruments.labelled four --out runs/four-test --soundfonts sf_GMbank.sf2 --clips 400

``notes`` is made as NSynth is: one note a clip, 3 s held in 4 s, at five velocities, every family as often; written in
its layout. ``four`` is the literature's construction of four classes: 3 s of acoustic guitar, piano, trumpet or violin,
then pairs of them summed after normalising; written in the layout of IRMAS' test, in ``single`` and ``pairs``.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import soundfile

from train.instruments.truth import truth_of
from train.progress import Progress
from train.synthesis.piano import SAMPLE_RATE
from train.synthesis.solos import SOUNDS, by_font, line, touch_of
from transcribe.instruments.datasets import IRMAS_CODES
from transcribe.instruments.decoder import FAMILIES

FOUR = ("acoustic guitar", "piano", "trumpet", "violin")
VELOCITIES = (25, 50, 75, 100, 127)


def families() -> dict[str, list[str]]:
    """List the sounds of every family of NSynth, by family."""
    found: dict[str, list[str]] = {family: [] for family in FAMILIES if family != "drums"}
    for name in SOUNDS:
        for label in truth_of(name).there:
            if label < len(FAMILIES):
                found[FAMILIES[label]].append(name)
    return found


def normalised(samples: np.ndarray) -> np.ndarray:
    """Bring to a root mean square of 0.1; silence stays."""
    return np.asarray(samples * (0.1 / max(float(np.sqrt(np.mean(samples**2))), 1e-6)), np.float32)


def of_length(samples: np.ndarray, seconds: float) -> np.ndarray:
    """Cut or fill to a length, float32."""
    n_samples = round(seconds * SAMPLE_RATE)
    return np.pad(samples[:n_samples], (0, max(0, n_samples - len(samples)))).astype(np.float32)


def one_note(soundfont: Path, name: str, rng: np.random.Generator) -> np.ndarray:
    """Play one note of an instrument, 4 s."""
    sound = SOUNDS[name]
    note = (0.0, 3.0, int(rng.integers(sound.low, sound.high + 1)), int(rng.choice(VELOCITIES)))
    return of_length(by_font(soundfont, int(rng.choice(sound.programs)), [note]), 4.0)


def phrase(soundfont: Path, name: str, rng: np.random.Generator) -> np.ndarray:
    """Play 3 s of an instrument, as loud as any other."""
    sound = SOUNDS[name]
    notes = [note for note in line(sound, rng, 8.0) if note[0] < 7]
    played = by_font(soundfont, int(rng.choice(sound.programs)), notes, touch=touch_of(sound, rng))
    loud = np.flatnonzero(np.abs(played) > 0.02 * np.abs(played).max(initial=0))
    return normalised(of_length(played[loud[0] if len(loud) else 0 :], 3.0))


def write_notes(out: Path, soundfonts: list[Path], n_clips: int, seed: int) -> None:
    """Write single notes in NSynth's layout; what a sound font doesn't have is left out."""
    (out / "audio").mkdir(parents=True, exist_ok=True)
    examples = {}
    kinds = sorted(families().items())
    for i in Progress(range(n_clips), "clip", n_clips):
        rng = np.random.default_rng([seed, i])
        family, names = kinds[i % len(kinds)]
        samples = one_note(soundfonts[int(rng.integers(len(soundfonts)))], str(rng.choice(names)), rng)
        if not samples.any():
            continue
        soundfile.write(out / "audio" / f"{i:05d}.wav", normalised(samples).clip(-1, 1), SAMPLE_RATE)
        examples[f"{i:05d}"] = {"instrument_family_str": family.replace(" ", "_")}
    (out / "examples.json").write_text(json.dumps(examples))


def write_four(out: Path, soundfonts: list[Path], n_clips: int, seed: int) -> None:
    """Write ``n_clips`` of single instruments and as many of pairs, each beside the codes of what plays."""
    codes = {name: code for code, name in IRMAS_CODES.items()}
    for kind, size in (("single", 1), ("pairs", 2)):
        (out / kind).mkdir(parents=True, exist_ok=True)
        sets = list(itertools.combinations(FOUR, size))
        for i in Progress(range(n_clips), "clip", n_clips):
            rng = np.random.default_rng([seed, size, i])
            names = sets[i % len(sets)]
            parts = [phrase(soundfonts[int(rng.integers(len(soundfonts)))], name, rng) for name in names]
            path = out / kind / f"{i:05d}.wav"
            soundfile.write(path, np.sum(parts, axis=0).clip(-1, 1), SAMPLE_RATE)
            path.with_suffix(".txt").write_text("\n".join(codes[name] for name in names) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Write a set of clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("notes", "four"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--soundfonts", type=Path, nargs="+", required=True)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    write = write_notes if options.kind == "notes" else write_four
    write(options.out, options.soundfonts, options.clips, options.seed)


if __name__ == "__main__":
    main()
