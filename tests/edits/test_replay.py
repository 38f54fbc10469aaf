from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import FIVE_NOTES
from tests.strategies import transcriptions
from transcribe.edits.history import History
from transcribe.edits.operations import NAMES, check
from transcribe.edits.replay import carried, replay, replayed
from transcribe.errors import InputError
from transcribe.events import Chord, Metre, Note, Transcription
from transcribe.formats.json import from_json, to_json
from transcribe.formats.midi import from_midi, to_midi
from transcribe.formats.schema import schema

SONG = Transcription(
    notes=tuple(FIVE_NOTES),
    beats=tuple(np.arange(0.5, 5.5, 0.5).tolist()),
    downbeats=(0.5, 2.5, 4.5),
    metres=(Metre(0.5, 5.5, "4/4"),),
    chords=(Chord(0.5, 2.0, "C:maj"), Chord(2.0, 2.9, "A:min")),
    duration=5.5,
    tempo=120.0,
    key="C major",
)
FIRST = {"pitch": 60, "onset": 0.5}
GOOD: list[dict[str, Any]] = [
    {"op": "add", "note": {"onset": 3.0, "offset": 3.5, "pitch": 65, "velocity": 70}},
    {"op": "delete", "note": FIRST},
    {"op": "change", "note": FIRST, "to": {"pitch": 61, "spelling": "Db", "hand": "left"}},
    {"op": "accept", "note": FIRST},
    {"op": "beats", "beats": [0.5, 1.0, 1.5, 2.0], "downbeats": [1.0]},
    {"op": "tempo", "factor": 0.5},
    {"op": "shift", "beats": -1},
    {"op": "metre", "metre": "3/4"},
    {"op": "key", "key": "E minor"},
    {"op": "pickup", "beats": 1},
    {"op": "chord", "onset": 2.0, "label": "C:min7"},
]
BAD: list[tuple[object, str]] = [
    (7, "is a table"),
    ({"op": "sing"}, "no operation 'sing'"),
    ({"note": FIRST}, "no operation None"),
    ({"op": "delete"}, "delete lacks note"),
    ({"op": "delete", "note": FIRST, "why": 1}, "delete has no 'why'"),
    ({"op": "delete", "note": {"pitch": 60}}, "named by its pitch and onset"),
    ({"op": "delete", "note": {"pitch": 60, "onset": 0.7}}, "no note of pitch 60 at 0.7000 s"),
    ({"op": "delete", "note": {"pitch": True, "onset": 0.5}}, "no whole number"),
    ({"op": "add", "note": {"onset": 0.5, "offset": 1.0, "pitch": 60, "velocity": 9}}, "already"),
    ({"op": "add", "note": {"onset": 3.0, "offset": 3.0, "pitch": 60, "velocity": 9}}, "end before it begins"),
    ({"op": "add", "note": {"onset": float("nan"), "offset": 3.0, "pitch": 60, "velocity": 9}}, "no number"),
    ({"op": "add", "note": {"onset": 1, "offset": 3.0, "pitch": 60, "velocity": 9, "x": 1}}, "a note has no 'x'"),
    ({"op": "add", "note": {"onset": 1, "offset": 3, "pitch": 62, "velocity": 9, "instrument": "kazoo"}}, "kazoo"),
    ({"op": "change", "note": FIRST, "to": {}}, "nothing to change"),
    ({"op": "change", "note": FIRST, "to": {"spelling": "F#"}}, "no spelling of pitch 60"),
    ({"op": "change", "note": FIRST, "to": {"hand": "third"}}, "right or left"),
    ({"op": "beats", "beats": [1.0]}, "two times"),
    ({"op": "beats", "beats": [2.0, 1.0]}, "in order"),
    ({"op": "tempo", "factor": 3}, "2 or 0.5"),
    ({"op": "shift", "beats": 0.5}, "whole number"),
    ({"op": "metre", "metre": "three"}, "three"),
    ({"op": "key", "key": "H major"}, "H major"),
    ({"op": "pickup", "beats": 64}, "less than 64"),
    ({"op": "chord", "onset": 0.7, "label": "C:maj"}, "no chord begins"),
    ({"op": "chord", "onset": 0.5, "label": "H:maj"}, "H:maj"),
]


@given(transcriptions())
def test_nothing_changes_nothing(song: Transcription) -> None:
    assert replay(song, ()) is song
    assert replayed(song) is song


@given(st.lists(st.sampled_from(GOOD), max_size=8), st.integers(0, 10))
def test_what_is_undone_and_done_again_is_as_before(edits: list[dict[str, Any]], n: int) -> None:
    history = History()
    for edit in edits:
        history = history.do(edit)
    back = history
    for _ in range(n):
        back = back.undo()
    for _ in range(n):
        back = back.redo()
    assert back == history
    assert len(history.undo().edits) == max(0, len(edits) - 1)


@given(transcriptions(), st.data())
def test_a_note_that_is_added_and_deleted_was_never_there(song: Transcription, data: st.DataObject) -> None:
    note = {"onset": 40.0, "offset": 41.0, "pitch": data.draw(st.integers(0, 127)), "velocity": 1}
    key = {"pitch": note["pitch"], "onset": note["onset"]}
    assert replay(song, [{"op": "add", "note": note}, {"op": "delete", "note": key}]) == song


@given(transcriptions(), st.data())
def test_every_note_is_found_by_what_the_json_says_of_it(song: Transcription, data: st.DataObject) -> None:
    if not song.notes:
        return
    kept = from_json(to_json(song))
    place = data.draw(st.integers(0, len(song.notes) - 1))
    key = {"pitch": kept.notes[place].pitch, "onset": kept.notes[place].onset}
    left = replay(song, [{"op": "delete", "note": key}]).notes
    assert left == song.notes[:place] + song.notes[place + 1 :]


@pytest.mark.parametrize("edit", GOOD, ids=lambda edit: edit["op"])
def test_every_operation_does_something_and_is_what_the_schema_says(edit: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert check(edit) == edit["op"]
    song = replace(SONG, notes=tuple(replace(note, confidence=0.9) for note in SONG.notes))
    assert replay(song, [edit]) != song
    kept = replace(song, edits=(edit,))
    document = json.loads(to_json(kept))
    jsonschema.validate(document, schema())
    assert from_json(to_json(kept)).edits == (edit,)
    assert {*NAMES} == {one["op"] for one in GOOD}


@pytest.mark.parametrize(("edit", "said"), BAD, ids=[said for _, said in BAD])
def test_what_cannot_be_done_is_refused_in_a_line(edit: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        replay(SONG, [GOOD[3], edit])
    assert str(caught.value).startswith("edit 2: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_notes_change_as_they_are_told() -> None:
    changed = replay(SONG, [GOOD[2], {"op": "change", "note": {"pitch": 61, "onset": 0.5}, "to": {"offset": 0.8}}])
    assert changed.notes[0] == Note(0.5, 61, 0.8, 80, hand="left", spelling="Db")
    moved = replay(changed, [{"op": "change", "note": {"pitch": 61, "onset": 0.5}, "to": {"pitch": 62}}])
    assert moved.notes[0].spelling is None  # of another note
    assert replay(SONG, [GOOD[10]]).chords[1].label == "C:min7"
    assert replay(SONG, [GOOD[8]]).key == "E minor"


def test_bars_are_shifted_and_shifted_back() -> None:
    later = replay(SONG, [{"op": "shift", "beats": 1}])
    assert later.downbeats == (1.0, 3.0, 5.0)
    assert replay(SONG, [{"op": "shift", "beats": 1}, {"op": "shift", "beats": -1}]).downbeats == SONG.downbeats
    assert replay(SONG, [{"op": "shift", "beats": 4}]).downbeats == SONG.downbeats
    # What is said after it is about the bars as they were shifted.
    three = replay(SONG, [{"op": "shift", "beats": 1}, {"op": "metre", "metre": "3/4"}])
    assert 1.0 in three.downbeats
    assert [metre.label for metre in three.metres] == ["3/4"]


def test_beats_are_doubled_halved_and_tapped() -> None:
    double = replay(SONG, [{"op": "tempo", "factor": 2}])
    assert double.beats[:3] == (0.5, 0.75, 1.0)
    assert double.tempo == 240
    assert replay(SONG, [{"op": "tempo", "factor": 0.5}]).tempo == 60
    taps = [0.5, 1.25, 2.0, 2.75]
    tapped = replay(SONG, [{"op": "beats", "beats": taps, "downbeats": [1.25]}])
    assert {*taps} <= {*tapped.beats}
    assert 1.25 in tapped.downbeats
    again = replay(SONG, [{"op": "beats", "beats": taps}, {"op": "beats", "beats": [1.0, 1.5, 2.0, 2.5]}])
    assert {1.0, 1.5, 2.0, 2.5} <= {*again.beats}
    assert 1.25 not in again.beats
    one = replay(SONG, [{"op": "beats", "beats": [], "downbeats": [1.0]}])
    assert 1.0 in one.downbeats
    assert one.beats == SONG.beats


def test_two_lines_of_a_bar_tell_how_long_it_is() -> None:
    taps = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    tapped = replay(SONG, [{"op": "beats", "beats": taps, "downbeats": [0.5, 2.0]}])
    assert tapped.downbeats == (0.5, 2.0)
    assert [metre.label for metre in tapped.metres] == ["3/4"]


def test_another_run_keeps_what_still_has_a_note() -> None:
    heard = replace(SONG, notes=(Note(0.53, 60, 1.0, 80), *SONG.notes[2:]))
    gone = {"op": "delete", "note": {"pitch": 64, "onset": 1.0}}
    kept, lost = carried(heard, [GOOD[2], gone, GOOD[8]])
    assert lost == 1
    assert kept[0]["note"] == {"pitch": 60, "onset": 0.53}
    assert replay(heard, kept).notes[0].pitch == 61


def test_hand_and_spelling_reach_the_score_and_midi() -> None:
    pytest.importorskip("music21")
    from transcribe.formats.musicxml import to_musicxml

    low = Transcription(notes=tuple(FIVE_NOTES), duration=3.0)
    edits = [
        {"op": "change", "note": {"pitch": 60, "onset": 0.5}, "to": {"hand": "left", "spelling": "B#"}},
        {"op": "change", "note": {"pitch": 60, "onset": 2.0}, "to": {"hand": "left", "spelling": "Dbb"}},
    ]
    edited = replay(low, edits)
    score = to_musicxml(edited)
    assert b"<step>B</step>" in score
    assert b"<alter>-2</alter>" in score
    tracks = to_midi(edited, True)
    assert b"left hand" in tracks
    assert len(from_midi(tracks).notes) == 5
