"""The options that commands share, each declared once: groups of them are frozen dataclasses.

A command takes groups as its arguments, and :func:`transcribe.cli.groups.unpacked` makes of every field an option for
typer. To offer one more option to all commands of a group, add a field; to offer a group to a command, name it as an
argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from transcribe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transcribe.audio.reader import Excerpt
    from transcribe.formats.format import Format, Rendering
    from transcribe.score.analysis import Timing


# What one option of several groups says, and the panel of what is for many recordings.
QUIET = "Print only results and the paths written: no progress, warnings or summaries."
MANY = "Many recordings"


@dataclass(frozen=True)
class Batch:
    """Recordings and results."""

    inputs: Annotated[
        list[str],
        typer.Argument(metavar="RECORDING…", help="Recordings, folders or patterns; - is standard input."),
    ]
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PLACE",
            help="A file, whose suffix says what is written; a folder; or - for standard output. May be given several "
            "times. Nothing is written if not given.",
        ),
    ] = None
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", metavar="NAME", help="What to write, where -o's suffix doesn't say."),
    ] = None
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Search folders within folders.", rich_help_panel=MANY)
    ] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out recordings whose results exist.")
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON, a line for each recording; -o writes files too.")
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=QUIET)] = False
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1024,
            rich_help_panel=MANY,
            help="Processes that work side by side, one thread each. If one dies, only its recording fails.",
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            rich_help_panel=MANY,
            help="Work on a Ray cluster: machine:port, local, or auto (the cluster that runs here, else local). "
            "--workers is then the highest number of actors.",
        ),
    ] = None
    manifest: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=MANY,
            help="Write a line of JSON for every recording; with --workers or --ray and -o DIR: DIR/pitchai.jsonl.",
        ),
    ] = None

    @property
    def parallel(self) -> bool:
        """Whether other processes do the work, several recordings at once."""
        return self.workers is not None or self.ray is not None

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        UsageError
            If two of them do, or Ray is asked for and isn't installed.
        """
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing exclude each other")
        if self.as_json and "-" in (self.output or []):
            raise UsageError("--json and -o - would both write to stdout; choose one")
        if self.ray is not None:
            from transcribe.batch.cluster import check_address, import_ray

            check_address(self.ray)
            import_ray()


@dataclass(frozen=True)
class Computing:
    """Model and machine."""

    model: Annotated[str | None, typer.Option(metavar="NAME", help="A .safetensors file.", show_default=False)] = None
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N; mps, Apple's GPU, is untried.")
    ] = "auto"
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="auto, float32 or bfloat16; bfloat16 needs torch and a processor that computes in it."
        ),
    ] = "auto"
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="CPU threads, some 70 MB each; one a core, at most 8, if not given; 1 with --workers or --ray.",
        ),
    ] = None
    max_duration: Annotated[
        float,
        typer.Option(min=0.0, help="Longer recordings are refused.", metavar="HOURS", rich_help_panel=MANY),
    ] = 24.0

    def n_threads(self, parallel: bool) -> int | None:
        """Give each worker one thread unless told otherwise: results don't depend on how many workers there are."""
        return 1 if parallel and self.threads is None else self.threads


@dataclass(frozen=True)
class Part:
    """Which part is heard."""

    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begin here: seconds or m:ss. The times of results count from here."),
    ] = None
    end: Annotated[str | None, typer.Option(metavar="TIME", help="End here: seconds or m:ss of the recording.")] = None

    @property
    def excerpt(self) -> Excerpt:
        """What is heard.

        Raises
        ------
        UsageError
            If a time is none, or it ends before it begins.
        """
        from transcribe.audio.reader import WHOLE, Excerpt

        start = WHOLE.start if self.start is None else _seconds("--start", self.start)
        end = WHOLE.end if self.end is None else _seconds("--end", self.end)
        try:
            return Excerpt(start, end)
        except ValueError:
            raise UsageError(f"--start {self.start or 0} --end {self.end}: the end must lie behind the start") from None


_TIME = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,5}):)?(\d{1,7}(?:\.\d*)?|\.\d+)", re.ASCII)


def _seconds(option: str, time: str) -> float:
    """Read a time: ``90``, ``90.5``, ``1:30`` or ``1:02:03``.

    Raises
    ------
    UsageError
        If it is none.
    """
    read = _TIME.fullmatch(time.strip())
    if read is None or (":" in time and float(read[3]) >= 60):
        raise UsageError(f"{option} {time}: give seconds, m:ss or h:mm:ss, such as 90 or 1:30")
    hours, minutes, seconds = (float(part or 0) for part in read.groups())
    return 3600 * hours + 60 * minutes + seconds


@dataclass(frozen=True)
class KnownBeats:
    """What you know of the rhythm and the key."""

    tempo: Annotated[
        float | None,
        typer.Option(
            min=10.0, max=600.0, metavar="BPM", help="Beats a minute, the same throughout.", show_default=False
        ),
    ] = None
    metre: Annotated[str | None, typer.Option(metavar="3/4", help="3/4, 6/8 or another.", show_default=False)] = None
    pickup: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=63.0,
            metavar="BEATS",
            help="Beats from the first note to the first bar line.",
            show_default=False,
        ),
    ] = None
    beat: Annotated[
        str | None,
        typer.Option(
            metavar="half|double", help="Half as many beats as are found without it, or twice.", show_default=False
        ),
    ] = None
    key: Annotated[str | None, typer.Option(metavar="KEY", help="'E minor' or another.", show_default=False)] = None
    beats: Annotated[
        Path | None,
        typer.Option(help="A file of beats: lines of a time and a number within the bar, or a result."),
    ] = None


@dataclass(frozen=True)
class Rhythm:
    """How rhythms are written."""

    quantize: Annotated[bool, typer.Option("--quantize", help="Move the notes onto the beats and their parts.")] = False
    quantize_strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How far --quantize moves them: 1 all the way.")
    ] = 1.0
    quantize_grid: Annotated[
        str | None,
        typer.Option(
            metavar="1/16",
            help="1/8, 1/16, or 1/8t for triplets: --quantize moves the notes onto these; if not given, to where a "
            "score shows them.",
            show_default=False,
        ),
    ] = None
    detail: Annotated[
        float, typer.Option(min=0.1, max=10.0, help="Rhythms of scores and --quantize: above 1 finer, below simpler.")
    ] = 1.0


def timing(known: KnownBeats, rhythm: Rhythm, n_recordings: int = 1) -> Timing:
    """Put together what is known of the beats and how notes are moved onto them.

    Raises
    ------
    UsageError
        If two things that are known exclude each other.
    InputError
        If a file of beats can't be read.
    """
    from transcribe.beats.datasets import read_beats
    from transcribe.score.analysis import Timing

    if known.beats is not None and known.tempo is not None:
        raise UsageError("--tempo and --beats exclude each other: beats have a tempo")
    if known.beat is not None and (known.beats is not None or known.tempo is not None):
        raise UsageError("--beat halves or doubles beats that are found; it doesn't go with --tempo or --beats")
    if not rhythm.quantize and (rhythm.quantize_grid is not None or rhythm.quantize_strength != 1.0):
        raise UsageError("--quantize-strength and --quantize-grid go with --quantize")
    if known.beats is not None and n_recordings > 1:
        raise UsageError("--beats takes one recording")
    beats = None if known.beats is None else read_beats(known.beats)
    try:
        return Timing(
            tempo=known.tempo,
            beats=beats,
            quantize=rhythm.quantize,
            detail=rhythm.detail,
            metre=known.metre,
            pickup=known.pickup,
            level=known.beat,
            key=known.key,
            strength=rhythm.quantize_strength,
            grid=None if rhythm.quantize_grid is None else _grid(rhythm.quantize_grid),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _grid(note: str) -> Fraction:
    """Read the length of a note, ``1/16`` or ``1/8t`` of a triplet, in quarters.

    Raises
    ------
    ValueError
        If it is no such note.
    """
    written = re.fullmatch(r"1/(1|2|4|8|16|32|64)(t?)", note)
    if written is None:
        raise ValueError(f"--quantize-grid: {note!r} is no note such as 1/16, or 1/8t of a triplet")
    return Fraction(4, int(written[1])) * (Fraction(2, 3) if written[2] else 1)


@dataclass(frozen=True)
class Reference:
    """Pictures and pages."""

    plot_reference: Annotated[
        Path | None,
        typer.Option(help="The true notes: a picture shows hits, misses and false notes.", show_default=False),
    ] = None


@dataclass(frozen=True)
class Pictures(Reference):
    """Pictures and pages."""

    spectrogram: Annotated[bool, typer.Option("--spectrogram", help="Draw it behind the notes of a .png or .svg.")] = (
        False
    )
    no_sound: Annotated[
        bool, typer.Option("--no-sound", help="Leave recording and piano out of an .html: 60 MB less an hour.")
    ] = False


@dataclass(frozen=True)
class Charts:
    """Titles, capo, transposition."""

    title: Annotated[
        str | None,
        typer.Option(
            help="Of a score, a chart or MIDI; a score and a chart have what the recording's tags say, or the file's "
            "name, if not given.",
            show_default=False,
        ),
    ] = None
    capo: Annotated[
        int,
        typer.Option(min=0, max=11, metavar="FRET", help="Write a chart as it is fingered above a capo at this fret."),
    ] = 0
    transpose: Annotated[
        int,
        typer.Option(
            min=-24,
            max=24,
            metavar="SEMITONES",
            help="Write everything so many semitones higher, or lower if less than 0.",
        ),
    ] = 0

    def check(self, forms: Iterable[Format], n_recordings: int = 1) -> None:
        """Refuse what makes no difference.

        Raises
        ------
        UsageError
            If nothing is written that a title or a capo is for, or a title is given for several.
        """
        forms = list(forms)
        titled = any(form.charted or form.detailed or form.handed for form in forms)
        if (self.capo and not any(form.charted for form in forms)) or (self.title is not None and not titled):
            raise UsageError(
                "--title and --capo are for charts, --title for scores and notes in MIDI too: write one with "
                "-o song.cho or song.pdf"
            )
        if self.title is not None and n_recordings > 1:
            raise UsageError("--title takes one recording")


@dataclass(frozen=True)
class Scores:
    """Scores, and the hands."""

    composer: Annotated[
        str | None, typer.Option(help="Of a score; what the recording's tags say if not given.", show_default=False)
    ] = None
    simplify: Annotated[
        bool,
        typer.Option("--simplify", help="Keep the melody, and a left hand of chords: everything that is written."),
    ] = False
    lead_sheet: Annotated[
        bool, typer.Option("--lead-sheet", help="Write a score of the melody and chord symbols alone.")
    ] = False
    no_repeats: Annotated[
        bool,
        typer.Option("--no-repeats", help="Write a score out, without signs for sections that return unchanged."),
    ] = False
    show_confidence: Annotated[
        bool, typer.Option("--show-confidence", help="Print the notes of a score grey that are unsure.")
    ] = False
    one_track: Annotated[bool, typer.Option("--one-track", help="Write MIDI without a track for each hand.")] = False

    def check(self, forms: Iterable[Format]) -> None:
        """Refuse what makes no difference.

        Raises
        ------
        UsageError
            If no score, or no MIDI, is written that an option is for.
        """
        forms = list(forms)
        of_scores = {
            "--composer": self.composer is not None,
            "--lead-sheet": self.lead_sheet,
            "--no-repeats": self.no_repeats,
            "--show-confidence": self.show_confidence,
        }
        for option, given in of_scores.items():
            if given and not any(form.detailed for form in forms):
                raise UsageError(f"{option} is for scores: write one with -o song.pdf or song.musicxml")
        if self.one_track and not any(form.handed for form in forms):
            raise UsageError("--one-track is for MIDI: write it with -o song.mid")


def rendering_of(rhythm: Rhythm, charts: Charts, scores: Scores, one_ear: bool = False) -> Rendering:
    """Put together how results are shown."""
    from transcribe.formats.format import Page, Rendering

    page = Page(
        charts.title or "", scores.composer or "", not scores.no_repeats, scores.show_confidence, scores.lead_sheet
    )
    return Rendering(
        detail=rhythm.detail,
        page=page,
        capo=charts.capo,
        one_track=scores.one_track,
        title=charts.title or "",
        one_ear=one_ear,
    )


@dataclass(frozen=True)
class Parts:
    """Which instruments are written."""

    keep: Annotated[
        str | None,
        typer.Option(
            "--instruments",
            metavar="NAMES",
            help="Keep the notes of these alone: piano,bass or drums; needs a model that tells instruments apart.",
            show_default=False,
        ),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write a score of one instrument's notes, such as strings: not of all on a "
                     "piano's staves.", show_default=False),
    ] = None  # fmt: skip

    @property
    def names(self) -> tuple[str, ...]:
        """The instruments that are kept; none of them for all.

        Raises
        ------
        UsageError
            If one has no such name.
        """
        names = tuple(name.strip() for name in (self.keep or "").split(",") if name.strip())
        if self.keep is not None and not names:
            raise UsageError("--instruments names nobody; give piano,bass or others")
        for name in names:
            _check_part("--instruments", name)
        return names

    def check(self, forms: Iterable[Format]) -> None:
        """Refuse what makes no difference or can't be.

        Raises
        ------
        UsageError
            If there is no such instrument, or no score is written that a part is for.
        """
        names = self.names
        if self.part is None:
            return
        _check_part("--part", self.part)
        if self.part == "drums":
            raise UsageError("--part: drums have no score; -o song.mid holds them")
        if names and self.part not in names:
            raise UsageError(f"--part {self.part}: --instruments leaves it out")
        if not any(form.detailed for form in forms):
            raise UsageError("--part is for scores: write one with -o song.pdf or song.musicxml")


def _check_part(option: str, name: str) -> None:
    from transcribe.score.parts import PARTS

    if name not in PARTS:
        raise UsageError(f"{option}: there is no instrument {name!r}; choose of {', '.join(PARTS)}")


@dataclass(frozen=True)
class Sound:
    """Sound."""

    sonify: Annotated[
        Path | None,
        typer.Option(
            help="Play the notes on a piano, into this file beside the others: like -o song.wav, .flac, .ogg or .mp3.",
            show_default=False,
        ),
    ] = None
    one_ear: Annotated[
        bool, typer.Option("--one-ear", help="In what is played: the recording left, the notes right.")
    ] = False

    def check(self, forms: Iterable[Format], rereadable: bool) -> None:
        """Refuse what makes no difference or can't be.

        Raises
        ------
        UsageError
            If no sound is written, or the recording, which is to be in one ear, can't be read again.
        """
        if self.one_ear and not any(form.audible for form in forms):
            raise UsageError("--one-ear is for sound: write it with -o song.wav or --sonify song.wav")
        if self.one_ear and not rereadable:
            raise UsageError("--one-ear needs the recording as a file: a stream can't be read twice")


@dataclass(frozen=True)
class Printing:
    """What is printed."""

    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON, and nothing else.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=QUIET)] = False
