from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest

from tests.conftest import FIVE_NOTES
from transcribe.events import Chord, Metre, Note, Transcription
from transcribe.formats.schema import schema
from transcribe.report.document import plain
from transcribe.report.view import bars_of, sections_of, view
from transcribe.score import placing

BEATS = tuple(0.5 * k for k in range(1, 65))
SONG = Transcription(
    notes=tuple(FIVE_NOTES),
    beats=BEATS,
    downbeats=BEATS[1::4],
    metres=(Metre(0.5, 32.5, "4/4"),),
    chords=tuple(Chord(BEATS[4 * bar + 1], BEATS[min(63, 4 * bar + 5)], "CGAF"[bar % 4] + ":maj") for bar in range(15)),
    duration=33.0,
)


def test_it_holds_what_a_page_shows() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    edits = [{"op": "shift", "beats": 1}]
    shown = view(replace(SONG, edits=tuple(edits)), "Song", edits, edits)
    assert json.loads(json.dumps(shown)) == shown
    jsonschema.validate(shown["transcription"], schema())
    assert (shown["title"], shown["duration"], shown["edits"], shown["undone"]) == ("Song", 33.0, edits, edits)
    assert [note["id"] for note in shown["transcription"]["notes"]] == [0, 1, 2, 3, 4]
    assert set(shown["hands"]) <= {"right", "left"}
    assert len(shown["hands"]) == 5
    assert "edits" not in shown["transcription"]  # they are done


def test_bars_are_numbered_from_the_first_line() -> None:
    bars = bars_of(SONG)
    assert bars[0] == {"number": 0, "onset": 0.5, "offset": 1.0, "metre": "4/4"}
    assert bars[1] == {"number": 1, "onset": 1.0, "offset": 3.0, "metre": "4/4"}
    assert all(before["offset"] == after["onset"] for before, after in pairwise(bars))
    assert bars_of(Transcription()) == []


def test_sections_are_those_whose_chords_return() -> None:
    sections = sections_of(SONG)
    assert {section["label"] for section in sections} >= {"A"}
    assert sections[0]["onset"] == 1.0
    assert all(section["onset"] < section["offset"] for section in sections)
    assert sections_of(Transcription()) == []


def test_plain_values_are_those_of_asdict() -> None:
    song = replace(SONG, edits=({"op": "beats", "beats": [1, 2.5]},), settings={"deep": {"er": (1, None, True)}})
    assert plain(song) == json.loads(json.dumps(asdict(song)))


def test_hands_are_looked_for_again_only_where_they_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    looked = placing.hands_of

    def counted(notes: Sequence[Note], transcription: Transcription) -> np.ndarray:
        asked.append(len(notes))
        return looked(notes, transcription)

    monkeypatch.setattr(placing, "hands_of", counted)
    first, *rest = (replace(note, confidence=0.7) for note in FIVE_NOTES)
    hands = view(replace(SONG, notes=(first, *rest)))["hands"]
    n = len(asked)
    accepted = replace(first, confidence=1.0, spelling="B#")
    assert view(replace(SONG, notes=(accepted, *rest)))["hands"] == hands
    assert len(asked) == n
    view(replace(SONG, notes=(replace(first, pitch=61), *rest)))
    assert len(asked) == n + 1
