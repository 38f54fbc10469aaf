"""The command ``pitchai live``: notes while they sound."""

from __future__ import annotations

import json
import math
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.cli import signals
from transcribe.cli.console import print_line, print_paths, say, say_remarks
from transcribe.cli.tables import print_tables, summed_up
from transcribe.errors import UsageError

if TYPE_CHECKING:
    from transcribe.events import Transcription
    from transcribe.live.session import Watch
    from transcribe.live.sources import Source
    from transcribe.live.tracker import Event

_LATENCIES = (60, 120, 200, 500)


@dataclass(frozen=True)
class Sound:
    """The sound."""

    device: Annotated[
        str | None,
        typer.Option(help="Microphone: its number or a part of its name; the system's default if not given."),
    ] = None
    input_file: Annotated[
        Path | None, typer.Option("--input", help="Play a recording at its own pace instead of a microphone.")
    ] = None
    fast: Annotated[bool, typer.Option("--fast", help="With --input: as quickly as it can be heard.")] = False
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so many seconds.")] = None
    record: Annotated[Path | None, typer.Option(help="Keep the sound as a WAV file.")] = None
    list_devices: Annotated[bool, typer.Option("--devices", help="List the microphones.")] = False


@dataclass(frozen=True)
class Told:
    """What is told."""

    latency: Annotated[
        int, typer.Option(help="Milliseconds of a note that are heard before it is told: 60, 120, 200 or 500.")
    ] = 120
    midi_out: Annotated[
        str | None,
        typer.Option(
            help="Send the notes to this MIDI port, or to a new one of this name; or a pipe's or device's path."
        ),
    ] = None
    events: Annotated[
        bool, typer.Option("--events", help="Print every event as a line of JSON when it is heard; no picture.")
    ] = False
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="Write what was heard at the end; the suffix says how.")
    ] = None
    refine: Annotated[
        bool, typer.Option("--refine", help="Hear the take again with the large network before it is written.")
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No picture and no summary, only the paths written.")] = (
        False
    )


def live(sound: Sound, told: Told) -> None:
    """Play, and see the notes while they sound: [bold]pitchai live -o take.mid[/]. Ctrl-C ends it."""
    if sound.list_devices:
        _print_devices()
        return
    _check(sound, told)
    result = _listen(sound, told)
    targets = told.output or []
    _write(result, targets, told.overwrite)
    if told.quiet:
        print_paths(map(str, targets))
    elif not told.events:
        say_remarks(Path("live"), result)
        print_tables(summed_up("live", result))


def _check(sound: Sound, told: Told) -> None:
    """Refuse what can't be, before anything sounds."""
    from transcribe.batch.atomic import check_writable
    from transcribe.cli.run import check_packages
    from transcribe.formats.table import format_of

    if told.latency not in _LATENCIES:
        raise UsageError(f"--latency is one of {', '.join(map(str, _LATENCIES))}")
    if sound.fast and sound.input_file is None:
        raise UsageError("--fast goes with --input: a microphone has a pace of its own")
    if sound.device is not None and sound.input_file is not None:
        raise UsageError("--device and --input exclude each other")
    if told.refine and not told.output:
        raise UsageError("--refine goes with -o: there would be nothing to write")
    targets = told.output or []
    forms = [format_of(target) for target in targets]
    for target, form in zip(targets, forms, strict=True):
        if form.needs:
            raise UsageError(f"{target}: a take holds notes and the pedal alone; --record keeps the sound for the rest")
    check_packages(forms)
    for path in (*targets, *([sound.record] if sound.record else [])):
        check_writable(path, told.overwrite)


def _listen(sound: Sound, told: Told) -> Transcription:
    """Run the take, and hear it again where that is asked for."""
    from transcribe.beats.analysis import analysed
    from transcribe.live.engine import Engine
    from transcribe.live.model import load_live_model
    from transcribe.live.ports import MidiOut, open_wire
    from transcribe.live.session import Session
    from transcribe.live.take import Take

    model = load_live_model()
    engine = Engine(model, told.latency)
    midi = MidiOut(open_wire(told.midi_out)) if told.midi_out else None
    try:
        source = _source(sound, engine.sample_rate)
    except BaseException:
        if midi is not None:
            midi.close()
        raise
    screen = None
    if sys.stderr.isatty() and not (told.quiet or told.events):
        from transcribe.cli.live_screen import Screen

        screen = Screen()
    with Take(engine.sample_rate) if told.refine or sound.record else nullcontext() as take:
        session = Session(
            source,
            engine,
            midi,
            watch=_printing() if told.events else None,
            record=take.add if take is not None else None,
            say=None if screen else say,
            draw=screen.draw if screen else None,
            seconds=sound.seconds or math.inf,
        )
        with signals.asking(session.stop.set), screen or nullcontext():
            session.run()
        result = session.result(model.name)
        if take is not None and sound.record is not None:
            take.write(sound.record, told.overwrite)
        if take is not None and told.refine and not signals.received:
            result = _refined(take.path, result, told.quiet)
    return analysed(result)


def _source(sound: Sound, sample_rate: int) -> Source:
    from transcribe.live.sources import DeviceSource, FileSource

    if sound.input_file is not None:
        return FileSource(sound.input_file, sample_rate, paced=not sound.fast)
    return DeviceSource(sound.device, sample_rate)


def _printing() -> Watch:
    """Print events as lines of JSON."""

    def watch(event: Event, now: float) -> None:
        print_line(json.dumps(event.values(now)))

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
    from transcribe.formats.format import Rendering
    from transcribe.formats.table import format_of

    for target in targets:
        write_atomically(target, format_of(target).write(result, Rendering()), overwrite)


def _print_devices() -> None:
    from transcribe.live.sources import devices

    found = devices()
    if not found:
        raise UsageError("this machine has no microphone, or none that PortAudio sees")
    for number, name, n_channels, is_default in found:
        print_line(f"{number:3d}  {name} ({n_channels} channels){', the default' if is_default else ''}")
