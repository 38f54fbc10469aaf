"""The command ``pitchai doctor``: what this installation is made of, and whether it is whole."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib import metadata
from typing import Annotated

import typer

from transcribe import __version__
from transcribe.cli.console import print_line
from transcribe.cli.tables import facts, print_tables
from transcribe.errors import PitchaiError, WeightsError


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation: versions, devices, decoders, weights and their checksums and terms."""
    report = examine()
    if as_json:
        print_line(json.dumps(report))
    else:
        print_tables(*(facts(title, section.items()) for title, section in report.items()))
    if any(value.startswith("FAULTY") for section in report.values() for value in section.values()):
        raise typer.Exit(WeightsError.exit_code)


def examine() -> dict[str, dict[str, str]]:
    """Look at versions, licences, devices, decoders and weights.

    Returns
    -------
    dict
        Section → name → finding; a finding that begins with ``FAULTY`` stops the program from working.
    """
    return {"program": _program(), "packages": _packages(), "devices": _devices(), "decoders": _decoders()} | {
        "weights": _weights()
    }


def _program() -> dict[str, str]:
    return {
        "pitchai": f"{__version__} (MIT AND CC-BY-NC-SA-4.0 AND CC-BY-4.0: the code, and the weights)",
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _packages() -> dict[str, str]:
    """Look at what pitchai needs, and at what its extras bring where they are installed."""
    extras: dict[str, list[str]] = {}
    for requirement in metadata.requires("pitchai") or []:
        name, _, marker = re.match(r"([\w.-]+)([^;]*);?(.*)", requirement).groups()  # type: ignore[union-attr]
        extras.setdefault(name, []).extend(re.findall(r"extra == ['\"]([\w-]+)", marker))
    found = {}
    for name, of in extras.items():
        try:
            found[name] = f"{metadata.version(name)} ({_licence(metadata.metadata(name))})"
            found[name] += f", for {' '.join(f'[{extra}]' for extra in of)}" if of else ""
        except metadata.PackageNotFoundError:
            if not of:
                found[name] = "FAULTY: not installed; reinstall pitchai"
    return found


def _licence(about: metadata.PackageMetadata) -> str:
    """Read a package's licence from whichever of its fields states it; the first 60 characters."""
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    stated = about.get_all("License-Expression") or []
    stated += [line.rsplit("::", 1)[-1].strip() for line in classifiers]
    stated += about.get_all("License") or []  # last: some have the whole text there
    return next((line.splitlines()[0][:60] for line in stated if line.strip()), "licence not stated")


def _devices() -> dict[str, str]:
    from transcribe.engine.devices import n_threads

    found = {"cpu": f"{os.cpu_count()} cores, {n_threads()} threads"}
    try:
        import torch
    except ModuleNotFoundError:
        return {**found, "cuda": "no torch to ask: GPUs need pip install 'pitchai[gpu]'"}
    except (ImportError, OSError) as error:
        return {**found, "torch": f"FAULTY: {' '.join(str(error).split())[:200]}"}
    if not torch.cuda.is_available():
        found["cuda"] = "none: auto takes the CPU"
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        found[f"cuda:{i}"] = torch.cuda.get_device_name(i)
    return found


def _decoders() -> dict[str, str]:
    found = {}
    try:
        import soundfile

        names = ", ".join(sorted(soundfile.available_formats()))
        found["soundfile"] = f"libsndfile {soundfile.__libsndfile_version__}: {names}"
    except (ImportError, OSError) as error:
        found["soundfile"] = f"FAULTY: {error}"
    try:
        import av

        version = ".".join(map(str, av.library_versions["libavcodec"]))
        found["PyAV"] = f"libavcodec {version}: aac, opus, vorbis, alac, … in mp4, mkv, webm, …"
    except (ImportError, OSError) as error:
        found["PyAV"] = f"FAULTY: {error}"
    return found


def _weights() -> dict[str, str]:
    from transcribe.engine.onnx_backend import OnnxNetwork
    from transcribe.engine.task import NetworkTask
    from transcribe.engine.weights import manifest, verified_bytes
    from transcribe.live.model import TASK as LIVE
    from transcribe.live.model import LiveModel
    from transcribe.registry import TASKS

    try:
        entries = manifest()
    except PitchaiError as error:
        return {"manifest": f"FAULTY: {error}"}
    found = {}
    for task in (task.name for task in TASKS if isinstance(task, NetworkTask)):
        if not any(entry.task == task and entry.default for entry in entries.values()):
            found[task] = f"FAULTY: there are no default weights for {task}; reinstall pitchai"
    for name, entry in entries.items():
        try:
            size = len(verified_bytes(entry.file, entry.sha256))
            if entry.graph:
                graph = verified_bytes(entry.graph, entry.graph_sha256)
                _ = LiveModel(graph, name) if entry.task == LIVE else OnnxNetwork(graph)
            found[name] = f"{entry.task}, {size / 1e3:.0f} kB, sha256 {entry.sha256[:16]}… checked; {entry.licence}"
        except PitchaiError as error:
            found[name] = f"FAULTY: {error}"
    return found
