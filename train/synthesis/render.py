"""Render training audio: performances played on sampled pianos, in random rooms, with exact labels.

    python -m train.synthesis.render --out renders --midi asap-performances --pianos pianos --hours 15

writes pairs ``00000.flac`` and ``00000.mid`` (with the pedal as CC64), the same for the same seed on any machine (but
for codecs). ``--recordings`` takes a data set with labels too, and records them anew (other key, room,
microphone, noise). The core needs numpy, scipy and soundfile; ``--rooms`` (:mod:`train.synthesis.rooms`), ``--sounds``
(:mod:`train.synthesis.sounds`) and ``--codecs`` (PyAV) add what their packages make.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from train import recipes
from train.progress import Progress
from train.synthesis import performances, recorder, rooms
from train.synthesis.performances import Performance
from train.synthesis.piano import SAMPLE_RATE, Piano, Voicing, load_pianos, play, sounding
from transcribe.errors import PitchaiError
from transcribe.notes.datasets import LABEL_SUFFIXES, read_labels
from transcribe.registry import load_dataset

EXCERPT = 60.0  # seconds


def render(
    piano: Piano,
    performance: Performance,
    seconds: float,
    rng: np.random.Generator,
    studio: recorder.Studio | None = None,
    careful: float = 0.0,
) -> tuple[np.ndarray, Performance]:
    """Play and record: samples and the labels that go with them."""
    voicing = Voicing.draw(rng)
    dry = play(piano, performance, seconds, rng, voicing)
    recorded = recorder.record(dry, SAMPLE_RATE, rng, studio=studio, careful=careful)
    return recorded, sounding(performance, voicing)


def without_music(seconds: float, rng: np.random.Generator, studio: recorder.Studio) -> tuple[np.ndarray, Performance]:
    """Silence, noise, or speech and drums where the studio has them: no notes."""
    samples = np.zeros(int(seconds * SAMPLE_RATE))
    kind = rng.random()
    if kind > 0.5 and studio.voices:
        samples += recorder.excerpt_of(studio.voices[int(rng.integers(len(studio.voices)))], len(samples), rng)
    elif kind > 0.15:
        samples += rng.standard_normal(len(samples)) * 1e-3
    nothing = Performance(np.zeros((0, 4)), np.zeros((0, 2)))
    return (recorder.record(samples, SAMPLE_RATE, rng, studio=studio) if kind > 0.05 else samples), nothing


def rerecord(
    samples: np.ndarray,
    performance: Performance,
    rng: np.random.Generator,
    studio: recorder.Studio | None = None,
    careful: float = 0.0,
) -> tuple[np.ndarray, Performance]:
    """Record audio anew, a little sharper or flatter (whole semitones change the labels; times stretch with it)."""
    semitones = int(rng.choice([-2, -1, 0, 0, 1, 2]))
    # Less than half a semitone with what the recording is off itself, up to 19 cents in MAPS, and the 4 by which the
    # ratio is rounded: corrected for tuning, more would be the next key's.
    ratio = 2 ** ((semitones + np.clip(rng.normal(0, 0.2), -0.25, 0.25)) / 12)
    # Numerator and denominator small enough for a short filter; the ratio that results is the one the labels get.
    up, down = 200, round(200 * ratio)
    ratio = down / up
    resampled = signal.resample_poly(samples, up, down)
    notes = performance.notes.copy()
    notes[:, :2] /= ratio
    notes[:, 2] += semitones
    notes = notes[(notes[:, 2] >= performances.LOWEST) & (notes[:, 2] <= performances.HIGHEST)]
    recorded = recorder.record(resampled, SAMPLE_RATE, rng, studio=studio, careful=careful)
    return recorded, Performance(notes, None)


def quiet_start(performance: Performance, latest: float, rng: np.random.Generator) -> float:
    """Choose a moment before ``latest`` at which no key is down, so that an excerpt has all its labels; else 0."""
    notes = performance.notes
    down_until = np.maximum.accumulate(np.append(0.0, notes[:-1, 1]))
    moments = notes[(notes[:, 0] - down_until > 0.02) & (notes[:, 0] < latest), 0] - 0.02
    return float(max(0.0, rng.choice(moments))) if len(moments) else 0.0


def write_pair(out: Path, name: str, samples: np.ndarray, performance: Performance) -> None:
    """Write ``name.flac`` and its labels; these last, so that a pair is whole when they are there."""
    soundfile.write(out / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
    write_labels(out, name, performance, len(samples) / SAMPLE_RATE)


def write_labels(out: Path, name: str, performance: Performance, seconds: float) -> None:
    """Write ``name.mid``, of a recording of so many seconds, whole or not at all.

    Where nobody knows the velocities (all are 0) it is a table, ``name.tsv``: MIDI can't say so.
    """
    import pretty_midi

    part = out / f"{name}.part"
    if len(performance.notes) and not performance.notes[:, 3].any():
        np.savetxt(part, performance.notes, "%.6f\t%.6f\t%d\t%d", header="onset\toffset\tpitch\tvelocity")
        part.replace(out / f"{name}.tsv")
        return
    # pretty_midi reads up to ten million ticks, of which a second has twice the resolution.
    resolution = 9600
    while 2 * resolution * seconds > 9.9e6:
        resolution //= 2
    midi = pretty_midi.PrettyMIDI(resolution=resolution)
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(int(v), int(p), float(on), float(off)) for on, off, p, v in performance.notes]
    if performance.moves is not None:
        moves = performance.moves
    elif performance.pedals is not None:  # a first CC64 says that the pedal is known, even if it is never used
        moves = np.vstack([[0.0, 0.0], *([[down, 127.0], [up, 0.0]] for down, up in performance.pedals)])
    else:
        moves = np.zeros((0, 2))
    piano.control_changes = [pretty_midi.ControlChange(64, int(depth), float(time)) for time, depth in moves]
    midi.instruments = [piano]
    midi.write(str(part))
    part.replace(out / f"{name}.mid")


# What a worker has: filled at its start.
_pianos: list[Piano] = []
_sources: argparse.Namespace
_studio: recorder.Studio


def _start(sources: argparse.Namespace) -> None:
    global _sources, _studio
    _sources = sources
    _pianos[:] = [piano for folder in sources.piano_folders for piano in load_pianos(folder)]
    _studio = recorder.Studio(
        rooms.load(sources.rooms) if sources.rooms else (),
        sorted(sources.sounds.glob("*.flac")) if sources.sounds else (),
        tuple(recorder.CODECS) if sources.codecs else (),
    )


def _render_one(index: int) -> int:
    """Render the excerpt ``index``; everything about it follows from the seed and the index."""
    out: Path = _sources.out
    name = f"{index:05d}"
    if not any((out / f"{name}{suffix}").exists() for suffix in LABEL_SUFFIXES):
        rng = np.random.default_rng([_sources.seed, index])
        kind = rng.random()
        if kind < _sources.silent_share:
            made = without_music(EXCERPT, rng, _studio)
        elif kind > 1 - _sources.rerecord_share and _sources.recordings:
            made = _rerecord_one(rng)
        else:
            made = _play_one(rng, exercise=kind - _sources.silent_share < _sources.exercise_share)
        write_pair(out, name, *made)
    return index


def _rerecord_one(rng: np.random.Generator) -> tuple[np.ndarray, Performance]:
    piece = _sources.recordings[rng.integers(len(_sources.recordings))]
    whole = Performance(performances.from_transcription(read_labels(piece.labels)).notes, None)
    with soundfile.SoundFile(piece.audio) as file:
        rate = file.samplerate
        start = quiet_start(whole, max(0.0, file.frames / rate - EXCERPT), rng)
        file.seek(int(start * rate))
        samples = file.read(int(EXCERPT * rate), dtype="float32", always_2d=True).mean(1)
    performance = performances.excerpt(whole, int(start * rate) / rate, EXCERPT)
    if rate != SAMPLE_RATE:
        samples = signal.resample_poly(samples, SAMPLE_RATE, rate)
    return rerecord(samples, performance, rng, _studio, _sources.careful_share)


def _play_one(rng: np.random.Generator, exercise: bool) -> tuple[np.ndarray, Performance]:
    if exercise:
        performance = performances.exercise(EXCERPT - 2, rng)
    else:
        folder = _sources.midi_folders[rng.integers(len(_sources.midi_folders))]
        path = folder[rng.integers(len(folder))]
        whole = performances.vary(performances.read_midi(path), rng)
        start = rng.uniform(0, max(0.0, whole.duration - EXCERPT))
        performance = performances.excerpt(whole, start, EXCERPT - 2)
    return render(_pianos[rng.integers(len(_pianos))], performance, EXCERPT, rng, _studio, _sources.careful_share)


def _chosen(paths: list[Path], without: list[str], only: list[str], root: Path) -> list[Path]:
    names = {path: str(path.relative_to(root)) for path in paths}
    kept = [path for path in paths if not any(word in names[path] for word in without)]
    return [path for path in kept if not only or any(word in names[path] for word in only)]


def main() -> None:
    """Render in parallel; a second call goes on where the first was stopped."""
    parser = _parser()
    for arguments in recipes.parsed(parser, None, Path(__file__).parent):
        _render(_found(arguments, parser))


def _render(sources: argparse.Namespace) -> None:
    count = round(sources.hours * 3600 / EXCERPT)
    # Not forked: what decoders' threads hold at that moment, nobody would let go of.
    spawned = multiprocessing.get_context("spawn")
    with spawned.Pool(sources.workers, initializer=_start, initargs=(sources,)) as pool:
        for _ in Progress(pool.imap_unordered(_render_one, range(count)), "minute", count):
            pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pairs")
    parser.add_argument("--pianos", type=Path, nargs="+", required=True, help="folders with one folder a sampled piano")
    parser.add_argument("--without", nargs="*", default=[], help="pianos to leave out")
    parser.add_argument("--only", nargs="*", default=[], help="pianos to use")
    parser.add_argument(
        "--midi", type=Path, nargs="+", required=True, help="folders of MIDI files, each as likely as the others"
    )
    parser.add_argument("--midi-without", nargs="*", default=[], help="leave out paths that contain this")
    parser.add_argument("--midi-only", nargs="*", default=[], help="take only paths that contain this")
    parser.add_argument("--recordings", nargs=2, metavar=("NAME", "FOLDER"), help="a data set to record anew: maps …")
    parser.add_argument("--recordings-without", nargs="*", default=[], help="leave out paths that contain this")
    parser.add_argument("--recordings-only", nargs="*", default=[], help="take only paths that contain this")
    parser.add_argument("--rerecord-share", type=float, default=0.3)
    parser.add_argument("--exercise-share", type=float, default=0.2)
    parser.add_argument("--silent-share", type=float, default=0.07, help="silence, noise, speech, drums")
    parser.add_argument(
        "--careful-share", type=float, default=0.0, help="recorded well: a room, hardly any noise, nothing else"
    )
    parser.add_argument("--rooms", type=Path, help="impulse responses made by train.synthesis.rooms")
    parser.add_argument("--sounds", type=Path, help="folder of speech and drums made by train.synthesis.sounds")
    parser.add_argument("--codecs", action="store_true", help="MP3, AAC and Opus, by PyAV")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser


def _found(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Find what the command line names."""
    options = {name: value for name, value in vars(arguments).items() if name not in ("out", "hours", "workers")}
    folders = [path.parent for folder in arguments.pianos for path in folder.glob("*/samples.csv")]
    folders.sort(key=lambda folder: folder.name)  # not by path: the same seed, the same pianos, wherever they lie
    arguments.piano_folders = [
        f for f in folders if f.name not in arguments.without and (not arguments.only or f.name in arguments.only)
    ]
    arguments.midi_folders = [
        _chosen(sorted(folder.rglob("*.mid")), arguments.midi_without, arguments.midi_only, folder)
        for folder in arguments.midi
    ]
    if arguments.recordings:
        name, folder = arguments.recordings[0], Path(arguments.recordings[1])
        try:
            pieces = load_dataset(name, folder, "all")
        except PitchaiError as error:
            parser.error(str(error))
        audio = _chosen([p.audio for p in pieces], arguments.recordings_without, arguments.recordings_only, folder)
        arguments.recordings = [piece for piece in pieces if piece.audio in set(audio)]
    rerecorded = arguments.rerecord_share if arguments.recordings else 0.0
    played = 1 - arguments.silent_share - rerecorded
    if played > 1e-9 and not arguments.piano_folders:
        parser.error(
            "no piano is left; see --pianos, --without and --only, and train.synthesis.banks, which makes pianos"
        )
    for folder, paths in zip(arguments.midi, arguments.midi_folders, strict=True):
        if played > arguments.exercise_share + 1e-9 and not paths:
            parser.error(f"{folder}: no .mid file is left to play; see --midi, --midi-without and --midi-only")
    if arguments.recordings == [] and arguments.rerecord_share:
        parser.error("no recording is left; see --recordings, --recordings-without and --recordings-only")
    # Last: options that end in an error above must not stand in the way of the right ones.
    arguments.out.mkdir(parents=True, exist_ok=True)
    _write_down(options, arguments.out / "render.json", parser)
    return arguments


def _write_down(options: dict[str, object], path: Path, parser: argparse.ArgumentParser) -> None:
    """Write the options beside what is rendered, or compare them with those that stand there."""
    described = json.dumps(options, indent=2, default=str) + "\n"
    if not path.exists():
        path.write_text(described, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != described:
        parser.error(f"{path} names other options: go on with those, or render to another folder")


if __name__ == "__main__":
    main()
