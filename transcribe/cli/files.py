"""The commands about results that are there: convert, show, schema."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.cli.console import print_line, print_paths, say_remarks
from transcribe.cli.options import QUIET, Charts, KnownBeats, Parts, Reference, Rhythm, Scores, rendering_of, timing
from transcribe.cli.run import check_packages, read_reference
from transcribe.cli.tables import ROLL_MARGIN, print_tables, roll, summed_up
from transcribe.errors import UsageError
from transcribe.registry import task_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transcribe.events import Transcription
    from transcribe.formats.format import Format
    from transcribe.score.analysis import Timing


@dataclass(frozen=True)
class Files:
    """Results."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT", help="A result, or what others wrote: MIDI, JSON, CSV, JAMS, MusicXML, .lab, .beats."
        ),
    ]
    places: Annotated[
        list[Path] | None, typer.Argument(metavar="[TARGET…]", help="What to write; the suffix says how.")
    ] = None
    outputs: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="The same, as other commands have it.")
    ] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=QUIET)] = False

    @property
    def targets(self) -> list[Path]:
        """What is written.

        Raises
        ------
        UsageError
            If it is nothing.
        """
        found = [*(self.places or ()), *(self.outputs or ())]
        if not found:
            raise UsageError(f"say what to write: pitchai convert {self.source.name} {self.source.stem}.pdf")
        return found


def convert(
    given: Files,
    known: KnownBeats,
    rhythm: Rhythm,
    charts: Charts,
    scores: Scores,
    parts: Parts,
    reference: Reference,
) -> None:
    """Turn a result into other formats, without listening again: [bold]pitchai convert song.json song.mid[/].

    Edits that a result holds are done. All targets are made before the first is written.
    """
    from transcribe.batch.atomic import check_writable, write_atomically
    from transcribe.edits.replay import replayed
    from transcribe.formats.table import format_of, read_transcription
    from transcribe.registry import summary
    from transcribe.report.roll import Scene
    from transcribe.score.parts import only

    source, targets, overwrite = given.source, given.targets, given.overwrite
    for target in targets:
        format_of(target)
    _check_unlike(targets)
    kept = read_transcription(source)
    transcription = replayed(kept)
    if not given.quiet:
        say_remarks(source, transcription)
    forms = _formats(source, transcription, targets)
    charts.check(forms)
    scores.check(forms)
    parts.check(forms)
    known_timing = timing(known, rhythm)
    truth = read_reference(reference.plot_reference, forms)
    for target in targets:
        check_writable(target, overwrite)
    timed = known_timing.settings or scores.simplify or any(form.detailed or form.charted for form in forms)
    transcription = _changed(transcription, known_timing if timed else None, charts, scores, parts)
    scene = Scene(source.name, truth, summary=tuple(summary(transcription)))
    rendering = rendering_of(rhythm, charts, scores)
    title = source.stem if charts.title is None else charts.title
    rendering = replace(rendering, scene=lambda: scene, page=replace(rendering.page, title=title))
    part = only(transcription, () if parts.part is None else (parts.part,))
    shown = {form.name: part if form.detailed else transcription for form in forms}
    if kept.edits and not known_timing.settings and not (charts.transpose or scores.simplify or parts.names):
        shown["json"] = kept  # as heard, with the edits beside it
    contents = [form.content(shown[form.name], rendering) for form in forms]
    # Sound is made while it is written, and so comes first: what can't be made leaves nothing behind.
    for target, content in sorted(zip(targets, contents, strict=True), key=lambda made: isinstance(made[1], bytes)):
        write_atomically(target, content, overwrite)
    print_paths(map(str, targets))


def _changed(
    transcription: Transcription, known: Timing | None, charts: Charts, scores: Scores, parts: Parts
) -> Transcription:
    """Do what the options ask for; beats are looked for where ``known`` is given."""
    from transcribe.beats.analysis import analysed
    from transcribe.score.harmony import spelled, transposed
    from transcribe.score.melody import simplified
    from transcribe.score.parts import only

    if known is not None:
        transcription = analysed(transcription, known)
    transcription = only(transposed(spelled(transcription), charts.transpose), parts.names)
    return simplified(transcription) if scores.simplify else transcription


def _formats(source: Path, transcription: Transcription, targets: Sequence[Path]) -> list[Format]:
    """Choose how each target is written, if the result holds what it takes."""
    from transcribe.formats.table import FORMATS, format_of

    # Where there are chords or beats alone, a table or MIDI holds these.
    only = "notes" if transcription.notes else "chords" if transcription.chords else "beats"
    table = {**FORMATS, **task_named(only).formats} if only == "chords" or transcription.beats else FORMATS
    forms = [format_of(target, table) for target in targets]
    for target, form in zip(targets, forms, strict=True):
        for needed in form.needs:
            if needed == "activations":
                raise UsageError(f"{target}: no result holds activations; make it from the recording with -o")
            if not getattr(transcription, needed):
                raise UsageError(f"{source} holds no {needed} to write as {target.name}")
    check_packages(forms)
    return forms


def _check_unlike(targets: Sequence[Path]) -> None:
    from transcribe.batch.storage import same

    seen = set()
    for target in targets:
        if same(str(target)) in seen:
            raise UsageError(f"{target}: is to be written twice; give each target once")
        seen.add(same(str(target)))


def show(
    source: Annotated[Path, typer.Argument(metavar="RESULT", help="Whatever pitchai convert reads.")],
    width: Annotated[
        int | None,
        typer.Option(min=10, max=1000, help="Columns of the picture; as the terminal has, or 100, if not given."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=QUIET)] = False,
) -> None:
    """Print what a result holds: its summary, and its notes as a picture."""
    from transcribe.edits.replay import replayed
    from transcribe.formats.table import read_transcription
    from transcribe.score.harmony import spelled

    result = spelled(replayed(read_transcription(source)))
    if not quiet:
        say_remarks(source, result)
    for task in ("chords", "beats"):
        if getattr(result, task) and not result.notes:
            print_tables(*task_named(task).tables(source.name, result))
            return
    print_tables(summed_up(source.name, result), roll(result, _fitting() if width is None else width))


def _fitting() -> int:
    """Count the columns of a picture that fits the terminal; 100 elsewhere."""
    if not sys.stdout.isatty():
        return 100
    return max(10, shutil.get_terminal_size().columns - ROLL_MARGIN)


def schema() -> None:
    """Print the JSON schema of what --json prints and -o song.json writes."""
    from transcribe.formats.schema import schema as described

    print_line(json.dumps(described(), indent=2))
