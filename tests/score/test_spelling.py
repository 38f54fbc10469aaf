"""How notes are spelled: what a pianist would write, in every key; and that what is shipped says what was trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transcribe.engine import weights
from transcribe.engine.weights import default_name, load_tensors, manifest, read_header, weights_folder
from transcribe.errors import WeightsError
from transcribe.events import Key, Note
from transcribe.score import shipped
from transcribe.score.shipped import default_network
from transcribe.score.spelling import (
    N_FEATURES,
    PLACES,
    keys_as_spelled,
    possible,
    spelled_notes,
    spelling_features,
)
from transcribe.theory.fifths import name_at, pitch_class, place_of
from transcribe.theory.keys import key_of, transposed_key


def line(pitches: Sequence[int], step: float = 0.25) -> list[Note]:
    """One note after the other."""
    return [Note(k * step, pitch, (k + 0.8) * step, 80) for k, pitch in enumerate(pitches)]


def chords(*sounding: Sequence[int]) -> list[Note]:
    """One chord after the other, a second each."""
    return [Note(float(k), pitch, k + 1.0, 80) for k, own in enumerate(sounding) for pitch in sorted(own)]


@pytest.mark.parametrize(
    ("notes", "key", "names"),
    [
        (line((60, 61, 62, 66, 67)), "C major", "C C# D F# G"),
        (line((69, 68, 67, 63, 62)), "C major", "A Ab G Eb D"),
        # Lower neighbours are a letter lower, whatever the key has there.
        (line((72, 71, 72, 74, 73, 74, 76, 75, 76, 77, 76, 77)), "C major", "C B C D C# D E D# E F E F"),
        (line((60, 63, 62, 66, 67, 72)), "C minor", "C Eb D F# G C"),
        # A scale in semitones has sharps upwards, and flats downwards.
        (line(range(60, 73)), "C major", "C C# D D# E F F# G G# A A# B C"),
        # A diminished seventh is spelled by the chord that it leads to.
        (chords((56, 59, 62, 65), (57, 60, 64, 69)), "A minor", "G# B D F A C E A"),
        # B flat in G minor, as its chord has it, not A sharp.
        (line((70,)), "G minor", "Bb"),
    ],
)
def test_notes_outside_of_the_key_are_spelled_by_what_is_around(notes: list[Note], key: str, names: str) -> None:
    assert spelled_notes(notes, key) == names.split()


@pytest.mark.parametrize("sharps", range(-6, 6))
def test_music_is_spelled_alike_in_every_key(sharps: int) -> None:
    music = line((60, 59, 60, 62, 61, 62, 64, 63, 64, 65, 66, 67, 68, 67, 65, 64, 62, 60))
    up = 7 * sharps % 12
    moved = [replace(note, pitch=note.pitch + up) for note in music]
    here, there = spelled_notes(music, "C major"), spelled_notes(moved, key_of(sharps, minor=False))
    assert [place_of(name) - sharps for name in there] == [place_of(name) for name in here]


def test_a_section_has_the_signature_that_its_notes_are_spelled_in() -> None:
    scale = (0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5, 4, 2, 0)
    first, second = line([61 + step for step in scale] * 2), line([66 + step for step in scale] * 2)
    notes = [*first, *(replace(note, onset=note.onset + 8, offset=note.offset + 8) for note in second)]
    keys = (Key(0.0, 8.0, "Db major"), Key(8.0, 16.0, "F# major"))
    names = spelled_notes(notes, "Db major")
    assert {"Gb", "Cb"} < set(names[30:])
    assert [key.label for key in keys_as_spelled(keys, notes, names)] == ["Db major", "Gb major"]
    # As many sharps as flats, and all notes have sharps.
    assert keys_as_spelled(keys[1:], notes[30:], spelled_notes(notes[30:], "B major")) == keys[1:]


def test_names_are_names_of_their_pitch() -> None:
    rng = np.random.default_rng(3)
    notes = line(rng.integers(21, 109, 300).tolist(), 0.1)
    for semitones in range(12):
        names = spelled_notes(notes, transposed_key("C major", semitones))
        assert [pitch_class(name) for name in names] == [note.pitch % 12 for note in notes]
        assert max(len(name) for name in names) <= 3
        assert possible(np.array([float(note.pitch) for note in notes]), semitones - 6).any(1).all()


def test_what_the_user_said_is_obeyed() -> None:
    first, *rest = line((61, 62, 64))
    assert spelled_notes([replace(first, spelling="Db"), *rest], "C major")[0] == "Db"
    assert spelled_notes([]) == []


def test_notes_are_read_in_blocks_that_join(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    notes = line(rng.integers(40, 90, 300).tolist(), 0.2)
    whole = spelled_notes(notes, "D major")
    monkeypatch.setattr(shipped, "_BLOCK", 37)
    assert spelled_notes(notes, "D major") == whole


def test_what_is_told_of_a_note_is_told_of_it_later_too() -> None:
    rows = np.array([[k * 0.25, k * 0.25 + 0.2, 60 + k % 5, 64] for k in range(16)], float)
    later = rows + np.array([10.0, 10.0, 0.0, 0.0])
    assert spelling_features(rows, 2).shape == (16, N_FEATURES)
    np.testing.assert_allclose(spelling_features(rows, 2), spelling_features(later, 2), atol=1e-5)


def test_neighbours_are_those_that_follow() -> None:
    # Above, after it; below, before it. What is struck together is no neighbour.
    features = spelling_features(np.array([[0, 1, 60, 64], [0, 1, 61, 64], [0.5, 1, 61, 64]], float), 0)
    assert features[:, -4:].tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


def test_places_are_names_of_two_accidentals_at_the_most() -> None:
    for sharps in (-7, 0, 7):
        for pitch in range(60, 72):
            names = [name_at(int(place) + sharps) for place in PLACES[possible(np.array([float(pitch)]), sharps)[0]]]
            assert names
            assert all(len(name) <= 3 and pitch_class(name) == pitch % 12 for name in names)


def test_the_shipped_graph_says_what_torch_says() -> None:
    torch = pytest.importorskip("torch")
    from transcribe.engine.weights import build
    from transcribe.score.network import ScoreConfig
    from transcribe.score.spelling_network import SpellingNetwork

    file = weights_folder() / manifest()[default_name("spelling")].file
    network = SpellingNetwork(build(ScoreConfig, read_header(file.read_bytes())["network"]))
    network.load_state_dict(load_tensors(file))
    features = np.random.default_rng(0).normal(size=(200, N_FEATURES)).astype(np.float32)
    with torch.inference_mode():
        (there,) = network.eval()(torch.from_numpy(features)[None]).activations()
    (here,) = default_network("spelling")(features)
    np.testing.assert_allclose(here, there[0].numpy(), atol=1e-2)


def test_a_graph_that_was_altered_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = json.loads((weights_folder() / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps(lines))
    (tmp_path / lines[default_name("spelling")]["graph"]).write_bytes(b"none")
    monkeypatch.setattr(weights, "weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="altered"):
        default_network.__wrapped__("spelling")
