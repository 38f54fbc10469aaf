"""An engraved score to follow: its pages, and where on them every note and bar stands.

Places are shares (0-1) of a page's width and height, so that they hold at any size. Repeats are written out, so that
a bar stands once for every time it is played.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from transcribe.events import Transcription
from transcribe.formats.engraving import engrave, finished
from transcribe.formats.format import PLAIN, Page
from transcribe.score.notation import notate

if TYPE_CHECKING:
    import verovio

    from transcribe.score.bars import Notation

Box = tuple[float, float, float, float]
_Written = tuple[float, float, tuple[int, ...]]
# What verovio draws on a page of A4: its width and height, its margins.
_WIDTH, _HEIGHT, _MARGIN = 21_000.0, 29_700.0, 1500.0
# A note head is so wide and so high in its staff's lines' distances, which are 180 of these.
_HEAD_WIDTH, _HEAD_HEIGHT = 230.0, 180.0
_LINE = re.compile(r"M(-?[\d.]+) (-?[\d.]+) L(-?[\d.]+) (-?[\d.]+)")
_PLACE = re.compile(r"translate\((-?[\d.]+), (-?[\d.]+)\)")
# Times of verovio's are whole milliseconds: quarters are told apart by more than this.
_CLOSE = 0.02


@dataclass(frozen=True)
class FollowedScore:
    """Pages of SVG; ``notes``: page, index and box of each that has a head; ``measures`` with their span in seconds."""

    pages: tuple[str, ...]
    notes: tuple[tuple[int, int, Box], ...]
    measures: tuple[tuple[int, int, Box, float, float], ...]

    def places(self) -> dict[str, object]:
        """Plain values, pages from 1: ``{"pages": n, "notes": [{page, id, x, y, w, h}], "measures": […]}``."""
        return {
            "pages": len(self.pages),
            "notes": [{"page": page, "id": index, **_box(box)} for page, index, box in self.notes],
            "measures": [
                {"page": page, "number": number, **_box(box), "onset": round(onset, 4), "offset": round(offset, 4)}
                for page, number, box, onset, offset in self.measures
            ],
        }


def follow(transcription: Transcription, detail: float = 1.0, page: Page = PLAIN) -> FollowedScore:
    """Engrave a score, and say where everything stands.

    Raises
    ------
    UsageError
        If music21 or verovio isn't installed.
    InputError
        If the score has too many bars or can't be engraved.
    """
    page = replace(page, repeats=False)
    engraver = engrave(transcription, detail, page)
    notation = notate(transcription, detail)
    indices = _by_pitch(notation)
    times = _bar_times(notation)
    clock = _clock(engraver)
    pages, notes, measures = [], [], []
    for number in range(1, engraver.getPageCount() + 1):
        content = engraver.renderToSVG(number)
        pages.append(finished(content, number, page))
        root = ElementTree.fromstring(content)
        for name, box in _heads(root):
            notes += [(number, index, box) for index in _notes_of(engraver, name, indices, clock)]
        for box in _measures(root):
            bar = len(measures)
            if bar < len(times):
                measures.append((number, notation.bars[bar].number, box, *times[bar]))
    return FollowedScore(tuple(pages), tuple(notes), tuple(measures))


def _bar_times(notation: Notation) -> list[tuple[float, float]]:
    edges = [*(bar.start for bar in notation.bars), notation.bars[-1].end]
    beats = [float(edge / notation.quarters_a_beat + notation.origin) for edge in edges]
    seconds = notation.grid.to_seconds(np.array(beats)).tolist()
    return [(max(start, 0.0), max(end, 0.0)) for start, end in pairwise(seconds)]


def _clock(engraver: verovio.toolkit) -> np.ndarray:
    """Milliseconds and quarters at which something begins, (2, n); notes have times only when they were asked for."""
    return np.array([[event["tstamp"], event["qstamp"]] for event in engraver.renderToTimemap()] or [[0, 0]], float).T


def _by_pitch(notation: Notation) -> dict[int, list[_Written]]:
    """For each pitch, when what is written of it begins and ends in quarters, and the indices of its notes."""
    found: dict[int, list[_Written]] = {}
    for chord in (chord for hand in notation.hands for voice in hand for chord in voice):
        for place, (pitch, index) in enumerate(zip(chord.pitches, chord.indices, strict=False)):
            # An ornament's other notes stand with the first.
            indices = (index, *chord.others) if not place else (index,)
            found.setdefault(pitch, []).append((float(chord.start), float(chord.start + chord.length), indices))
    return found


def _notes_of(
    engraver: verovio.toolkit, name: str, written: dict[int, list[_Written]], clock: np.ndarray
) -> tuple[int, ...]:
    """Find the notes that an engraved one stands for, by its pitch and the time that verovio gives it."""
    values = engraver.getMIDIValuesForElement(name)
    if not values:
        return ()
    quarter = float(np.interp(values["time"], *clock)) + _CLOSE
    for start, end, indices in written.get(values["pitch"], ()):
        if start <= quarter < end:
            return indices
    return ()


def _heads(root: ElementTree.Element) -> Iterator[tuple[str, Box]]:
    for note in _of_class(root, "note"):
        for head in _of_class(note, "notehead"):
            use = next((child for child in head if child.tag.endswith("use")), None)
            place = _PLACE.match("" if use is None else use.get("transform", ""))
            if place:
                x, y = float(place[1]), float(place[2]) - _HEAD_HEIGHT / 2
                yield note.get("id", ""), _shares(x, y, _HEAD_WIDTH, _HEAD_HEIGHT)
                break


def _measures(root: ElementTree.Element) -> Iterator[Box]:
    for measure in _of_class(root, "measure"):
        lines = [
            [float(value) for value in line.groups()]
            for staff in _of_class(measure, "staff")
            for child in staff
            if child.tag.endswith("path") and (line := _LINE.match(child.get("d", "")))
        ]
        if lines:
            left, right = min(line[0] for line in lines), max(line[2] for line in lines)
            top, bottom = min(line[1] for line in lines), max(line[3] for line in lines)
            yield _shares(left, top, right - left, bottom - top)


def _of_class(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element.iter() if name in child.get("class", "").split())


def _shares(x: float, y: float, width: float, height: float) -> Box:
    return (x + _MARGIN) / _WIDTH, (y + _MARGIN) / _HEIGHT, width / _WIDTH, height / _HEIGHT


def _box(box: Box) -> dict[str, float]:
    return dict(zip("xywh", (round(value, 4) for value in box), strict=True))
