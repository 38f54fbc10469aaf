"""What a page shows of a transcription, as plain values: the result with its bars, sections, hands and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from transcribe.events import Metre, Note, Transcription
from transcribe.report.document import plain, to_dict
from transcribe.score import placing
from transcribe.score.chart import Places, has_bars, make_chart
from transcribe.score.doubts import doubts_of

#: What a page shows; as the contract of the page says it.
View = dict[str, Any]


def view(
    transcription: Transcription,
    title: str = "",
    edits: Sequence[Mapping[str, Any]] = (),
    undone: Sequence[Mapping[str, Any]] = (),
) -> View:
    """Put together what a page shows.

    Parameters
    ----------
    transcription
        With its edits done (:func:`transcribe.edits.replay.replayed`).
    title
        Of the page.
    edits, undone
        The operations that were done, and those that were undone and may be done again; plain values.

    Returns
    -------
    dict
        ``title``, ``duration`` in s; ``transcription``, the result in the JSON's schema, its notes with an ``id``,
        their index; ``edits`` and ``undone``; ``bars`` and ``sections`` with onset and offset; ``hands``, one a
        note; ``doubts``, the most doubtful first.
    """
    bare = replace(transcription, edits=())
    document = to_dict(bare)
    for number, note in enumerate(document["notes"]):
        note["id"] = number
    end = max([bare.duration, *(note.offset for note in bare.notes)])
    return {
        "title": title,
        "duration": round(end, 4),
        "transcription": document,
        "edits": [dict(edit) for edit in edits],
        "undone": [dict(edit) for edit in undone],
        "bars": bars_of(bare),
        "sections": sections_of(bare),
        "hands": list(hands_of(_played(bare.notes), bare.beats, bare.downbeats, bare.metres)),
        "doubts": [_rounded(plain(doubt)) for doubt in doubts_of(bare)],
    }


def bars_of(transcription: Transcription) -> list[View]:
    """List the bars that begin at the downbeats: number from 1, onset, offset in s, metre; none where there are none.

    The beats before the first downbeat are bar 0, a pick-up.
    """
    t = transcription
    if not t.beats or not t.downbeats:
        return []
    end = max(
        t.beats[-1], t.downbeats[-1] + 0.1, min(t.duration, 2 * t.beats[-1] - t.beats[-2] if len(t.beats) > 1 else 0)
    )
    edges = [*t.downbeats, end]
    spans = [(number, a, b) for number, (a, b) in enumerate(pairwise(edges), 1) if b > a]
    if t.beats[0] < t.downbeats[0] - 1e-3:
        spans.insert(0, (0, t.beats[0], t.downbeats[0]))
    found = []
    for number, onset, offset in spans:
        middle = (onset + offset) / 2
        metre = next((m.label for m in t.metres if m.onset <= middle < m.offset), None)
        metre = metre or (t.metres[-1].label if t.metres else None)
        found.append({"number": number, "onset": round(onset, 4), "offset": round(offset, 4), "metre": metre})
    return found


def sections_of(transcription: Transcription) -> list[View]:
    """List the sections whose chords return: label, onset and offset in s; none where nothing returns."""
    t = transcription
    chart = make_chart(t) if t.chords and has_bars(t) else None
    if chart is None or not any(section.name for section in chart.sections):
        return []
    lines = list(Places(t).lines)
    times = [t.beats[line] for line in lines]
    length = (times[-1] - times[0]) / max(1, len(times) - 1)
    found, bar = [], 0
    for section in chart.sections:
        start, bar = bar, bar + len(section.bars)
        onset, offset = (
            times[place] if place < len(times) else times[-1] + length * (place - len(times) + 1)
            for place in (start, bar)
        )
        found.append({"label": section.name, "onset": round(onset, 4), "offset": round(offset, 4)})
    return found


@lru_cache(maxsize=8)
def hands_of(
    notes: tuple[Note, ...], beats: tuple[float, ...], downbeats: tuple[float, ...], metres: tuple[Metre, ...]
) -> tuple[str, ...]:
    """Name the hand that plays each note, as a score has it: ``right`` or ``left``."""
    right = placing.hands_of(notes, Transcription(notes=notes, beats=beats, downbeats=downbeats, metres=metres))
    return tuple("right" if one else "left" for one in right)


def _played(notes: Sequence[Note]) -> tuple[Note, ...]:
    """Leave out what hands don't depend on, so that they aren't looked for again after each edit of it."""
    return tuple(replace(note, confidence=1.0, spelling=None) for note in notes)


def _rounded(values: View) -> View:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
