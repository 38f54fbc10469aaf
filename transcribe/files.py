"""Results in files, for whoever uses the library: ``save`` and ``load``."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from transcribe.batch.atomic import write_atomically
from transcribe.edits.replay import replayed
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.formats.format import Page, Rendering
from transcribe.formats.table import format_of, read_transcription
from transcribe.registry import summary, task_named
from transcribe.report.roll import Scene


def save(
    transcription: Transcription,
    path: str | PathLike[str],
    *,
    task: str = "notes",
    detail: float = 1.0,
    title: str | None = None,
    composer: str = "",
    repeats: bool = True,
    show_confidence: bool = False,
    lead_sheet: bool = False,
    capo: int = 0,
    one_track: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a file, whole or not at all; edits that a result holds are done, but for JSON, which keeps them.

    Parameters
    ----------
    transcription
        What was found.
    path
        Its suffix says in which format: ``.mid``, ``.json``, ``.musicxml``, ``.lab`` …, any that the command writes
        but ``.npz``, which takes activations.
    task
        Whose formats: a ``.csv`` of ``chords`` holds chords.
    detail
        How fine the rhythms of scores are: above 1 finer, below simpler.
    title
        Stands above scores and charts, the file's name where None; and in MIDI, where it is given.
    composer, repeats, show_confidence, lead_sheet
        Of scores: the composer; whether what returns unchanged at once stands between repeat signs; whether notes that
        are unsure are grey; whether there is nothing but the melody and chord symbols.
    capo
        Of charts: the fret of a capo that the chords are fingered above.
    one_track
        Of MIDI: both hands are in one.
    overwrite
        Replace a file that is there.

    Raises
    ------
    UsageError
        If there is no such format or task, or the transcription holds nothing for it.
    OutputError
        If the file is there already or can't be written.
    """
    target = Path(path)
    form = format_of(target, task_named(task).formats)
    if form.name != "json":
        transcription = replayed(transcription)
    if "chords" in form.needs and not transcription.chords:
        raise UsageError(f"{target.name}: there are no chords to write")
    scene = Scene(target.stem, summary=tuple(summary(transcription)))
    page = Page(target.stem if title is None else title, composer, repeats, show_confidence, lead_sheet)
    rendering = Rendering(lambda: scene, detail, page=page, capo=capo, one_track=one_track, title=title or "")
    write_atomically(target, form.content(transcription, rendering), overwrite)


def load(path: str | PathLike[str]) -> Transcription:
    """Read a result: ``.json``, ``.mid``, ``.csv``, ``.lab``, ``.beats``, ``.jams`` or a score in MusicXML.

    Edits that it holds stay undone; :func:`replayed` does them.

    Raises
    ------
    InputError
        If it can't be read.
    UsageError
        If its suffix is that of no format.
    """
    return read_transcription(Path(path))
