"""A piano of a sound font (SF2, SF3, DLS) as a bank that :mod:`train.piano` plays.

    python -m train.soundfont --font FluidR3_GM.sf2 --programs 0 1 3 --out banks

FluidSynth plays every third key at several velocities; each note becomes a file, with ``samples.csv`` beside them.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from train.sounds import SAMPLE_RATE, synthesise

PITCHES = range(21, 109, 3)
VELOCITIES = (15, 40, 64, 88, 115)
HELD, SPACING = 7.5, 8.0  # seconds


def sample(font: Path, program: int, folder: Path) -> None:
    """Write one bank."""
    import pretty_midi

    instrument = pretty_midi.Instrument(program)
    keys = [(pitch, layer) for pitch in PITCHES for layer in range(len(VELOCITIES))]
    for i, (pitch, layer) in enumerate(keys):
        start = i * SPACING
        instrument.notes.append(pretty_midi.Note(VELOCITIES[layer], pitch, start, start + HELD))
    midi = pretty_midi.PrettyMIDI()
    midi.instruments = [instrument]
    with tempfile.TemporaryDirectory() as temporary:
        midi.write(f"{temporary}/keys.mid")
        played = synthesise(font, Path(temporary) / "keys.mid")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, (pitch, layer) in enumerate(keys):
        start = int(i * SPACING * SAMPLE_RATE)
        note = played[start : start + int(HELD * SAMPLE_RATE)]
        peak = float(np.abs(note).max(initial=0.0))
        if peak < 1e-5:
            continue  # a key that the font leaves out
        name = f"{pitch:03d}_{layer + 1}.flac"
        soundfile.write(folder / name, 0.9 * note / peak, SAMPLE_RATE)
        rows.append(
            {"file": name, "pitch": pitch, "velocity_layer": layer + 1, "microphone": "", "peak": f"{peak:.6f}"}
        )
    with (folder / "samples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Make one bank a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", type=Path, required=True)
    parser.add_argument("--programs", type=int, nargs="+", default=[0], help="General MIDI, from 0")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for program in options.programs:
        sample(options.font, program, options.out / f"{options.font.stem}-{program:03d}")


if __name__ == "__main__":
    main()
