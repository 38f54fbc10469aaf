from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.engine.features import FrameGrid
from transcribe.engine.growing import GrowingArray
from transcribe.events import Drum, Note, Tag, Transcription
from transcribe.instruments.decoder import (
    FAMILIES,
    INSTRUMENTS,
    VOCABULARIES,
    TagActivations,
    TagDecoder,
    TagDecodingConfig,
    likelihoods,
    moving_average,
    summed_up,
    who_plays,
)
from transcribe.instruments.task import INSTRUMENTS as INSTRUMENTS_TASK
from transcribe.score.analysis import Timing

GRID, STRIDE = FrameGrid(16_000, 320), 8  # steps of 0.16 s


def activations(**playing: tuple[int, int]) -> TagActivations:
    """40 steps, 6.4 s: each instrument sure from one step to another."""
    instruments = np.full((40, len(INSTRUMENTS)), 0.01, np.float32)
    families = np.full((40, len(FAMILIES)), 0.01, np.float32)
    for name, (first, last) in playing.items():
        instruments[first:last, list(INSTRUMENTS).index(name)] = 0.9
        families[first:last, FAMILIES.index(INSTRUMENTS[name])] = 0.8
    return TagActivations(families, instruments, GRID, STRIDE)


def decoded(block: TagActivations, seconds: float = 6.4, **settings: object) -> list[Tag]:
    decoder = TagDecoder(TagDecodingConfig(**{"smoothing": 0.0, "min_length": 0.3, **settings}))  # type: ignore[arg-type]
    decoder.push(block)
    return decoder.finish(seconds)


def test_every_instrument_has_a_family() -> None:
    assert set(INSTRUMENTS.values()) == set(FAMILIES)
    assert len(FAMILIES) == 12
    assert len(INSTRUMENTS) == 25


def test_who_plays_when_by_hand() -> None:
    tags = decoded(activations(piano=(0, 10), violin=(5, 40)))
    assert [(tag.label, round(tag.onset, 2), round(tag.offset, 2)) for tag in tags] == [
        ("piano", 0.0, 1.6),
        ("violin", 0.8, 6.4),
    ]
    assert [tag.probability for tag in tags] == pytest.approx([0.9, 0.9])
    families = decoded(activations(piano=(0, 10), violin=(5, 40)), vocabulary="families")
    assert [tag.label for tag in families] == ["keyboard", "string"]
    assert decoded(activations()) == []
    assert decoded(activations(piano=(0, 10)), threshold=0.95) == []
    assert TagDecoder(TagDecodingConfig()).finish(0.0) == []


def test_short_pauses_are_closed_and_short_spans_left_out() -> None:
    block = activations(flute=(3, 20), oboe=(30, 31))
    block.instruments[10, list(INSTRUMENTS).index("flute")] = 0.0
    (tag,) = decoded(block)
    assert (tag.label, round(tag.onset, 2), round(tag.offset, 2)) == ("flute", 0.48, 3.2)
    assert tag.probability < 0.9


def test_a_clip_shorter_than_any_span_is_named() -> None:
    whole = activations(horn=(0, 40))
    block = TagActivations(whole.families[:1], whole.instruments[:1], GRID, STRIDE)
    assert [tag.label for tag in decoded(block, 0.1)] == ["horn"]
    assert decoded(block, 0.1)[0].offset == pytest.approx(0.1)


@given(cuts=st.lists(st.integers(0, 40), max_size=4))
def test_blocks_make_no_difference(cuts: list[int]) -> None:
    block = activations(piano=(0, 22), harp=(9, 31))
    edges = [0, *sorted(cuts), 40]
    decoder = TagDecoder(TagDecodingConfig())
    for first, last in itertools.pairwise(edges):
        decoder.push(TagActivations(block.families[first:last], block.instruments[first:last], GRID, STRIDE))
    whole = TagDecoder(TagDecodingConfig())
    whole.push(block)
    assert decoder.finish(6.4) == whole.finish(6.4)


@given(n_steps=st.integers(1, 9), length=st.integers(1, 12))
def test_moving_average_against_the_plain_way(n_steps: int, length: int) -> None:
    scores = np.random.default_rng(0).uniform(0, 1, length)
    expected = [scores[max(0, i - (n_steps - 1) // 2) : i + n_steps // 2 + 1].mean() for i in range(length)]
    np.testing.assert_allclose(moving_average(scores, n_steps), expected)


def test_likelihoods_of_a_clip() -> None:
    found = likelihoods([activations(cello=(0, 20))], "instruments")
    assert list(found) == list(INSTRUMENTS)
    assert max(found, key=lambda label: found[label]) == "cello"
    # What is silent doesn't speak against it.
    assert found["cello"] > 0.85
    assert likelihoods([], "families") == {}


def test_sums() -> None:
    tags = [Tag(0.0, 1.0, "harp", 0.6), Tag(2.0, 4.0, "harp", 0.9), Tag(0.0, 4.0, "voice", 0.7)]
    assert summed_up(tags, 4.0) == [("voice", 0.7, 1.0), ("harp", 0.9, 0.75)]
    assert summed_up([], 0.0) == []


@pytest.mark.parametrize(
    "settings", [{"vocabulary": "colours"}, {"threshold": 0.0}, {"smoothing": -1.0}, {"min_length": 100.0}]
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TagDecodingConfig(**settings)  # type: ignore[arg-type]
    assert VOCABULARIES["families"] is FAMILIES


@given(lengths=st.lists(st.integers(0, 3000), max_size=6))
def test_rows_are_what_was_added(lengths: list[int]) -> None:
    rows, blocks = GrowingArray(), [np.random.default_rng(n).uniform(size=(n, 3)).astype(np.float32) for n in lengths]
    for block in blocks:
        rows.add(block)
    assert len(rows) == sum(lengths)
    if blocks:
        np.testing.assert_array_equal(rows.array(), np.concatenate(blocks))
        assert rows.array().dtype == np.float32


def families_of(*names: str) -> np.ndarray:
    """A step for each name, which is heard at 0.9, others at 0.1."""
    scores = np.full((len(names), len(FAMILIES)), 0.1, np.float32)
    for step, name in enumerate(names):
        scores[step, FAMILIES.index(name)] = 0.9
    return scores


def test_novelty_is_the_share_of_the_sound_in_which_another_family_is_likelier() -> None:
    decoder = TagDecoder(TagDecodingConfig())
    families = families_of("keyboard", "keyboard", "keyboard", "reed")
    families = np.concatenate([families, np.full((4, len(FAMILIES)), 0.0, np.float32)])  # silence weighs nothing
    decoder.push(TagActivations(families, np.zeros((8, len(INSTRUMENTS)), np.float32), GRID, STRIDE))
    assert decoder.fields(1.0)["novelty"] == pytest.approx(0.25)
    assert TagDecoder(TagDecodingConfig()).fields(0.0)["novelty"] is None


@pytest.mark.parametrize(("violin", "labels"), [((0, 8), ["piano"]), ((0, 30), ["piano", "violin"])])
def test_beside_a_piano_alone_nothing_is_heard(violin: tuple[int, int], labels: list[str]) -> None:
    block = activations(piano=(0, 40), violin=violin)
    block.families[slice(*violin), FAMILIES.index("string")] = 0.95
    decoder = TagDecoder(TagDecodingConfig())
    decoder.push(block)
    fields = cast(dict[str, Any], decoder.fields(6.4))
    found = INSTRUMENTS_TASK.complete(Transcription(**fields), Timing())
    assert sorted(tag.label for tag in found.instruments) == labels
    # Whoever hears notes knows better.
    doubted = Transcription(**{**fields, "novelty": 0.5, "piano_share": 0.9})
    sure = INSTRUMENTS_TASK.complete(doubted, Timing())
    assert [tag.label for tag in sure.instruments] == ["piano"]


TAGS = (Tag(0.0, 9.0, "piano", 0.9), Tag(1.0, 3.0, "drums", 0.6), Tag(2.0, 3.0, "cello", 0.7))


def test_of_a_piano_alone_nothing_else_is_said() -> None:
    song = Transcription(instruments=TAGS, duration=10.0, novelty=0.1)
    assert who_plays(song) == ["solo piano 90%"]
    assert who_plays(replace(song, instruments=(), notes=(Note(0.0, 60, 1.0, 80, 1.0, "piano"),))) == ["solo piano"]
    assert who_plays(replace(song, novelty=0.5)) == ["piano 90%", "drums 60%", "cello 70%"]
    assert who_plays(replace(song, novelty=None)) == ["piano 90%", "drums 60%", "cello 70%"]
    assert who_plays(Transcription()) == []


def test_notes_and_what_is_heard_say_together_who_plays() -> None:
    counts = {"piano": 50, "strings": 40, "bass": 6, "reed": 1, "flute": 3}
    notes = tuple(Note(0.1 * k, 60, 0.1 * k + 0.1, 80, 1.0, name) for name, n in counts.items() for k in range(n))
    song = Transcription(notes=notes, instruments=(*TAGS[:1], TAGS[2], Tag(0.0, 1.0, "flute", 0.8)), duration=10.0)
    sure = ["piano: 50 notes", "strings (cello 70%): 40 notes", "flute: 3 notes"]
    assert who_plays(song) == [*sure, "perhaps bass: 6 notes"]
    drums = replace(song, drums=tuple(Drum(0.1 * k, "hi-hat", 80) for k in range(20)))
    assert who_plays(drums) == [*sure, "perhaps drums: 20 strokes", "perhaps bass: 6 notes"]  # no drum was heard
    assert "drums: 20 strokes" in who_plays(replace(drums, instruments=TAGS))
    few = replace(song, notes=song.notes[:50] + song.notes[-1:])  # a piano, and one note of a flute
    assert who_plays(few) == ["piano: 50 notes", "flute: 1 note"]
    lost = replace(song, notes=song.notes[:50] * 3 + song.notes[-1:])  # one of 151 is no player
    assert who_plays(lost) == ["piano: 150 notes"]
    unasked = replace(drums, instruments=())
    assert who_plays(unasked) == ["piano: 50 notes", "strings: 40 notes", "drums: 20 strokes", "bass: 6 notes"]
    asked = who_plays(replace(unasked, models={"instruments": "instruments-3"}))
    assert asked == [f"perhaps {said}" for said in who_plays(unasked)]
