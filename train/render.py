"""Render training audio: performances played on sampled pianos, in random rooms, with exact labels.

    python -m train.render --out renders --midi asap-performances --pianos pianos --hours 15

writes pairs ``00000.flac`` and ``00000.mid`` (with the pedal as CC64), the same for the same seed on any machine.
``--recordings`` takes folders of audio with labels too, and records them anew (other key, room, microphone, noise).
The core needs numpy, scipy and soundfile only.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train import performances, recorder
from train.performances import Performance

SAMPLE_RATE = 16000
OVERSAMPLING = 2  # samples are kept at twice the rate, so that linear interpolation between them is clean
EXCERPT = 60.0  # seconds
SUFFIXES = (".wav", ".flac", ".ogg")  # of recordings that are recorded anew
LAST_DAMPER = 88  # strings above have no dampers


@dataclass(frozen=True)
class Sample:
    """One recorded note, at ``SAMPLE_RATE * OVERSAMPLING``, its first half second at an RMS of 1."""

    pitch: int
    dynamic: float  # 0 softest … 1 loudest layer of the bank
    samples: np.ndarray


@dataclass(frozen=True)
class Piano:
    """A sampled piano as one microphone heard it."""

    name: str
    samples: tuple[Sample, ...]
    layered: bool

    def nearest(self, pitch: float, dynamic: float) -> Sample:
        """Choose the sample to play: a layer's worth of loudness is worth a semitone or so."""
        return min(self.samples, key=lambda s: abs(s.pitch - pitch) + 3 * abs(s.dynamic - dynamic))


def load_pianos(folder: Path) -> list[Piano]:
    """Read ``samples.csv`` and the notes of one bank: a :class:`Piano` for each microphone."""
    with (folder / "samples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers = sorted({int(row["velocity_layer"]) for row in rows})
    pianos = []
    for microphone in sorted({row["microphone"] for row in rows}):
        samples = []
        for row in rows:
            if row["microphone"] != microphone:
                continue
            audio, rate = soundfile.read(folder / row["file"], dtype="float32", always_2d=True)
            mono = signal.resample_poly(audio.mean(1), SAMPLE_RATE * OVERSAMPLING, rate).astype(np.float32)
            mono /= max(float(np.sqrt(np.mean(mono[: SAMPLE_RATE * OVERSAMPLING // 2] ** 2))), 1e-6)
            fade = min(len(mono), 3200)
            mono[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
            dynamic = (layers.index(int(row["velocity_layer"])) + 0.5) / len(layers)
            samples.append(Sample(int(row["pitch"]), dynamic, mono))
        pianos.append(Piano(f"{folder.name} {microphone}".strip(), tuple(samples), len(layers) > 1))
    return pianos


def play(piano: Piano, performance: Performance, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Play a performance on a piano that is tuned, voiced and damped a little differently every time.

    Returns
    -------
    np.ndarray
        float32 ``(seconds * SAMPLE_RATE,)``, dry, of any level.
    """
    out = np.zeros(int(seconds * SAMPLE_RATE) + 1, np.float32)
    tuning = rng.normal(0, 14) if rng.random() < 0.8 else rng.uniform(-50, 50)
    detune = rng.normal(0, rng.uniform(1, 5), 128)  # cents a note
    voicing = rng.normal(0, rng.uniform(0.5, 2.5), 128)  # dB a note
    tilt = rng.uniform(-6, 4)  # dB over the keyboard
    dynamic_range = rng.uniform(22, 45)  # dB from the softest to the loudest touch
    curve = rng.uniform(0.7, 1.5)
    damping = rng.uniform(0.03, 0.12)  # seconds to fall by 1/e, for the middle of the keyboard
    decay = rng.uniform(-0.4, 1.0)  # faster or slower than recorded, 1/s
    honky_tonk = rng.uniform(6, 18) if rng.random() < 0.06 else 0.0  # cents between a note's strings
    for onset, release, pitch, velocity in performance.notes:
        key = int(pitch)
        touch = (velocity / 127) ** curve
        gain = 10 ** ((dynamic_range * (touch - 1) + voicing[key] + tilt * (key - 60) / 48) / 20)
        sample = piano.nearest(pitch, float(np.clip(touch + rng.normal(0, 0.06), 0, 1)))
        cents = tuning + detune[key]
        damped = _damped_at(release, performance.pedals) if key <= LAST_DAMPER else np.inf
        tau = damping * 2 ** ((60 - key) / 24)
        for shift in (honky_tonk, -honky_tonk) if honky_tonk else (0.0,):
            ratio = OVERSAMPLING * 2 ** ((key - sample.pitch + (cents + shift) / 100) / 12)
            start = int(np.ceil(onset * SAMPLE_RATE))
            count = min(
                len(out) - start,
                int((len(sample.samples) - 2) / ratio),
                int(min(damped - onset + 7 * tau, 1e4) * SAMPLE_RATE),
            )
            if count <= 0:
                continue
            position = (np.arange(count) + (start - onset * SAMPLE_RATE)) * ratio
            index = position.astype(np.int64)
            fraction = (position - index).astype(np.float32)
            note = sample.samples[index] * (1 - fraction) + sample.samples[index + 1] * fraction
            time = np.arange(count, dtype=np.float32) / SAMPLE_RATE
            envelope = -np.maximum(decay, -0.4) * time * 0.7
            if np.isfinite(damped):
                envelope = envelope - np.maximum(time - (damped - onset), 0) / tau
            note = note * np.exp(envelope)
            if not piano.layered:
                note = _voice(note, touch)
            out[start : start + count] += gain * note
    return out[:-1]


def _damped_at(release: float, pedals: np.ndarray | None) -> float:
    """When the damper falls: at the key's release, or at the end of the pedal that is down then."""
    if pedals is None:
        return release
    held = pedals[(pedals[:, 0] <= release) & (pedals[:, 1] > release)]
    return float(held[0, 1]) if len(held) else release


def _voice(note: np.ndarray, touch: float) -> np.ndarray:
    """Darken a soft note of a bank with one layer: a one-pole low pass mixed in."""
    softness = 0.9 * (1 - touch)
    dark: np.ndarray = signal.lfilter([0.25], [1, -0.75], note).astype(np.float32)
    return (1 - softness) * note + softness * dark


def render(
    piano: Piano, performance: Performance, seconds: float, rng: np.random.Generator
) -> tuple[np.ndarray, Performance]:
    """Play and record: samples and the labels that go with them."""
    return recorder.record(play(piano, performance, seconds, rng), SAMPLE_RATE, rng), performance


def rerecord(samples: np.ndarray, performance: Performance, rng: np.random.Generator) -> tuple[np.ndarray, Performance]:
    """Record audio anew, a little sharper or flatter (whole semitones change the labels; times stretch with it)."""
    semitones = int(rng.choice([-2, -1, 0, 0, 1, 2]))
    ratio = 2 ** ((semitones + rng.normal(0, 0.15)) / 12)
    # Numerator and denominator small enough for a short filter; the ratio that results is the one the labels get.
    up, down = 200, round(200 * ratio)
    ratio = down / up
    resampled = signal.resample_poly(samples, up, down)
    notes = performance.notes.copy()
    notes[:, :2] /= ratio
    notes[:, 2] += semitones
    notes = notes[(notes[:, 2] >= performances.LOWEST) & (notes[:, 2] <= performances.HIGHEST)]
    return recorder.record(resampled, SAMPLE_RATE, rng), Performance(notes, None)


def quiet_start(performance: Performance, latest: float, rng: np.random.Generator) -> float:
    """Choose a moment before ``latest`` at which no key is down, so that an excerpt has all its labels; else 0."""
    notes = performance.notes
    down_until = np.maximum.accumulate(np.append(0.0, notes[:-1, 1]))
    moments = notes[(notes[:, 0] - down_until > 0.02) & (notes[:, 0] < latest), 0] - 0.02
    return float(max(0.0, rng.choice(moments))) if len(moments) else 0.0


def write_pair(out: Path, name: str, samples: np.ndarray, performance: Performance) -> None:
    """Write ``name.flac`` and ``name.mid``; the labels last, so that a pair is whole when they are there."""
    import pretty_midi

    soundfile.write(out / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    midi = pretty_midi.PrettyMIDI(resolution=9600)
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(int(v), int(p), float(on), float(off)) for on, off, p, v in performance.notes]
    if performance.pedals is not None:  # a first CC64 says that the pedal is known, even if it is never used
        piano.control_changes.append(pretty_midi.ControlChange(64, 0, 0.0))
    for down, up in performance.pedals if performance.pedals is not None else ():
        piano.control_changes += [
            pretty_midi.ControlChange(64, 127, float(down)),
            pretty_midi.ControlChange(64, 0, float(up)),
        ]
    midi.instruments = [piano]
    part = out / f"{name}.part"
    midi.write(str(part))
    part.replace(out / f"{name}.mid")


# What the workers share: filled before they are forked, or at their start.
_pianos: list[Piano] = []
_sources: argparse.Namespace


def _start(sources: argparse.Namespace) -> None:
    global _sources
    _sources = sources
    if not _pianos:
        for folder in sources.piano_folders:
            _pianos.extend(load_pianos(folder))


def _render_one(index: int) -> int:
    """Render the excerpt ``index``; everything about it follows from the seed and the index."""
    out: Path = _sources.out
    name = f"{index:05d}"
    if (out / f"{name}.mid").exists():
        return index
    rng = np.random.default_rng([_sources.seed, index])
    kind = rng.random()
    if _sources.recordings and kind < _sources.rerecord_share:
        audio, label = _sources.recordings[rng.integers(len(_sources.recordings))]
        rows = np.loadtxt(label, ndmin=2)
        whole = Performance(rows[np.argsort(rows[:, 0])], None)
        with soundfile.SoundFile(audio) as file:
            if file.samplerate != SAMPLE_RATE:
                raise ValueError(f"{audio}: resample it to {SAMPLE_RATE} Hz first")
            start = quiet_start(whole, max(0.0, file.frames / SAMPLE_RATE - EXCERPT), rng)
            file.seek(int(start * SAMPLE_RATE))
            samples = file.read(int(EXCERPT * SAMPLE_RATE), dtype="float32", always_2d=True).mean(1)
        performance = performances.excerpt(whole, int(start * SAMPLE_RATE) / SAMPLE_RATE, EXCERPT)
        samples, performance = rerecord(samples, performance, rng)
        write_pair(out, name, samples, performance)
        return index
    if kind > 1 - _sources.exercise_share:
        performance = performances.exercise(EXCERPT - 2, rng)
    else:
        path = _sources.midi_files[rng.integers(len(_sources.midi_files))]
        whole = performances.vary(performances.read_midi(path), rng)
        start = rng.uniform(0, max(0.0, whole.duration - EXCERPT))
        performance = performances.excerpt(whole, start, EXCERPT - 2)
    piano = _pianos[rng.integers(len(_pianos))]
    samples, performance = render(piano, performance, EXCERPT, rng)
    write_pair(out, name, samples, performance)
    return index


def _chosen(paths: list[Path], without: list[str], only: list[str]) -> list[Path]:
    kept = [path for path in paths if not any(word in path.name for word in without)]
    return [path for path in kept if not only or any(word in path.name for word in only)]


def main() -> None:
    """Render in parallel; a second call goes on where the first was stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pairs")
    parser.add_argument("--pianos", type=Path, required=True, help="folder with one folder a sampled piano")
    parser.add_argument("--without", nargs="*", default=[], help="pianos to leave out")
    parser.add_argument("--only", nargs="*", default=[], help="pianos to use")
    parser.add_argument("--midi", type=Path, nargs="+", required=True, help="folders of MIDI files")
    parser.add_argument("--midi-without", nargs="*", default=[], help="leave out names that contain this")
    parser.add_argument("--midi-only", nargs="*", default=[], help="take only names that contain this")
    parser.add_argument("--recordings", type=Path, help="folder of audio with .tsv labels to record anew")
    parser.add_argument("--recordings-without", nargs="*", default=[], help="leave out names that contain this")
    parser.add_argument("--recordings-only", nargs="*", default=[], help="take only names that contain this")
    parser.add_argument("--rerecord-share", type=float, default=0.3)
    parser.add_argument("--exercise-share", type=float, default=0.2)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    folders = sorted(path.parent for path in arguments.pianos.glob("*/samples.csv"))
    arguments.piano_folders = [
        f for f in folders if f.name not in arguments.without and (not arguments.only or f.name in arguments.only)
    ]
    arguments.midi_files = sorted(path for folder in arguments.midi for path in folder.rglob("*.mid"))
    arguments.midi_files = _chosen(arguments.midi_files, arguments.midi_without, arguments.midi_only)
    labels = sorted(arguments.recordings.glob("*.tsv")) if arguments.recordings else []
    labels = _chosen(labels, arguments.recordings_without, arguments.recordings_only)
    audio = {path.stem: path for path in labels and sorted(arguments.recordings.iterdir()) if path.suffix in SUFFIXES}
    arguments.recordings = [(audio[path.stem], path) for path in labels]
    count = round(arguments.hours * 3600 / EXCERPT)
    _start(arguments)
    from tqdm import tqdm

    # Forked where the system can, so that the samples are loaded once.
    with multiprocessing.Pool(arguments.workers, initializer=_start, initargs=(arguments,)) as pool:
        for _ in tqdm(pool.imap_unordered(_render_one, range(count)), total=count, unit="min"):
            pass


if __name__ == "__main__":
    main()
