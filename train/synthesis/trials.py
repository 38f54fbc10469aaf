"""Trials for trained weights: recordings made worse, sounds without notes, fast repeats, other instruments.

    python -m train.synthesis.trials degraded --data maps-real-dev --out trials
    python -m train.synthesis.trials non-music --sounds sounds-unheard --out trials
    python -m train.synthesis.trials repeats --piano pianos/steinway-iowa --out trials
    python -m train.synthesis.trials other-instruments --soundfont unheard.sf2 --midi pop909 --out trials
    python -m train.synthesis.trials songs --midi pop909 --piano pianos/steinway-iowa --rooms rooms.npz --out trials
    python -m train.synthesis.trials strums --clips chords-guitar --out trials

Each writes folders of recordings and labels for ``pitchai eval --dataset pairs --data trials/<name>`` (strums and
non-music: ``--dataset chords``, songs: ``--dataset beats``), or for ``tests/benchmark/compare.py``, which puts a peer
beside.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train.synthesis import recorder, rooms
from train.synthesis.performances import Performance, excerpt, from_transcription, read_midi, without_overlaps
from train.synthesis.piano import SAMPLE_RATE, Voicing, load_pianos, play, sounding
from train.synthesis.render import write_pair
from train.synthesis.sounds import drums, synthesise
from transcribe.audio.reader import load_audio
from transcribe.datasets import Piece
from transcribe.notes.datasets import read_labels
from transcribe.registry import load_dataset
from transcribe.theory.chords import parse_name

CENTS = 40.0


def white_noise(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add white noise 10 dB under the music."""
    return np.asarray(samples + rng.standard_normal(len(samples)) * np.sqrt(np.mean(samples**2) / 10))


def telephone(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep 300-3,400 Hz."""
    band = signal.butter(8, [300, 3400], "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfiltfilt(band, samples))


def mp3(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Encode as MP3 at 32 kbit/s."""
    return recorder.encode(samples.astype(np.float32), SAMPLE_RATE, "mp3", rng, bit_rate=32_000)


def reverberation(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a tail of RT60 = 1 s, its energy 3 dB above the direct sound's."""
    time = np.arange(int(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time)
    response[: int(0.003 * SAMPLE_RATE)] = 0
    response *= np.sqrt(10 ** (3 / 10) / (response**2).sum())
    response[0] = 1
    return np.asarray(signal.oaconvolve(samples, response)[: len(samples)])


def quiet(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Play 40 dB below full scale, in 16 bits."""
    return np.asarray(samples / max(float(np.abs(samples).max()), 1e-9) * 0.01)


DEGRADATIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": white_noise,
    "telephone": telephone,
    "mp3": mp3,
    "reverberation": reverberation,
    "quiet": quiet,
}


def degraded(pieces: list[Piece], out: Path, seed: int = 0) -> None:
    """Write every piece in every way made worse; those shifted by ``CENTS`` have their labels stretched with them."""
    for number, piece in enumerate(pieces):
        samples = load_audio(piece.audio, SAMPLE_RATE).samples
        labels = read_labels(piece.labels)
        notes = from_transcription(labels).notes
        for name, change in DEGRADATIONS.items():
            changed = change(samples, np.random.default_rng([seed, number]))
            _write(out / name, piece.name, changed, notes)
        for name, cents in (("sharp", CENTS), ("flat", -CENTS)):
            down = round(1000 * 2 ** (cents / 1200))
            shifted = signal.resample_poly(samples, 1000, down)
            moved = notes * [1000 / down, 1000 / down, 1, 1]
            _write(out / name, piece.name, shifted, moved)


def _write(folder: Path, name: str, samples: np.ndarray, notes: np.ndarray) -> None:
    """Write a pair, as loud as can be without clipping."""
    folder.mkdir(parents=True, exist_ok=True)
    loudest = max(1.0, float(np.abs(samples).max(initial=0.0)))
    write_pair(folder, name, samples / loudest, Performance(notes, None))


def non_music(sounds: Path, out: Path, minutes: float = 15.0) -> None:
    """Write an hour without a note: silence, noise, and the speech and drums of ``train/synthesis/sounds.py``."""
    rng = np.random.default_rng(0)
    length = 60 * SAMPLE_RATE

    def silence() -> Iterator[np.ndarray]:
        while True:
            yield np.zeros(length)
            yield rng.standard_normal(length) * 10 ** rng.uniform(-5, -3.5)

    def noise() -> Iterator[np.ndarray]:
        while True:
            spectrum = np.fft.rfft(rng.standard_normal(length))
            colour = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 20) ** -rng.uniform(0, 1)
            coloured = np.fft.irfft(spectrum * colour, length)
            yield coloured / np.abs(coloured).max() * 10 ** rng.uniform(-1.5, 0)

    def files(kind: str) -> Iterator[np.ndarray]:
        paths = sorted(sounds.glob(f"{kind}-*.flac"))
        while True:
            yield recorder.excerpt_of(paths[rng.integers(len(paths))], length, rng) * 10 ** rng.uniform(-1, 0)

    for name, source in (
        ("silence", silence()), ("noise", noise()), ("speech", files("speech")), ("drums", files("drums"))
    ):  # fmt: skip
        for number in range(round(minutes)):
            _write(out / name, f"{name}-{number:02d}", next(source), np.zeros((0, 4)))
            (out / name / f"{name}-{number:02d}.lab").write_text(f"0.0\t{length / SAMPLE_RATE}\tN\n")


def repeats(piano: Path, out: Path, minutes: int = 10) -> None:
    """Write one key struck 8-14 times a second, bursts all over the keyboard, on one piano without a room."""
    (bank, *_) = load_pianos(piano)
    for number in range(minutes):
        rng = np.random.default_rng(number)
        notes, time = [], 0.5
        while time < 55:
            pitch, step, loudness = rng.integers(33, 97), 1 / rng.uniform(8, 14), rng.uniform(45, 110)
            for _ in range(rng.integers(5, 20)):
                notes.append(
                    (time, time + step * rng.uniform(0.4, 0.8), pitch, np.clip(rng.normal(loudness, 6), 20, 127))
                )
                time += step * rng.uniform(0.97, 1.03)
            time += rng.uniform(0.3, 0.8)
        performance = Performance(without_overlaps(np.round(np.array(notes), 6)), np.zeros((0, 2)))
        voicing = Voicing.draw(rng)
        samples = recorder.level(play(bank, performance, 60.0, rng, voicing), rng)
        _write(out, f"repeats-{number:02d}", samples, sounding(performance, voicing).notes)


# General MIDI programs, from 0; a band is guitar, bass and strings over drums.
STRANGERS = {
    "guitar": (24, 25, 26, 27),
    "strings": (40, 41, 42, 48),
    "winds": (65, 68, 71, 73),
    "band": (26, 33, 48),
}


def other_instruments(soundfont: Path, midi: Path, out: Path, pieces: int = 8) -> None:
    """Write songs played by other instruments through a sound font: the first minute of each."""
    import pretty_midi

    paths = sorted(midi.rglob("*.mid"))
    for kind, programs in STRANGERS.items():
        for number in range(pieces):
            rng = np.random.default_rng([number, len(kind)])
            performance = read_midi(paths[rng.integers(len(paths))])
            notes = performance.notes[performance.notes[:, 0] < 59]
            if kind != "band":
                notes = notes[(notes[:, 2] >= 45) & (notes[:, 2] <= 88)]
            score = pretty_midi.PrettyMIDI()
            chosen = programs if kind == "band" else (programs[number % len(programs)],)
            for i, program in enumerate(chosen):
                part = pretty_midi.Instrument(program)
                low, high = np.quantile(notes[:, 2], [i / len(chosen), (i + 1) / len(chosen)])
                for on, off, pitch, velocity in notes:
                    if low <= pitch < high or (i + 1 == len(chosen) and pitch == high):
                        part.notes.append(pretty_midi.Note(int(velocity), int(pitch), on, min(off, 59.5)))
                score.instruments.append(part)
            samples = synthesise(soundfont, score)[: 60 * SAMPLE_RATE]
            if kind == "band":
                beat = drums(soundfont, 60.0, rng)[: len(samples)]
                samples[: len(beat)] += beat
            _write(out / kind, f"{kind}-{number:02d}", samples, np.minimum(notes, [59.5, 59.5, 127, 127]))


def songs(midi: Path, piano: Path, responses: Path, out: Path, seconds: float = 120.0) -> None:
    """Write the beginnings of every ninth song of POP909, recorded in rooms, under noise, with beats and key.

    None of them is among the songs that beats and keys were tuned on: every sixth, from the first on.
    """
    (bank, *_) = load_pianos(piano)
    studio = recorder.Studio(rooms.load(responses))
    out.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(midi.glob("*.mid"))[1::9]):
        rng = np.random.default_rng(number)
        performance = excerpt(read_midi(path), 0.0, seconds)
        samples = recorder.record(play(bank, performance, seconds, rng), SAMPLE_RATE, rng, studio=studio)
        soundfile.write(out / f"{path.stem}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
        beats = np.loadtxt(midi / f"{path.stem}_beat_midi.txt")
        lines, place = [], 1  # a pick-up begins no bar
        for time, _, downbeat in beats[beats[:, 0] < seconds]:
            place = 1 if downbeat else place + 1
            lines.append(f"{time:.4f}\t{place}\n")
        (out / f"{path.stem}.beats").write_text("".join(lines), encoding="utf-8")
        keys = []
        for line in (midi / f"{path.stem}_key_audio.txt").read_text(encoding="utf-8").splitlines():
            onset, offset, key = line.split()
            if float(onset) < seconds:
                named = key.replace(":maj", " major").replace(":min", " minor")
                keys.append(f"{onset}\t{min(float(offset), seconds)}\t{named}\n")
        (out / f"{path.stem}.key").write_text("".join(keys), encoding="utf-8")


def strums(clips: list[Piece], out: Path, pause: float = 0.5) -> None:
    """Write clips of one chord under pink noise at 10 dB, sharp and flat; and joined, with pauses between them.

    A stream holds every ninth clip, from its attack until it has faded, in no order; a pause is ``N``.
    """
    n_streams = 9
    streams: list[list[tuple[np.ndarray, str]]] = [[] for _ in range(n_streams)]
    for number, piece in enumerate(clips):
        rng = np.random.default_rng(number)
        samples = load_audio(piece.audio, SAMPLE_RATE).samples
        colour = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), 20) ** -0.5
        pink = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(samples))) * colour, len(samples))
        changed = {"noise": samples + pink * np.sqrt(np.mean(samples**2) / 10 / np.mean(pink**2))}
        for name, cents in (("sharp", CENTS), ("flat", -CENTS)):
            changed[name] = signal.resample_poly(samples, 1000, round(1000 * 2 ** (cents / 1200)))
        label = piece.labels.name
        for name, altered in changed.items():
            folder = out / name / label
            folder.mkdir(parents=True, exist_ok=True)
            loudest = max(1.0, float(np.abs(altered).max(initial=0.0)))
            soundfile.write(folder / f"{piece.audio.stem}.flac", altered / loudest, SAMPLE_RATE, subtype="PCM_16")
        streams[number % n_streams].append((_sounding(samples), label))
    (out / "streams").mkdir(parents=True, exist_ok=True)
    for number, stream in enumerate(streams):
        order = np.random.default_rng(number).permutation(len(stream))
        lines, pieces, time = [], [], 0.0
        for samples, label in (stream[i] for i in order):
            end = time + len(samples) / SAMPLE_RATE
            lines += [f"{time:.4f}\t{end:.4f}\t{parse_name(label)}\n", f"{end:.4f}\t{end + pause:.4f}\tN\n"]
            pieces += [samples, np.zeros(int(pause * SAMPLE_RATE))]
            time = end + pause
        if pieces:
            soundfile.write(out / "streams" / f"{number}.flac", np.concatenate(pieces), SAMPLE_RATE, subtype="PCM_16")
            (out / "streams" / f"{number}.lab").write_text("".join(lines), encoding="utf-8")


def _sounding(samples: np.ndarray) -> np.ndarray:
    """Cut a clip from its attack (20 dB under the loudest 20 ms) to where it has faded by 30 dB."""
    width = SAMPLE_RATE // 50
    power = np.convolve(samples.astype(float) ** 2, np.ones(width), mode="same")
    loudest = power.max(initial=0.0)
    last = np.flatnonzero(power > loudest / 1000)[-1:]
    return samples[int(np.argmax(power > loudest / 100)) : int(last.sum()) + 1]


def main() -> None:
    """Write one kind of trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, needs in (
        ("degraded", {"data": "recordings and labels"}),
        ("non-music", {"sounds": "speech and drums of train.synthesis.sounds that training never had"}),
        ("repeats", {"piano": "a bank that training never had"}),
        ("other-instruments", {"soundfont": "a sound font that training never had", "midi": "folder of songs"}),
        (
            "songs",
            {
                "midi": "POP909's songs",
                "piano": "a bank that training never had",
                "rooms": "responses by train.synthesis.rooms",
            },
        ),
        ("strums", {"clips": "folders of clips named by their chord"}),
    ):
        command = kinds.add_parser(kind)
        for name, text in needs.items():
            command.add_argument(f"--{name}", type=Path, required=True, help=text)
        command.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out: Path = options.out / options.kind
    if options.kind == "degraded":
        degraded(load_dataset("pairs", options.data), out)
    elif options.kind == "non-music":
        non_music(options.sounds, out)
    elif options.kind == "repeats":
        repeats(options.piano, out)
    elif options.kind == "songs":
        songs(options.midi, options.piano, options.rooms, out)
    elif options.kind == "strums":
        strums(load_dataset("chords", options.clips), out)
    else:
        other_instruments(options.soundfont, options.midi, out)


if __name__ == "__main__":
    main()
