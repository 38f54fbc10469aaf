from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.chords import decoder as chords
from transcribe.chords.decoder import (
    N_CLASSES,
    NONE,
    QUALITIES,
    VOCABULARIES,
    ChordActivations,
    ChordDecoder,
    ChordDecodingConfig,
    change_counts,
    class_of,
    label_of,
    likeliest,
    simplified,
)
from transcribe.engine.features import FrameGrid
from transcribe.events import Chord
from transcribe.theory.chords import Label, parse

GRID = FrameGrid(16000, 320)
STRIDE = 4
STEP = 0.08


def known_class(label: str) -> int:
    number = class_of(parse(label))
    assert number is not None
    return number


CHANGES = change_counts([[known_class(label) for label in ("C:maj", "A:min", "F:maj", "G:7", "C:maj", "N")]])


def heard(spans: list[tuple[str, int]], sure: float = 0.9) -> ChordActivations:
    """So many steps of each label, a little doubt everywhere."""
    chord = np.full((sum(n for _, n in spans), N_CLASSES), (1 - sure) / (N_CLASSES - 1), np.float32)
    bass = np.full((len(chord), 12), 0.02, np.float32)
    first = 0
    for text, n in spans:
        label = parse(text)
        chord[first : first + n, class_of(label)] = sure
        if label.root is not None:
            bass[first : first + n, (label.root + label.bass) % 12] = 0.78
        first += n
    return ChordActivations(chord, bass, GRID, STRIDE)


def decode(activations: ChordActivations, vocabulary: str = "full", size: int = 10**6) -> list[Chord]:
    decoder = ChordDecoder(CHANGES, ChordDecodingConfig(vocabulary=vocabulary))
    for i in range(0, len(activations), size):
        block = slice(i, i + size)
        decoder.push(ChordActivations(activations.chord[block], activations.bass[block], GRID, STRIDE))
    return decoder.finish(len(activations) * STEP)


def test_three_chords_by_hand() -> None:
    found = decode(heard([("N", 10), ("C:maj", 25), ("A:min7/b3", 25)]))
    assert [chord.label for chord in found] == ["N", "C:maj", "A:min7/b3"]
    # A step begins half a frame before its first frame's centre.
    assert [chord.onset for chord in found] == pytest.approx([0.0, 0.8 - 0.01, 2.8 - 0.01])
    assert found[-1].offset == pytest.approx(4.8)
    assert all(a.offset == b.onset for a, b in pairwise(found))
    assert found[1].confidence == pytest.approx(0.9, abs=0.01)


def test_a_moment_of_doubt_is_no_chord() -> None:
    assert [c.label for c in decode(heard([("C:maj", 20), ("F#:dim", 1), ("C:maj", 20)]))] == ["C:maj"]


@pytest.mark.parametrize(
    ("vocabulary", "label"), [("majmin", "A:min"), ("triads", "A:dim"), ("sevenths", "A:hdim7"), ("full", "A:hdim7/b5")]
)
def test_vocabularies(vocabulary: str, label: str) -> None:
    activations = heard([("A:hdim7/b5", 40)])
    assert [chord.label for chord in decode(activations, vocabulary)] == [label]
    assert str(simplified(parse("A:hdim7/b5"), vocabulary)) == label


def test_short_recordings_have_one_chord() -> None:
    assert [c.label for c in decode(heard([("N", 6), ("E:min", 6), ("N", 5)]))] == ["E:min"]
    assert [c.label for c in decode(heard([("N", 12)]))] == ["N"]
    assert decode(heard([("N", 12)]))[0].offset == pytest.approx(12 * STEP)


def test_nothing_heard_gives_nothing() -> None:
    assert ChordDecoder(CHANGES, ChordDecodingConfig()).finish(0.0) == []
    assert likeliest([]) == parse("N")


spans = st.lists(
    st.tuples(st.integers(0, NONE).map(lambda n: str(label_of(n))), st.integers(10, 30)), min_size=1, max_size=8
)


@given(spans, st.integers(1, 30))
def test_blocks_make_no_difference(spans: list[tuple[str, int]], size: int) -> None:
    activations = heard(spans, 0.7)
    assert decode(activations, size=size) == decode(activations)


@given(spans, st.integers(1, 30), st.integers(2, 60))
def test_settling_early_makes_no_difference(spans: list[tuple[str, int]], size: int, steps: int) -> None:
    rng = np.random.default_rng(steps)
    activations = heard([*spans, ("C:maj", 40)], 0.5)
    doubt = rng.dirichlet(np.full(N_CLASSES, 0.1), len(activations)).astype(np.float32)
    noisy = ChordActivations((activations.chord + doubt) / 2, activations.bass, GRID, STRIDE)
    whole = decode(noisy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chords, "SETTLED_EVERY", steps)
        assert decode(noisy, size=size) == whole


@given(spans, st.integers(1, 11))
def test_transposed_activations_give_transposed_chords(spans: list[tuple[str, int]], semitones: int) -> None:
    def up(text: str) -> str:
        return str(parse(text).transposed(semitones))

    moved = decode(heard([(up(text), n) for text, n in spans], 0.7))
    assert [(c.onset, c.label) for c in moved] == [(c.onset, up(c.label)) for c in decode(heard(spans, 0.7))]


@given(st.integers(0, N_CLASSES - 1))
def test_classes_have_labels_and_labels_classes(number: int) -> None:
    assert class_of(label_of(number)) == number


def test_labels_outside_the_vocabulary() -> None:
    assert label_of(known_class("C:9")) == Label(0, "7")
    assert label_of(known_class("D:maj9")) == Label(2, "maj7")
    assert class_of(parse("C:5")) is None
    assert class_of(parse("X")) is None


def test_vocabularies_name_only_what_they_hold() -> None:
    for names in VOCABULARIES.values():
        kept = {quality for quality in QUALITIES if quality not in names}
        assert set(names.values()) <= kept


def test_changes_are_probabilities_and_the_same_in_every_key() -> None:
    between = np.exp(CHANGES)
    assert between.sum(1) == pytest.approx(np.ones(N_CLASSES), abs=1e-4)
    n = len(QUALITIES)
    assert CHANGES[0, 9 * n + 1] == pytest.approx(CHANGES[n, 10 * n + 1])  # C to Am as Db to Bbm
    assert CHANGES[0, 9 * n + 1] > CHANGES[0, 6 * n]


@pytest.mark.parametrize("wrong", [{"stay": 1.0}, {"evidence": 0.0}, {"bass_threshold": 2}, {"vocabulary": "jazz"}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        ChordDecodingConfig(**wrong)


def test_a_clips_chord_among_those_asked_for() -> None:
    activations = [heard([("N", 30), ("A:min", 10), ("C:maj", 8)])]
    assert str(likeliest(activations)) == "A:min"
    assert str(likeliest(activations, [parse("C:maj"), parse("G:maj")])) == "C:maj"
