"""The command ``pitchai live``: notes while they sound."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.cli import signals
from transcribe.cli.console import print_line, print_paths, say, say_remarks
from transcribe.cli.tables import print_tables, summed_up
from transcribe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from transcribe.events import Transcription
    from transcribe.live.session import Session, Watch
    from transcribe.live.sources import Source
    from transcribe.live.tracker import Event

_LATENCIES = (60, 120, 200, 500)


def live(
    device: Annotated[
        str | None,
        typer.Option(help="Microphone: its number or a part of its name; the system's default if not given."),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Play a recording at its own pace instead of a microphone.")
    ] = None,
    latency: Annotated[
        int, typer.Option(help="Milliseconds of a note that are heard before it is told: 60, 120, 200 or 500.")
    ] = 120,
    midi_out: Annotated[
        str | None,
        typer.Option(
            help="Send the notes to this MIDI port, or to a new one of this name; or a pipe's or device's path."
        ),
    ] = None,
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="Write what was heard at the end; the suffix says how.")
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help="Hear the take again with the large network before it is written.")
    ] = False,
    record: Annotated[Path | None, typer.Option(help="Keep the sound as a WAV file.")] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Print every event as a line of JSON when it is heard; no picture.")
    ] = False,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so many seconds.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="With --input: as quickly as it can be heard.")] = False,
    list_devices: Annotated[bool, typer.Option("--devices", help="List the microphones.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No picture and no summary.")] = False,
) -> None:
    """Play, and see the notes while they sound: [bold]pitchai live -o take.mid[/]. Ctrl-C ends it."""
    from transcribe.batch.atomic import check_writable
    from transcribe.formats.table import format_of

    if list_devices:
        _print_devices()
        return
    if latency not in _LATENCIES:
        raise UsageError(f"--latency is one of {', '.join(map(str, _LATENCIES))}")
    if fast and input_file is None:
        raise UsageError("--fast goes with --input: a microphone has a pace of its own")
    if device is not None and input_file is not None:
        raise UsageError("--device and --input exclude each other")
    if refine and not output:
        raise UsageError("--refine goes with -o: there would be nothing to write")
    targets = output or []
    for target in targets:
        if format_of(target).needs:
            raise UsageError(
                f"{target}: a take holds notes and the pedal alone; use --refine's file with pitchai itself"
            )
    for path in (*targets, *([record] if record else [])):
        check_writable(path, overwrite)
    result = _listen(device, input_file, latency, midi_out, record, events, seconds, fast, overwrite, quiet, refine)
    _write(result, targets, overwrite)
    if not quiet and not events:
        say_remarks(Path("live"), result)
        print_tables(summed_up("live", result))
    if quiet:
        print_paths(map(str, targets))


def _listen(
    device: str | None,
    input_file: Path | None,
    latency: int,
    midi_out: str | None,
    record: Path | None,
    events: bool,
    seconds: float | None,
    fast: bool,
    overwrite: bool,
    quiet: bool,
    refine: bool,
) -> Transcription:
    """Run the take, and hear it again where that is asked for."""
    from transcribe.beats.analysis import analysed
    from transcribe.live.engine import Engine
    from transcribe.live.model import load_live_model
    from transcribe.live.ports import MidiOut, open_wire
    from transcribe.live.session import Session
    from transcribe.live.take import Take

    model = load_live_model()
    engine = Engine(model, latency)
    midi = MidiOut(open_wire(midi_out)) if midi_out else None
    try:
        source = _source(device, input_file, engine.sample_rate, fast)
    except BaseException:
        if midi is not None:
            midi.close()
        raise
    screen = None
    if sys.stderr.isatty() and not (quiet or events):
        from transcribe.cli.live_screen import Screen

        screen = Screen()
    with Take(engine.sample_rate) if refine or record else nullcontext() as take:
        session = Session(
            source,
            engine,
            midi,
            watch=_printing() if events else None,
            record=take.add if take is not None else None,
            say=None if screen else say,
            draw=screen.draw if screen else None,
        )
        if seconds is not None:
            _end_after(session, seconds)
        with signals.asking(session.stop.set), screen or nullcontext():
            session.run()
        signals.check()
        result = session.result(model.name)
        if record is not None and take is not None:
            take.write(record, overwrite)
        if refine and take is not None:
            result = _refined(take.path, result, quiet)
    return analysed(result)


def _source(device: str | None, input_file: Path | None, sample_rate: int, fast: bool) -> Source:
    from transcribe.live.sources import DeviceSource, FileSource

    if input_file is not None:
        return FileSource(input_file, sample_rate, paced=not fast)
    return DeviceSource(device, sample_rate)


def _end_after(session: Session, seconds: float) -> None:
    """Stop a take when so much has been heard."""
    hear = session.engine.push

    def heard(samples: np.ndarray) -> list[Event]:
        found = hear(samples)
        if session.engine.time >= seconds:
            session.stop.set()
        return found

    session.engine.push = heard  # type: ignore[method-assign]


def _printing() -> Watch:
    """Print events as lines of JSON."""

    def watch(event: Event, now: float) -> None:
        line: dict[str, object] = {"event": event.kind.value, "time": round(event.time, 4), "told": round(now, 4)}
        if event.pitch:
            line["pitch"] = event.pitch
        if event.velocity:
            line |= {"velocity": event.velocity, "confidence": round(event.confidence, 3)}
        print_line(json.dumps(line))

    return watch


def _refined(recording: Path, result: Transcription, quiet: bool) -> Transcription:
    """Hear a take again with the large network; what is known of the take itself stays."""
    from transcribe.cli.console import ProgressBar
    from transcribe.transcriber import Transcriber

    with ProgressBar("large", quiet) as progress:
        heard = Transcriber(tasks=("notes",), model="large").transcribe_file(
            recording, progress=signals.watched(progress)
        )
    return replace(heard, warnings=tuple(dict.fromkeys((*result.warnings, *heard.warnings))))


def _write(result: Transcription, targets: list[Path], overwrite: bool) -> None:
    from transcribe.batch.atomic import write_atomically
    from transcribe.cli.run import check_packages
    from transcribe.formats.format import Rendering
    from transcribe.formats.table import format_of

    forms = [format_of(target) for target in targets]
    check_packages(forms)
    for target, form in zip(targets, forms, strict=True):
        write_atomically(target, form.write(result, Rendering()), overwrite)


def _print_devices() -> None:
    from transcribe.live.sources import devices

    found = devices()
    if not found:
        raise UsageError("this machine has no microphone, or none that PortAudio sees")
    for number, name, n_channels, is_default in found:
        print_line(f"{number:3d}  {name} ({n_channels} channels){', the default' if is_default else ''}")
