"""Scores engraved: pages of SVG by verovio, of PDF by typst."""

from __future__ import annotations

import re

from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.musicxml import check_installed, to_musicxml

# Signs of music fonts within text, as other fonts know them: typst has no music font.
_PLAIN = str.maketrans(
    {
        0xECA5: "\N{QUARTER NOTE}",
        0xECB7: ".",
        0xEA64: "\N{MUSIC FLAT SIGN}",
        0xEA66: "\N{MUSIC SHARP SIGN}",
    }
)
# A4 and its margins in tenths of a millimetre, which are verovio's units.
_WIDTH, _HEIGHT, _MARGIN = 2100, 2970, 150


def to_pages(transcription: Transcription, detail: float = 1.0) -> list[str]:
    """Engrave a score: a page of SVG for every page of A4.

    Raises
    ------
    UsageError
        If music21 or verovio isn't installed.
    """
    check_installed("score")
    import verovio

    music = to_musicxml(transcription, detail)
    verovio.enableLog(verovio.LOG_OFF)
    engraver = verovio.toolkit()
    engraver.setOptions(
        {
            "pageWidth": _WIDTH,
            "pageHeight": _HEIGHT,
            **{f"pageMargin{side}": _MARGIN for side in ("Left", "Right", "Top", "Bottom")},
            "header": "none",
            "footer": "none",
            "justifyVertically": False,
            "svgViewBox": True,
            "xmlIdSeed": 1,
        }
    )
    if not engraver.loadData(music.decode()):
        raise InputError("the score can't be engraved; -o song.musicxml opens in a score editor")
    return [engraver.renderToSVG(number) for number in range(1, engraver.getPageCount() + 1)]


def to_svg(transcription: Transcription, detail: float = 1.0) -> bytes:
    """Engrave a score as one picture, its pages below each other."""
    pages = to_pages(transcription, detail)
    parts = [_placed(page, number) for number, page in enumerate(pages)]
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT * len(pages)}" width="210mm" height="{297 * len(pages)}mm"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, *parts, "</svg>", ""]).encode()


def to_pdf(transcription: Transcription, detail: float = 1.0) -> bytes:
    """Engrave a score as pages of A4.

    Raises
    ------
    UsageError
        If music21, verovio or typst isn't installed.
    """
    check_installed("pdf")
    import typst

    pages = to_pages(transcription, detail)
    lines = ["#set page(width: 210mm, height: 297mm, margin: 0mm)"]
    lines += [f'#image("{number}.svg", width: 210mm, height: 297mm)' for number in range(len(pages))]
    # All files are given in memory: no temporary folder can be full or missing.
    files = {f"{number}.svg": page.translate(_PLAIN).encode() for number, page in enumerate(pages)}
    return bytes(typst.compile({"main.typ": "\n".join(lines).encode(), **files}, format="pdf", timestamp=0))


def _placed(page: str, number: int) -> str:
    """Put a page of its own below those before it."""
    start = page.index("<svg")
    end = page.index(">", start)
    tag = re.sub(r'\s(width|height|x|y)="[^"]*"', "", page[start:end])
    return f'{tag} x="0" y="{number * _HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"{page[end:]}'
