"""What our own notes network hears of music with known beats: performances played on sampled pianos, and recordings.

    python -m train.beats.heard --midi asap-performances pop909 --pianos pianos --rooms rooms.npz \
        --recordings maps-synth-train --out runs/heard

writes ``<folder's name>/<name>.json`` for each; ``train.beats.corpus --heard runs/heard`` gives them the beats of the
music. What is there already is left as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.synthesis import performances, recorder, rooms
from train.synthesis.piano import SAMPLE_RATE, Piano, load_pianos
from train.synthesis.render import render
from transcribe.batch.atomic import write_atomically
from transcribe.formats.json import to_json
from transcribe.transcriber import Transcriber


def played(
    path: Path, pianos: list[Piano], studio: recorder.Studio, seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """Play the beginning of a MIDI file on one of the pianos: float32 samples."""
    performance = performances.excerpt(performances.read_midi(path), 0.0, seconds)
    length = min(seconds, performance.duration) + 2.0
    samples, _ = render(pianos[rng.integers(len(pianos))], performance, length, rng, studio, careful=0.5)
    return samples


def _inputs(options: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """Every input with the file that is written of it."""
    for folder, pattern in [*((f, "*.mid") for f in options.midi), *((f, "*.ogg") for f in options.recordings)]:
        for path in sorted(folder.glob(pattern))[:: options.every]:
            target = options.out / folder.name / f"{path.stem}.json"
            if not target.exists():
                yield path, target


def main() -> None:
    """Play, listen, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--midi", type=Path, nargs="*", default=[], help="folders of performances")
    parser.add_argument("--recordings", type=Path, nargs="*", default=[], help="folders of .ogg")
    parser.add_argument("--every", type=int, default=1, help="take every such file only")
    parser.add_argument("--pianos", type=Path, required=True, help="folder with one folder a sampled piano")
    parser.add_argument("--rooms", type=Path, help="impulse responses made by train.synthesis.rooms")
    parser.add_argument("--seconds", type=float, default=300.0, help="of a performance, from its beginning")
    parser.add_argument("--model", help="of the notes; the default where none is named")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pianos = [piano for folder in sorted(options.pianos.iterdir()) if folder.is_dir() for piano in load_pianos(folder)]
    studio = recorder.Studio(rooms.load(options.rooms) if options.rooms else ())
    transcriber = Transcriber(tasks=("notes",), model=options.model)
    for path, target in tqdm(list(_inputs(options)), desc="heard"):
        if path.suffix == ".mid":
            rng = np.random.default_rng(list(path.stem.encode()))
            samples = played(path, pianos, studio, options.seconds, rng)
            heard = transcriber.transcribe_audio(samples, SAMPLE_RATE)
        else:
            heard = transcriber.transcribe_file(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, to_json(heard))


if __name__ == "__main__":
    main()
