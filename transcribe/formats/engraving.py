"""Scores engraved: pages of SVG by verovio, of PDF by typst."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.format import PLAIN, Page
from transcribe.formats.musicxml import check_installed, to_musicxml
from transcribe.score.notation import notate

if TYPE_CHECKING:
    import verovio

# Signs of music fonts among letters, as the fonts of letters have them.
_PLAIN = str.maketrans(
    {0xEA64: "\N{MUSIC FLAT SIGN}", 0xEA65: "\N{MUSIC NATURAL SIGN}", 0xEA66: "\N{MUSIC SHARP SIGN}"}
)
# A4 and its margins in tenths of a millimetre, which are verovio's units; what it draws in is ten times as fine.
_WIDTH, _HEIGHT, _MARGIN, _FINE = 2100, 2970, 150, 10
_FONT = "Leipzig"
# Sizes of letters, and where the lines of the head stand below the margin.
_TITLE, _SMALLEST_TITLE, _NAME, _NUMBER = 640, 280, 360, 330
_TITLE_AT, _NAME_AT, _NUMBER_AT = 420, 980, 300
# A letter is about so wide for its size.
_LETTER = 0.52
# Half the distance of a staff's lines, verovio's unit: other sizes are tried in this order where less than so much of
# the last page would be filled.
_UNIT, _OTHER_UNITS, _FILLED = 9.0, (8.7, 8.4, 9.3, 8.1, 9.6), 0.4

_TEXT = re.compile(r"<text\b[^>]*>.*?</text>", re.DOTALL)
_RUN = re.compile(r'<tspan (font-family="[^"]*" )?font-size="(\d+)px">([^<]*)</tspan>')
_TEMPO = re.compile(r'(<g [^>]*class="tempo"[^>]*>\s*)<text x="(-?\d+)" y="(-?\d+)"[^>]*>(.*?)</text>', re.DOTALL)
_MEASURE = re.compile(r'<g id="m(\d+)" class="measure">')
_RECTANGLE = r'[^>]*>\s*<rect x="(-?\d+)" y="(-?\d+)" height="(\d+)" width="(\d+)"'
_STAFF_BOX = re.compile(r'class="staff bounding-box"' + _RECTANGLE)
_NOTE_BOX = re.compile(r'<g id="bbox-n(\d+)(?:-\d+)?" class="note bounding-box"' + _RECTANGLE)
_HEAD = re.compile(r'(<g [^>]*class="pgHead[^>]*>).*?</text>\s*</g>', re.DOTALL)


def to_pages(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> list[str]:
    """Engrave a score: a page of SVG for every page of A4.

    Raises
    ------
    UsageError
        If music21 or verovio isn't installed.
    InputError
        If verovio can't read the score.
    """
    check_installed("score")
    pages = _filled(_engraver(to_musicxml(transcription, detail, page), page))
    return [_finished(content, number, page) for number, content in enumerate(pages, 1)]


@dataclass(frozen=True)
class Engraved:
    """A score on pages, and where its notes and measures lie there.

    Attributes
    ----------
    pages
        SVG, a page each.
    notes
        ``page`` from 1, ``id`` (the index of the transcription's note; tied notes have several), ``x``, ``y``, ``w``,
        ``h`` as shares of the page's width and height.
    measures
        The same with a ``number``, as printed, and ``onset`` and ``offset`` in s.
    """

    pages: list[str]
    notes: list[dict[str, float]]
    measures: list[dict[str, float]]


def engraved(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> Engraved:
    """Engrave a score, and say where its notes and measures lie.

    Raises
    ------
    UsageError
        If music21 or verovio isn't installed.
    InputError
        If verovio can't read the score.
    """
    check_installed("score")
    page = replace(page, ids=True, repeats=False)
    engraver = _engraver(to_musicxml(transcription, detail, page), page)
    pages = [_finished(content, number, page) for number, content in enumerate(_filled(engraver), 1)]
    engraver.setOptions({"svgBoundingBoxes": True})
    notes, measures = [], []
    notation = notate(transcription, detail)
    origin = float(notation.origin)
    edges = [float(bar.start) / float(notation.quarters_a_beat) + origin for bar in notation.bars]
    edges.append(float(notation.bars[-1].end) / float(notation.quarters_a_beat) + origin)
    times = notation.grid.to_seconds(np.array(edges)).round(4).tolist()
    for number in range(1, len(pages) + 1):
        for kind, index, box in _boxes(engraver.renderToSVG(number)):
            place = {"page": number, **box}
            if kind == "n":
                notes.append({**place, "id": index})
            elif index < len(notation.bars):
                onset, offset = max(0.0, times[index]), times[index + 1]
                measures.append({**place, "number": notation.bars[index].number, "onset": onset, "offset": offset})
    return Engraved(pages, notes, measures)


def _boxes(page: str) -> Iterator[tuple[str, int, dict[str, float]]]:
    """Find the boxes around the notes and measures of a page: ``n`` or ``m``, its number, the box."""
    for number, content in zip(*[iter(_MEASURE.split(page)[1:])] * 2, strict=True):
        staves = [tuple(map(float, box)) for box in _STAFF_BOX.findall(content)]
        if staves:
            x, y = min(box[0] for box in staves), min(box[1] for box in staves)
            right, low = max(box[0] + box[3] for box in staves), max(box[1] + box[2] for box in staves)
            yield "m", int(number), _share(x, y, right - x, low - y)
        for index, *box in _NOTE_BOX.findall(content):
            x, y, height, width = map(float, box)
            yield "n", int(index), _share(x, y, width, height)


def _share(x: float, y: float, width: float, height: float) -> dict[str, float]:
    """Give a box, which is measured from the margin, as shares of the page."""
    whole, high, margin = _FINE * _WIDTH, _FINE * _HEIGHT, _FINE * _MARGIN
    box = {"x": (x + margin) / whole, "y": (y + margin) / high, "w": width / whole, "h": height / high}
    return {name: round(value, 5) for name, value in box.items()}


def _engraver(music: bytes, page: Page) -> verovio.toolkit:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    engraver = verovio.toolkit(False)
    # A thread other than the one that imported it knows of no fonts.
    engraver.setResourcePath(str(Path(verovio.__file__).parent / "data"))
    engraver.setOptions(
        {
            "pageWidth": _WIDTH,
            "pageHeight": _HEIGHT,
            **{f"pageMargin{side}": _MARGIN for side in ("Left", "Right", "Top", "Bottom")},
            # The head leaves room for what is put there in its place.
            "header": "auto",
            "bottomMarginHeader": 6.0 if page.composer else 4.0,
            "footer": "none",
            "justifyVertically": True,
            "smuflTextFont": "none",
            "svgViewBox": True,
            "xmlIdSeed": 1,
            "unit": _UNIT,
        }
    )
    if not engraver.loadData(music.decode()):
        raise InputError("the score can't be engraved; -o song.musicxml opens in a score editor")
    return engraver


def _filled(engraver: verovio.toolkit) -> list[str]:
    """Draw the pages, a little smaller or larger where that fills the last one better."""
    pages = _drawn(engraver)
    if _last_filled(pages) >= _FILLED:
        return pages
    best = pages
    for unit in _OTHER_UNITS:
        engraver.setOptions({"unit": unit})
        engraver.redoLayout()
        other = _drawn(engraver)
        if _last_filled(other) >= _FILLED:
            return other
        best = max(best, other, key=_last_filled)
    return best


def _drawn(engraver: verovio.toolkit) -> list[str]:
    return [engraver.renderToSVG(number) for number in range(1, engraver.getPageCount() + 1)]


def _last_filled(pages: list[str]) -> float:
    """Tell how many systems the last page has for one of the first; a single page is as full as it is."""
    n_systems = [page.count('class="system"') for page in pages]
    return n_systems[-1] / max(n_systems[0], 1) if len(pages) > 1 else 1.0


def _finished(content: str, number: int, page: Page) -> str:
    """Put the head onto a page, and its signs where they belong, whatever fonts there are."""
    content = _HEAD.sub(lambda head: head[1] + _head(number, page) + "</g>", content, count=1)
    content = _TEMPO.sub(_tempo, content)
    return _TEXT.sub(lambda text: _joined(text[0]), content)


def _head(number: int, page: Page) -> str:
    middle, right = _FINE * (_WIDTH - 2 * _MARGIN) // 2, _FINE * (_WIDTH - 2 * _MARGIN)
    if number > 1:
        return _text(middle, _NUMBER_AT, _NUMBER, "middle", str(number))
    size = int(min(_TITLE, max(_SMALLEST_TITLE, right / (_LETTER * max(len(page.title), 1)))))
    fits = int(right / (_LETTER * size))
    title = page.title if len(page.title) <= fits else page.title[: fits - 1] + "…"
    return _text(middle, _TITLE_AT, size, "middle", title) + _text(right, _NAME_AT, _NAME, "end", page.composer[:fits])


def _text(x: int, y: int, size: int, anchor: str, text: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}px" text-anchor="{anchor}">{escape(text)}</text>' if text else ""


def _tempo(mark: re.Match[str]) -> str:
    """Draw the note of a metronome mark as a shape: letters' fonts have no such notes, or not all."""
    x, y = int(mark[2]), int(mark[3])
    shapes, words, size = [], "", "400"
    for family, run_size, run in _RUN.findall(mark[4]):
        if not family:
            words, size = words + run, run_size
            continue
        for sign in filter(lambda sign: not sign.isspace(), run):
            path, advance = _shape(sign)
            scale = int(run_size) / 1000
            shapes.append(f'<g transform="translate({x}, {y}) scale({scale:g})">{path}</g>')
            x += round((advance + 60) * scale)
    return (
        f'{mark[1]}{"".join(shapes)}<text x="{x}" y="{y}"><tspan font-size="{size}px"> {words.strip()}</tspan></text>'
    )


def _shape(sign: str) -> tuple[str, float]:
    """Find a sign of the music font: its outline, and how far it is to the next one, in thousandths of its size."""
    import verovio

    folder = Path(verovio.__file__).parent / "data"
    name = f"{ord(sign):04X}"
    outline = re.search(r"<path.*?/>", (folder / _FONT / f"{name}.xml").read_text())
    metrics = re.search(rf'<g c="{name}"[^>]*h-a-x="([\d.]+)"', (folder / f"{_FONT}.xml").read_text())
    return (outline[0] if outline else ""), float(metrics[1]) if metrics else 0.0


def _joined(text: str) -> str:
    """Leave no space between the parts of a line, and set all in one font."""
    runs = list(_RUN.finditer(text))
    if not any(run[1] for run in runs):
        return re.sub(r">\s+<", "><", text)
    size = next((run[2] for run in runs if not run[1]), "400")
    plain = _RUN.sub(lambda run: f'<tspan font-size="{size}px">{run[3].translate(_PLAIN)}</tspan>', text)
    return re.sub(r">\s+<", "><", plain)


def to_svg(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> bytes:
    """Engrave a score as one picture, its pages below each other."""
    pages = to_pages(transcription, detail, page)
    parts = [_placed(content, number) for number, content in enumerate(pages)]
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT * len(pages)}" width="210mm" height="{297 * len(pages)}mm"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, *parts, "</svg>", ""]).encode()


def to_pdf(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> bytes:
    """Engrave a score as pages of A4.

    Raises
    ------
    UsageError
        If music21, verovio or typst isn't installed.
    """
    check_installed("pdf")
    import typst

    pages = to_pages(transcription, detail, page)
    lines = ["#set page(width: 210mm, height: 297mm, margin: 0mm)"]
    lines += [f'#image("{number}.svg", width: 210mm, height: 297mm)' for number in range(len(pages))]
    # All files are given in memory: no temporary folder can be full or missing.
    files = {f"{number}.svg": content.encode() for number, content in enumerate(pages)}
    files["main.typ"] = "\n".join(lines).encode()
    return bytes(typst.compile(files, format="pdf", timestamp=0))  # type: ignore[call-overload]  # files: in its README


def _placed(page: str, number: int) -> str:
    """Put a page of its own below those before it."""
    start = page.index("<svg")
    end = page.index(">", start)
    tag = re.sub(r'\s(width|height|x|y)="[^"]*"', "", page[start:end])
    return f'{tag} x="0" y="{number * _HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"{page[end:]}'
