"""Charts to play from: a lead sheet's lines, ChordPro. In bars where they are known, else by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from transcribe.events import Transcription
from transcribe.score.chart import Bar, Chart, Section, make_chart
from transcribe.score.harmony import spelled, transposed
from transcribe.theory.chords import chord_name, names
from transcribe.theory.keys import signature

# Bars a line, or chords where there are no bars.
_A_LINE = 4
_NO_BARS = "No bars are known: the chords stand by time."
_LEAD_IN = "Lead-in"
_GOES_ON, _REPEATED = ".", "%"


def to_lead_sheet(transcription: Transcription, title: str = "", capo: int = 0) -> bytes:
    """Lines of four bars, such as ``| C#m | A | E . B . | % |``, under title, key, tempo and metre.

    A chord that fills its bar stands alone; in other bars every beat has a sign, ``.`` where a chord goes on. ``%`` is
    a bar like the one before. Where no bars are known, every cell holds a chord.

    Parameters
    ----------
    transcription
        Its chords are spelled by their keys.
    title
        Stands above; nothing where empty.
    capo
        The fret of a capo: the chords are those to be fingered, so many semitones lower than they sound.
    """
    t = transposed(spelled(transcription), -capo)
    if not t.chords:
        return b""
    chart = make_chart(t)
    facts = "   ".join(f"{name.capitalize()}: {value}" for name, value in _facts(t, chart, capo, t.key))
    lines = [line for line in (title, facts) if line]
    if chart is None:
        found = names(t.chords)
        lines += [_NO_BARS, ""]
        lines += [f"| {' | '.join(found[i : i + _A_LINE])} |" for i in range(0, len(found), _A_LINE)]
        return _joined(lines)
    sections = [(section.name, _written(section.bars, chart.n_beats)) for section in _sections(chart)]
    width = max(len(cell) for _, cells in sections for cell in cells)
    for name, cells in sections:
        padded = [cell.ljust(width) for cell in cells]
        lines += ["", *([name] if name else [])]
        lines += [f"| {' | '.join(padded[i : i + _A_LINE])} |" for i in range(0, len(padded), _A_LINE)]
    return _joined(lines)


def to_chordpro(transcription: Transcription, title: str = "", capo: int = 0) -> bytes:
    """ChordPro: title, key, tempo, time and capo, and a grid for every section; see :func:`to_lead_sheet`.

    Where no bars are known, the chords stand in brackets, four a line, each line with its time as a comment.
    """
    t = transposed(spelled(transcription), -capo)
    if not t.chords:
        return b""
    chart = make_chart(t)
    facts = [("title", title)] if title else []
    facts += _facts(t, chart, capo, None if t.key is None else _short(t.key))
    lines = [f"{{{name}: {_plain(value)}}}" for name, value in facts]
    if chart is None:
        return _joined([*lines, f"{{comment: {_NO_BARS}}}", *_by_time(t)])
    for section in _sections(chart):
        label = f' label="{section.name}"' if section.name else ""
        lines += ["", f'{{start_of_grid shape="{_A_LINE}x{chart.n_beats}"{label}}}']
        cells = _written(section.bars)
        lines += [f"| {' | '.join(cells[i : i + _A_LINE])} |" for i in range(0, len(cells), _A_LINE)]
        lines.append("{end_of_grid}")
    return _joined(lines)


def _facts(t: Transcription, chart: Chart | None, capo: int, key: str | None) -> list[tuple[str, str]]:
    """List what stands above a chart, as ChordPro calls it."""
    tempo = None if chart is None or chart.tempo is None else f"{chart.tempo:.0f}"
    time = None if chart is None else chart.time
    found = (("key", key), ("tempo", tempo), ("time", time), ("capo", str(capo) if capo else None))
    return [(name, value) for name, value in found if value is not None]


def _sections(chart: Chart) -> Sequence[Section]:
    """List the lead-in, if there is one, and the sections."""
    return [*([Section(_LEAD_IN, chart.lead_in)] if chart.lead_in else []), *chart.sections]


def _written(bars: Sequence[Bar], n_beats: int = 0) -> list[str]:
    """Write bars with a sign a beat, but with one in all where a bar of ``n_beats`` has one chord or is repeated."""
    cells = []
    for before, bar in pairwise([(), *bars]):
        first = _REPEATED if bar == before else chord_name(bar[0])
        rest = [_GOES_ON if bar == before or a == b else chord_name(b) for a, b in pairwise(bar)]
        whole = len(bar) == n_beats and set(rest) == {_GOES_ON}
        cells.append(first if whole else " ".join([first, *rest]))
    return cells


def _by_time(t: Transcription) -> Iterator[str]:
    chords = [c for i, c in enumerate(t.chords) if i == 0 or c.label != t.chords[i - 1].label]
    for i in range(0, len(chords), _A_LINE):
        row = chords[i : i + _A_LINE]
        yield f"{{comment: {int(row[0].onset) // 60}:{int(row[0].onset) % 60:02d}}}"
        yield "  ".join(f"[{chord_name(chord.label)}]" for chord in row)


def _short(key: str) -> str:
    """Write a key as a chord: ``F#m``."""
    return key.partition(" ")[0] + "m" * signature(key)[1]


def _plain(value: str) -> str:
    """Leave out what would end a directive."""
    return " ".join(value.replace("{", "(").replace("}", ")").split())


def _joined(lines: Sequence[str]) -> bytes:
    # A title may be a file's name, whose bytes may be no text.
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")
