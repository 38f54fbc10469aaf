"""Measure the notes of any instruments beside basic-pitch's, on all that they are judged by, in one run.

    python tests/benchmark/compare_any.py --data shared/data --bands runs/bands-unheard \\
        --solos trials/other-instruments --venvs ~/peers --model any

``--data`` holds a folder for each development set (``bach10``, ``ssvd-singing``, ``mdb-drums``, ``maps-real-dev``,
``omaps-dev``, ``irmas-100``, ``chords-guitar``); ``--bands`` are renders by ``train.synthesis.bands``, ``--solos``
those of ``train.synthesis.trials other-instruments``. What is missing is left out. The peer stands in a virtual
environment of its own below ``--venvs``, made when it is missing. To the protocol of ``compare.py`` our runner adds the
instrument of every note, ``drums`` (onset s, class, velocity) and the ``model`` that was taken.

Conventions: onsets within 50 ms, on Bach10 within 100, as its labels are made from f0; frames of 10 ms. Figures of
notes are means over recordings, those of a family and of drums are counted over all recordings together. "named" is the
share of the right notes that have the right family. Labels of SSVD lie 0.2 semitones high: that much is taken off
before they are rounded to a key. A band has three families or more, drums among them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from compare import PEERS, Runner, Tool, ours, time_command
from rich.console import Console
from rich.table import Table

from transcribe.audio.reader import AUDIO_SUFFIXES
from transcribe.automatic import ANY
from transcribe.engine.weights import manifest, weights_folder
from transcribe.events import Drum, Note, Transcription
from transcribe.matching import match_notes
from transcribe.notes.datasets import read_labels
from transcribe.notes.ensemble_datasets import read_table
from transcribe.notes.ensemble_metrics import count_families, count_strokes, named, total
from transcribe.notes.metrics import score_notes
from transcribe.registry import load_dataset
from transcribe.theory.families import DRUMS

BASIC_PITCH = next(peer for peer in PEERS if peer.name == "basic-pitch")
PEER_GRAPH = "basic_pitch/saved_models/icassp_2022/nmp.onnx"
SSVD_HIGH = 0.2  # semitones
BAND = 3  # families

UNKNOWN = Transcription()
Heard = Sequence[Transcription]
Measure = Callable[[Heard, Heard], dict[str, float]]


@dataclass(frozen=True)
class Recording:
    """A recording and what is played in it, as far as it is known."""

    name: str
    audio: Path
    truth: Transcription = UNKNOWN


@dataclass(frozen=True)
class Trial:
    """Recordings, how what was heard of all of them is measured against the truth, and the goals of the figures."""

    name: str
    recordings: Sequence[Recording]
    measure: Measure
    goals: Mapping[str, str] = field(default_factory=dict)


def measure_notes(truths: Heard, found: Heard, tolerance: float = 0.05) -> dict[str, float]:
    """Measure notes and frames, and what share of the right notes is named rightly."""
    pairs = [(truth.notes, heard.notes) for truth, heard in zip(truths, found, strict=True) if truth.notes]
    scores = [score_notes("", *pair, tolerance).scores for pair in pairs]
    figures = {name: float(np.mean([one[name].f1 for one in scores])) for name in ("note", "frame")}
    if all(any(note.instrument for side in sides for note in side) for sides in zip(*pairs, strict=True)):
        right = sum(total(count_families(*pair, None, tolerance).values()).hits for pair in pairs)
        figures["named"] = right / max(1, sum(len(match_notes(*pair, None, tolerance)) for pair in pairs))
    return figures


def measure_bands(truths: Heard, found: Heard) -> dict[str, float]:
    """Measure notes, without and with their families, those of each family, and drums."""
    truths = [replace(truth, notes=tuple(named(truth.notes))) for truth in truths]
    figures = measure_notes(truths, found)
    if "named" not in figures:
        return figures
    counts = [count_families(t.notes, f.notes) for t, f in zip(truths, found, strict=True) if t.notes]
    figures["with family"] = float(np.mean([total(one.values()).figures[2] for one in counts]))
    for family in sorted({name for one in counts for name, count in one.items() if name and count.n_reference}):
        figures[family] = total(one[family] for one in counts if family in one).figures[2]
    return figures | measure_drums(truths, found)


def measure_drums(truths: Heard, found: Heard) -> dict[str, float]:
    """Measure the strokes of each class, and the mean of bass drum, snare drum and hi-hat."""
    if not any(heard.drums for heard in found):
        return {}
    counts = [count_strokes(truth.drums, heard.drums) for truth, heard in zip(truths, found, strict=True)]
    each = {label: total(one[label] for one in counts) for label in DRUMS}
    figures = {label: count.figures[2] for label, count in each.items() if count.n_reference}
    main = [figures[label] for label in DRUMS[:3] if label in figures]
    return {"drums": float(np.mean(main)), **figures} if main else figures


def measure_ghosts(_: Heard, found: Heard) -> dict[str, float]:
    """Count the notes a minute where nothing has a pitch."""
    return {"notes a minute": sum(len(t.notes) for t in found) / (sum(t.duration for t in found) / 60)}


def read_quartets(folder: Path) -> tuple[list[Recording], list[Recording]]:
    """Read the mixes of Bach10, and its stems with the notes that the mix's labels give their player."""
    mixes, stems = [], []
    for piece in load_dataset("bach10", folder / "mix"):
        whole = read_table(piece.labels)
        mixes.append(Recording(piece.name, piece.audio, whole))
        lines = [line for line in piece.labels.read_text().splitlines() if line and not line.startswith("#")]
        with tempfile.TemporaryDirectory() as scratch:
            for stem in sorted(folder.glob(f"stems/{piece.name}_*.ogg")):
                own = Path(scratch) / "own.tsv"
                own.write_text("\n".join(line for line in lines if line.endswith(stem.stem.split("_")[1])))
                stems.append(Recording(stem.stem, stem, read_table(own)))
    return mixes, stems


def read_singers(folder: Path) -> Iterator[Recording]:
    """Read the voices of SSVD, with their pitches put right."""
    for audio in _sounds(folder):
        rows = [line.split() for line in audio.with_suffix(".tsv").read_text().splitlines() if line[:1].isdigit()]
        numbers = [tuple(map(float, row[:3])) for row in rows]
        notes = sorted(Note(on, round(pitch - SSVD_HIGH), off, 0, instrument="voice") for on, off, pitch in numbers)
        yield Recording(audio.stem, audio, Transcription(notes=tuple(notes), duration=notes[-1].offset))


def read_pairs(folder: Path) -> list[Recording]:
    """Read recordings beside their labels."""
    return [Recording(p.name, p.audio, read_labels(p.labels)) for p in load_dataset("pairs", folder)]


def is_band(recording: Recording) -> bool:
    """Whether there are enough families, drums among them."""
    families = {note.instrument for note in recording.truth.notes}
    return bool(families) and len(families) + bool(recording.truth.drums) >= BAND


def _sounds(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in AUDIO_SUFFIXES)


def trials(data: Path, bands: Path, solos: Path) -> Iterator[Trial]:
    """List the trials whose recordings are there."""
    within_100_ms = partial(measure_notes, tolerance=0.1)
    if (data / "bach10").is_dir():
        mixes, stems = read_quartets(data / "bach10")
        goals = {"note": ">= 0.85", "frame": ">= 0.85", "named": ">= 0.70"}
        yield Trial("bach10, mixes", mixes, within_100_ms, goals)
        yield Trial("bach10, stems", stems, within_100_ms, {"note": ">= 0.90"})
    if (data / "ssvd-singing").is_dir():
        singers = list(read_singers(data / "ssvd-singing"))
        yield Trial("ssvd-singing", singers, measure_notes, {"note": ">= 0.60", "frame": ">= 0.75"})
    if bands.is_dir():
        renders = read_pairs(bands)
        goals = {"note": ">= 0.75", "with family": ">= 0.60", "bass": ">= 0.80", "piano": ">= 0.75"}
        yield Trial("bands of an unheard font", [one for one in renders if is_band(one)], measure_bands, goals)
        yield Trial("all of an unheard font", renders, measure_bands)
    for kind, least in (("guitar", "0.918"), ("strings", "0.925"), ("winds", "0.799"), ("band", "")):
        if (solos / kind).is_dir():
            goals = {"note": f">= {least}"} if least else {}
            yield Trial(f"{kind} of an unheard font", read_pairs(solos / kind), measure_notes, goals)
    if (data / "mdb-drums").is_dir():
        pieces = load_dataset("mdb-drums", data / "mdb-drums")
        mixes = [Recording(p.name, p.audio, p.read(p.labels)) for p in pieces if p.read is not None]
        yield Trial("mdb-drums", mixes, measure_drums, {"drums": ">= 0.75"})
        alone = [Recording(path.stem, path) for path in sorted((data / "mdb-drums").glob("stems/*_drum-set.ogg"))]
        yield Trial("mdb-drums, drums alone", alone, measure_ghosts, {"notes a minute": "< 2"})
    if (data / "maps-real-dev").is_dir():
        yield Trial("maps-real-dev", read_pairs(data / "maps-real-dev"), measure_notes, {"note": ">= 0.88"})


def strangers(data: Path) -> Iterator[tuple[str, list[Path]]]:
    """List recordings of which none is a piano alone."""
    yield "bach10", _sounds(data / "bach10")
    yield "mdb-drums", _sounds(data / "mdb-drums" / "mix")
    yield "ssvd-singing", _sounds(data / "ssvd-singing")
    # In those led by a piano, it may be alone.
    yield "irmas-100", [path for path in _sounds(data / "irmas-100") if path.parent.name != "piano"]
    yield "chords-guitar", _sounds(data / "chords-guitar")


def choices(data: Path, runner: Runner) -> dict[str, tuple[int, int]]:
    """Count how many recordings, of how many, get the network that they should from ``--model auto``."""
    sets = [(name, _sounds(data / name), False) for name in ("maps-real-dev", "omaps-dev")]
    sets += [(name, paths, True) for name, paths in strangers(data)]
    any_names = {entry.name for entry in manifest().values() if entry.size == ANY}
    found = {}
    for name, paths, is_strange in sets:
        taken = {path: runner(path)["model"] for path in paths}
        wrong = [
            path.relative_to(data).as_posix() for path, model in taken.items() if (model in any_names) != is_strange
        ]
        if taken:
            found[name] = len(taken) - len(wrong), len(taken)
            print(f"auto, {name}: {len(wrong)} of {len(taken)} wrong {' '.join(wrong)}", file=sys.stderr)
    return found


def _transcription(answer: dict[str, Any]) -> Transcription:
    notes = (
        Note(on, pitch, off, velocity, instrument=who[0] if who else None)
        for on, off, pitch, velocity, *who in answer["notes"]
    )
    drums = (Drum(onset, label, velocity) for onset, label, velocity in answer.get("drums", ()))
    return Transcription(notes=tuple(sorted(notes)), drums=tuple(sorted(drums)), duration=answer["seconds"])


def _graph_bytes(tool: Tool, venvs: Path, model: str) -> float:
    """Tell the size of a tool's graph, nan where there is none."""
    if tool is BASIC_PITCH:
        found = list((venvs / "basic-pitch").rglob(PEER_GRAPH))
    else:
        entries = manifest()
        entry = entries.get(model) or next((one for one in entries.values() if one.size == model), None)
        found = [weights_folder() / entry.graph] if entry is not None and entry.graph else []
    return float(found[0].stat().st_size) if found else float("nan")


def whole_commands(tools: Sequence[Tool], venvs: Path, audio: Path, threads: int) -> Iterator[tuple[str, list[str]]]:
    """Time whole commands on a recording that is repeated for 1, 10 and 60 minutes."""
    samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    with tempfile.TemporaryDirectory() as scratch:
        for minutes in (1, 10, 60):
            path = Path(scratch) / f"{minutes}.wav"
            soundfile.write(path, np.resize(samples.mean(1), minutes * 60 * rate), rate)
            runs = [time_command(tool, tool.environment(venvs), path, threads) for tool in tools]
            yield f"{minutes} min", [f"{r['wall']:.1f} s, {r['cpu']:.1f} s CPU, {r['peak'] / 1e6:.0f} MB" for r in runs]


class Listeners:
    """All tools; what they said of a recording is kept, so that two trials may have it.

    ``costs`` are the seconds of audio that each has heard and the CPU seconds that it took.
    """

    def __init__(self, runners: Mapping[str, Runner]) -> None:
        self.costs = {name: np.zeros(2) for name in runners}
        self._runners = runners
        self._heard: dict[Path, dict[str, Transcription]] = {}

    def hear(self, trial: Trial) -> dict[str, dict[str, float]]:
        """Let every tool hear every recording of a trial in turn; the figures of each tool."""
        for number, recording in enumerate(trial.recordings, 1):
            if recording.audio not in self._heard:
                answers = {name: runner(recording.audio) for name, runner in self._runners.items()}
                for name, answer in answers.items():
                    self.costs[name] += answer["seconds"], answer["cpu"]
                self._heard[recording.audio] = {name: _transcription(answer) for name, answer in answers.items()}
            print(f"{trial.name} {number}/{len(trial.recordings)} {recording.name}", file=sys.stderr)
        truths = [recording.truth for recording in trial.recordings]
        heard = [self._heard[recording.audio] for recording in trial.recordings]
        figures = {name: trial.measure(truths, [one[name] for one in heard]) for name in self._runners}
        print(json.dumps({trial.name: figures}), file=sys.stderr)
        return figures


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _parser().parse_args()

    def is_wanted(name: str) -> bool:
        return not options.only or any(word in name for word in options.only)

    mine = replace(ours(options.model, options.threads), runner=("run_pitchai_any.py", options.model))
    tools = [mine] if options.without_peer else [mine, BASIC_PITCH]
    runners = {tool.name: Runner(tool, tool.environment(options.venvs), options.threads) for tool in tools}
    figures: dict[str, dict[str, dict[str, float]]] = {}
    listeners = Listeners(runners)
    table = Table("recordings", "number", "figure", "wanted", *runners)
    for trial in trials(options.data, options.bands, options.solos):
        if is_wanted(trial.name):
            found = figures[trial.name] = listeners.hear(trial)
            for figure in dict.fromkeys(figure for own in found.values() for figure in own):
                cells = [f"{own[figure]:.3f}" if figure in own else "–" for own in found.values()]
                table.add_row(trial.name, str(len(trial.recordings)), figure, trial.goals.get(figure, ""), *cells)
    chosen: dict[str, tuple[int, int]] = {}
    if is_wanted("auto"):
        automatic = replace(mine, runner=("run_pitchai_any.py", "auto"))
        chosen = choices(options.data, Runner(automatic, automatic.environment(options.venvs), options.threads))
        for name, (right, n) in chosen.items():
            table.add_row(f"auto, {name}", str(n), "the right network", "", f"{right} of {n}")
    if figures:
        per_minute = {name: 60 * cpu / seconds for name, (seconds, cpu) in listeners.costs.items()}
        graphs = {tool.name: _graph_bytes(tool, options.venvs, options.model) / 1e6 for tool in tools}
        table.add_row("all of these", "", "CPU s / min", "", *(f"{value:.3f}" for value in per_minute.values()))
        table.add_row("the graph", "", "MB", "< 12", *(f"{value:.2f}" for value in graphs.values()))
        figures["costs"] = {name: {"cpu": per_minute[name], "graph": graphs[name]} for name in runners}
    first = next(iter(_sounds(options.data / "mdb-drums" / "mix")), None)
    if is_wanted("costs") and first is not None:
        for length, cells in whole_commands(tools, options.venvs, first, options.threads):
            table.add_row("whole command", length, "time, memory", "", *cells)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "auto": chosen}, indent=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with a folder for each development set")
    add("--bands", type=Path, default=Path("runs/bands-unheard"), help="renders of bands")
    add("--solos", type=Path, default=Path("trials/other-instruments"), help="renders of single instruments")
    add("--model", default=ANY, help="our weights: a name, a size or a file")
    add("--venvs", type=Path, required=True, help="folder for the peer's virtual environment")
    add("--without-peer", action="store_true", help="measure ours alone")
    add("--only", nargs="*", help="only trials whose names contain one of these, such as auto or costs")
    add("--threads", type=int, default=1)
    add("--json", type=Path, help="write the figures here")
    return parser


if __name__ == "__main__":
    main()
