"""How results are laid out for people, in tables of rich."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING

from transcribe.cli.console import clean, print_line
from transcribe.report import tables as plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.table import Table
    from rich.text import Text

    from transcribe.beats.metrics import BeatReport
    from transcribe.chords.metrics import ChordReport, ClipReport
    from transcribe.events import Chord, Transcription
    from transcribe.genre.metrics import GenreReport
    from transcribe.instruments.metrics import TagReport
    from transcribe.notes.metrics import Report


def print_tables(*tables: Table | Text | plain.Table | str) -> None:
    """Print to stdout; what is not a terminal has no width, so nothing is folded there."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 10_000)
    with console.capture() as captured:
        for table in tables:
            console.print(_rendered(table))
    print_line(captured.get().rstrip("\n"))


def _rendered(table: Table | Text | plain.Table | str) -> Table | Text:
    """Lay out plain values; any text may stand in them."""
    from rich.table import Column, Table
    from rich.text import Text

    if isinstance(table, str):
        return Text("\n".join(map(clean, table.rstrip("\n").split("\n"))))
    if not isinstance(table, plain.Table):
        return table
    if not table.columns:
        return facts(table.title, table.rows)
    columns = (
        Column(Text(clean(name)), style="bold" if number == table.strong else "")
        for number, name in enumerate(table.columns)
    )
    laid_out = Table(*columns, title=Text(clean(table.title)) if table.title else None, title_justify="left")
    for row in table.rows:
        laid_out.add_row(*(Text(clean(cell)) for cell in row))
    return laid_out


def facts(title: str, rows: Iterable[Sequence[str]]) -> Table:
    """Lay out names and values; any text may stand in them."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(clean(title)), show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="cyan")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(clean(name)), Text(clean(value)))
    return table


def summary(title: str, result: Transcription, device: str = "", written: Iterable[str] = ()) -> Table:
    """Sum up a transcription for a person."""
    from transcribe.report.summary import rows

    found = list(rows(result))
    if result.models:
        found.append(("heard by", ", ".join(result.models.values()) + (f" on {device}" if device else "")))
    return facts(title, [*found, *(("written", path) for path in written)])


def roll(result: Transcription, width: int) -> Text:
    """Draw notes in ``width`` columns, a row for every two semitones; nothing for no notes."""
    from rich.text import Text

    from transcribe.report.summary import minutes, pitch_name

    if not result.notes:
        return Text("")
    low, high = (choose(note.pitch for note in result.notes) for choose in (min, max))
    seconds = max(result.duration, *(note.offset for note in result.notes), 1e-9)
    pitches = range(high + 1 if (high - low) % 2 == 0 else high, low - 1, -1)
    cells = {pitch: [False] * width for pitch in pitches}
    for note in result.notes:
        first = min(int(note.onset / seconds * width), width - 1)
        last = max(first + 1, round(note.offset / seconds * width))
        cells[note.pitch][first:last] = [True] * (min(last, width) - first)
    lines = []
    for upper, lower in zip(pitches[::2], pitches[1::2], strict=True):
        row = "".join(" ▄▀█"[2 * up + down] for up, down in zip(cells[upper], cells[lower], strict=True))
        lines.append(f"{pitch_name(lower):>4} {row.rstrip()}")
    return Text("\n".join([*lines, f"{'':4} 0{minutes(seconds):>{width - 1}}"]), no_wrap=True)


def chord_chart(title: str, chords: Iterable[Chord]) -> Iterator[Table | Text]:
    """Lay out chords: a chart to play from, and a table of times."""
    from rich.table import Table
    from rich.text import Text

    from transcribe.events import Transcription
    from transcribe.formats.chart import to_lead_sheet
    from transcribe.theory.chords import parse

    found = tuple(chords)
    yield Text(clean(title), style="bold")
    yield Text(to_lead_sheet(Transcription(chords=found)).decode())
    table = Table("from", "to", "chord", "Harte", "confidence")
    for chord in found:
        table.add_row(
            _clock(chord.onset), _clock(chord.offset), parse(chord.label).name, chord.label, f"{chord.confidence:.0%}"
        )
    yield table


def bars(title: str, result: Transcription) -> Iterator[Table | Text]:
    """Lay out beats: tempo, metre and key, and a table of bars; of beats where no bars are clear."""
    from rich.table import Table

    from transcribe.formats.beats import numbered
    from transcribe.score.analysis import metre

    length = metre(result.beats, result.downbeats)
    about = [("beats", str(len(result.beats)))]
    if result.tempo is not None:
        about.append(("tempo", f"{result.tempo:.1f} beats a minute"))
        about.append(("metre", f"{length} beats a bar" if length else "unclear"))
        about.append(("confidence", "known" if result.beat_confidence == 1 else f"{result.beat_confidence or 0:.0%}"))
    for key in result.keys:
        about.append(("key", f"{key.label}, {_clock(key.onset)} – {_clock(key.offset)}"))
    yield facts(clean(title), about)
    if not result.beats:
        return
    table = Table("bar" if length else "beat", "from", "beats a minute")
    rows = list(numbered(result))
    starts = [(bar if length else i, time, i) for i, (time, bar, beat) in enumerate(rows, 1) if beat == 1 or not length]
    for (name, time, i), (_, after, j) in pairwise([*starts, (0, rows[-1][0], len(rows))]):
        table.add_row(str(name), _clock(time), f"{60 * (j - i) / (after - time):.1f}" if after > time else "")
    yield table


def _clock(seconds: float) -> str:
    hundredths = round(100 * seconds)
    return f"{hundredths // 6000}:{hundredths % 6000 / 100:05.2f}"


def activity(title: str, result: Transcription) -> Iterator[Table | Text]:
    """Lay out who plays: a table over all, and one of times."""
    from rich.table import Table
    from rich.text import Text

    from transcribe.instruments.decoder import UNKNOWN, summed_up
    from transcribe.report.summary import minutes

    table = Table("", "probability", "plays", title=Text(clean(title)), title_justify="left", title_style="bold")
    for label, sure, share in summed_up(result.instruments, result.duration):
        table.add_row(label, f"{sure:.0%}", f"{share:.0%} of the time")
    if not result.instruments:
        table.add_row(UNKNOWN, "", "nothing is sure")
    yield table
    if result.instruments:
        spans = Table("from", "to", "", "probability")
        for tag in result.instruments:
            spans.add_row(minutes(tag.onset), minutes(tag.offset), tag.label, f"{tag.probability:.0%}")
        yield spans


def genres(title: str, result: Transcription) -> Iterator[Table | Text]:
    """Lay out the likeliest genres, and whether one is sure."""
    from rich.table import Table
    from rich.text import Text

    from transcribe.genre.decoder import SHOWN, verdict

    table = Table("", "probability", title=Text(clean(title)), title_justify="left", title_style="bold")
    for tag in result.genres[:SHOWN]:
        table.add_row(tag.label, f"{tag.probability:.0%}")
    if not result.genres:
        table.add_row("unknown", "")
    yield table
    yield Text(verdict(result.genres, result.settings))


def genre_figures(report: GenreReport) -> Iterator[Table | str]:
    """Lay out the figures of genres."""
    from rich.table import Table
    from rich.text import Text

    table = Table("", "precision", "recall", "F1", "clips", title=f"{report.n_clips} clips", title_justify="left")
    for label, (precision, recall, f1, n_clips) in report.classes.items():
        name = Text(clean(label))
        table.add_row(name, f"{precision:.3f}", f"{recall:.3f}", f"[bold]{f1:.3f}[/]", str(n_clips))
    yield table
    yield _confusion_table(report.confusion)
    yield f"accuracy: {report.accuracy:.4f}, macro F1: {report.macro_f1:.4f}"
    yield f"sure of {report.sure:.1%} of them, and right about {report.accuracy_sure:.1%} of these"
    yield f"conventions: {report.conventions}"


def figures(report: Report) -> Iterator[Table | str]:
    """Lay out the figures of notes."""
    from rich.table import Table

    from transcribe.notes.metrics import METRICS
    from transcribe.report.summary import minutes

    table = Table("", "precision", "recall", "F1", title=f"{len(report.pieces)} pieces", title_justify="left")
    for metric, score in report.means.items():
        table.add_row(METRICS[metric], f"{score.precision:.4f}", f"{score.recall:.4f}", f"[bold]{score.f1:.4f}[/]")
    yield table
    if report.sweep:
        table = Table("onset threshold", *METRICS.values(), title="F1 over the threshold", title_justify="left")
        for threshold, scores in report.sweep.items():
            shown = [f"{scores[metric].f1:.4f}" if metric in scores else "" for metric in METRICS]
            table.add_row(f"{threshold:.1f}", *shown)
        yield table
    yield f"exact slices: {report.exact_slices:.4f} of the frames have all 88 keys right"
    if report.cpu_seconds:
        speed = report.audio_seconds / report.cpu_seconds
        yield f"speed: {speed:.1f} s of audio a CPU second, {minutes(report.audio_seconds)} in all"
        yield "notes a minute: {:.1f} true, {:.1f} found".format(*report.notes_a_minute)
    if report.peak_memory:
        yield f"peak memory: {report.peak_memory / 1e6:.0f} MB"
    yield f"conventions: {report.conventions}"


def chord_figures(report: ChordReport) -> Iterator[Table | str]:
    """Lay out the figures of chords."""
    from rich.table import Table
    from rich.text import Text

    several = len(report.pieces) > 1
    title = f"{len(report.pieces)} pieces" if several else next(iter(report.pieces), "no pieces")
    table = Table("mir_eval.chord", "score", title=Text(clean(title)), title_justify="left")
    for name, value in report.means.items():
        table.add_row(name, f"[bold]{value:.4f}[/]")
    yield table
    if several:
        yield "conventions: weighted by duration over all pieces; over-, under- and segmentation are means over pieces"


def beat_figures(report: BeatReport) -> Iterator[Table | str]:
    """Lay out the figures of beats and keys."""
    from rich.table import Table

    from transcribe.beats.metrics import METRICS

    table = Table("", "score", "recordings", title=f"{len(report.pieces)} recordings", title_justify="left")
    for name, value in report.means.items():
        count = sum(name in scores for scores in report.pieces.values())
        table.add_row(METRICS[name], f"[bold]{value:.4f}[/]", str(count))
    yield table
    yield f"conventions: {report.conventions}"


def tag_figures(report: TagReport) -> Iterator[Table | str]:
    """Lay out the figures of instruments."""
    from rich.table import Table

    table = Table("", "precision", "recall", "F1", "clips", title=f"{report.n_clips} clips", title_justify="left")
    for label, (precision, recall, f1, n_clips) in report.classes.items():
        table.add_row(label, f"{precision:.3f}", f"{recall:.3f}", f"[bold]{f1:.3f}[/]", str(n_clips))
    yield table
    yield _confusion_table(report.confusion)
    yield f"accuracy: {report.accuracy:.4f} of the clips have a true label as their likeliest"
    yield f"all labels right: {report.exact:.4f}"
    yield f"micro F1: {report.micro_f1:.4f}, macro F1: {report.macro_f1:.4f}, LRAP: {report.lrap:.4f}"
    yield f"conventions: {report.conventions}"


def confusion(report: ClipReport) -> Iterator[Table | str]:
    """Lay out which clips were called what: a row for every true label."""
    yield _confusion_table(report.confusion)
    yield f"accuracy: {report.accuracy:.4f} of the clips have the right root and quality"


def _confusion_table(found: Mapping[str, Mapping[str, int]]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    columns = sorted({called for row in found.values() for called in row})
    headers = [Column(Text(clean(column))) for column in columns]
    table = Table("true", *headers, title="called", title_justify="left")
    for truth, row in sorted(found.items()):
        table.add_row(Text(clean(truth)), *(str(row.get(called, "")) for called in columns))
    return table
