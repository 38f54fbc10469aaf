"""Annotations and scores → music with known beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest

from train.beats.corpus import (
    HEARD,
    Rhythm,
    asap,
    beat_unit,
    counted,
    fingerprint,
    from_lines,
    heard,
    load,
    maps,
    pickup,
    pop909,
    read_score,
    save,
    without,
)
from transcribe.events import Note, Transcription
from transcribe.formats.json import to_json


@pytest.mark.parametrize(
    ("metre", "unit"),
    [
        ((4, 4), (1, 4, False)), ((3, 4), (1, 3, False)), ((2, 2), (2, 2, False)), ((3, 8), (0.5, 3, False)),
        ((6, 8), (1.5, 2, True)), ((9, 8), (1.5, 3, True)), ((12, 16), (0.75, 4, True)), ((5, 8), (0.5, 5, False)),
        ((6, 4), (3, 2, True)),
    ],
)  # fmt: skip
def test_metres_are_counted_as_musicians_do(metre: tuple[int, int], unit: tuple[float, int, bool]) -> None:
    assert beat_unit(*metre) == unit


def test_beats_of_a_bar_are_counted_between_downbeats() -> None:
    downbeat = np.array([0, 1, 0, 0, 1, 0, 1, 0], bool)
    assert counted(downbeat).tolist() == [0, 3, 3, 3, 2, 2, 0, 0]


def test_lines_become_beats_and_double_ones_are_dropped() -> None:
    beats, downbeat, metre, triple = from_lines(
        [(0.5, True, "6/8"), (0.51, False, ""), (1.0, False, ""), (1.5, True, "3/4"), (2.0, False, ""), (2.5, True, "")]
    )
    assert beats.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert downbeat.tolist() == [True, False, True, False, True]
    assert metre.tolist() == [2, 2, 2, 2, 0]
    assert triple.tolist() == [1, 1, 0, 0, 0]


def write_score(path: Path, notes: Sequence[tuple[float, float, int]], metre: tuple[int, int], tempo: int = 60) -> None:
    """Write a MIDI file of notes: first and last quarter, pitch."""
    midi = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    midi.tracks.append(track)
    events = [(0, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))]
    events.append((0, mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1])))
    for on, off, pitch in notes:
        events.append((round(on * 480), mido.Message("note_on", note=pitch, velocity=64)))
        events.append((round(off * 480), mido.Message("note_off", note=pitch)))
    events.sort(key=lambda event: (event[0], event[1].type != "note_off"))
    now = 0
    for tick, message in events:
        track.append(message.copy(time=tick - now))
        now = tick
    midi.save(path)


def waltz(bars: int, late: float = 0.0) -> list[tuple[float, float, int]]:
    """Make a bass on one and chords on two and three, ``late`` quarters from the beginning."""
    notes = []
    for bar in range(bars):
        at = late + 3 * bar
        notes += [(at, at + 3, 40), (at + 1, at + 1.5, 64), (at + 2, at + 2.5, 64), (at, at + 1, 72)]
    return notes


def test_a_score_has_the_beats_of_its_metre_and_tempo(tmp_path: Path) -> None:
    write_score(tmp_path / "waltz.mid", waltz(12), (3, 4), 120)
    piece = read_score(tmp_path / "waltz.mid", "mutopia")
    assert piece is not None
    assert piece.score
    np.testing.assert_allclose(piece.beats[:4], [0, 0.5, 1, 1.5])
    assert piece.downbeat[:7].tolist() == [True, False, False, True, False, False, True]
    assert set(piece.metre.tolist()) == {3}
    assert set(piece.triple.tolist()) == {0}
    assert len(piece.notes) == 48
    assert piece.notes[:2, :2].tolist() == [[0, 0.5], [0, 1.5]]


@pytest.mark.parametrize("late", [1.0, 2.0, 0.5])
def test_a_pickup_is_found(tmp_path: Path, late: float) -> None:
    write_score(tmp_path / "waltz.mid", [(0, late, 67), *waltz(12, late)], (3, 4))
    piece = read_score(tmp_path / "waltz.mid", "mutopia")
    assert piece is not None
    assert piece.beats[piece.downbeat][0] == pytest.approx(late)


def test_music_whose_bars_nobody_can_tell_is_left_out(tmp_path: Path) -> None:
    # Long notes on two, nearly as long ones on one.
    unclear = [note for bar in range(16) for note in ((3 * bar, 3 * bar + 1, 60), (3 * bar + 1, 3 * bar + 2.18, 60))]
    assert pickup(np.array([(*note, 64) for note in unclear]), (3, 4), 48) is None
    write_score(tmp_path / "unclear.mid", unclear, (3, 4))
    assert read_score(tmp_path / "unclear.mid", "mutopia") is None


def piece_of(name: str, split: str, pitches: np.ndarray, faster: float = 1.0, key: int = 0) -> Rhythm:
    onsets = np.arange(len(pitches)) * 0.3 / faster
    notes = np.stack([onsets, onsets + 0.2, pitches + key, np.full(len(pitches), 64)], 1).astype(np.float32)
    beats = np.arange(0, onsets[-1], 0.6)
    bars = np.arange(len(beats)) % 4 == 0
    return Rhythm(name, "asap", split, notes, beats, bars, counted(bars), np.zeros(len(beats), np.int8))


def test_what_is_kept_out_is_known_in_another_tempo_and_key() -> None:
    rng = np.random.default_rng(0)
    tune, other = rng.integers(50, 80, (2, 200))
    same = piece_of("same", "train", tune, 1.3, 5)
    assert fingerprint(same.notes) == fingerprint(piece_of("tune", "test", tune).notes)
    pieces = [same, piece_of("other", "train", other), piece_of("valid", "valid", other[:100])]
    kept, dropped = without(pieces[:2], [piece_of("tune", "test", tune).notes])
    assert [p.name for p in kept] == ["other"]
    assert dropped == ["asap/same 1.00"]
    kept, _ = without(pieces, [])
    assert [p.name for p in kept] == ["same", "valid"]


def test_a_corpus_is_read_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pieces = [piece_of(f"{i}", "train", rng.integers(50, 80, 20 + i)) for i in range(3)]
    save(pieces, tmp_path / "corpus.npz")
    for before, after in zip(pieces, load(tmp_path / "corpus.npz"), strict=True):
        assert (before.name, before.split, before.score) == (after.name, after.split, after.score)
        for field in ("notes", "beats", "downbeat", "metre", "triple", "drums"):
            np.testing.assert_array_equal(getattr(before, field), getattr(after, field))


def test_what_was_heard_has_the_beats_of_the_music_as_far_as_it_goes(tmp_path: Path) -> None:
    beats = np.arange(8) * 0.5
    notes = np.array([[0, 0.4, 60, 64], [3.4, 3.5, 62, 64]], np.float32)
    zeros = np.zeros(8, np.int8)
    piece = Rhythm("song", "pop909", "valid", notes, beats, zeros == 0, zeros + 1, zeros)
    (tmp_path / "pop909").mkdir()
    played = Transcription(notes=(Note(0.02, 60, 0.4, 70), Note(0.6, 61, 0.9, 50)), duration=1.0)
    (tmp_path / "pop909" / "song.json").write_bytes(to_json(played))
    (found,) = heard([piece, replace(piece, name="another")], tmp_path)
    assert (found.source, found.split, found.name) == (HEARD, "valid", "song")
    np.testing.assert_allclose(found.notes, [[0.02, 0.4, 60, 70], [0.6, 0.9, 61, 50]])
    assert found.beats.tolist() == [0.0, 0.5, 1.0, 1.5]  # a second after the last note at the most
    assert len(found.downbeat) == len(found.metre) == len(found.triple) == 4


def test_the_sets_are_read(tmp_path: Path) -> None:
    tune = waltz(12)
    (tmp_path / "asap").mkdir()
    write_score(tmp_path / "asap" / "Bach__Fugue__1__Anna.mid", tune, (3, 4))
    folder = tmp_path / "annotations" / "Bach__Fugue__1"
    folder.mkdir(parents=True)
    (folder / "score_annotations.txt").write_text("0.0\t0.0\tdb,3/4,0\n")
    (folder / "Anna.annotations.txt").write_text("0.0\t0.0\tdb,3/4,0\n1.0\t1.0\tb\n2.0\t2.0\tbR\n3.0\t3.0\tdb\n")
    (piece,) = asap(tmp_path / "asap", tmp_path / "annotations")
    assert piece.name == "Bach__Fugue__1__Anna"
    assert piece.beats.tolist() == [0, 1, 2, 3]
    assert piece.downbeat.tolist() == [True, False, False, True]
    assert len(piece.notes) == 48

    for name, text in (
        ("notes", "# onset,offset,note,velocity\n1.0\t2.0\t60\t64\n0.5\t1.0\t62\t70\n"),
        ("beats", "# time\n0.5\tdb\t1/4\t2\n1.0\tdb\t2/4\t\n1.5\tb\t\t\n2.0\tdb\t\t\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MAPS_MUS-x_y_AkPn.tsv").write_text(text)
    (piece,) = maps(tmp_path / "notes", tmp_path / "beats")
    assert piece.notes[:, 2].tolist() == [62, 60]
    assert piece.metre.tolist() == [1, 2, 2, 0]

    (tmp_path / "pop").mkdir()
    for name in ("001", "002", "003", "004", "005"):
        write_score(tmp_path / "pop" / f"{name}.mid", tune, (3, 4))
        (tmp_path / "pop" / f"{name}_beat_midi.txt").write_text("0.1 1.0 1.0\n0.6 0.0 0.0\n1.1 1.0 1.0\n")
    pieces = list(pop909(tmp_path / "pop"))
    assert [p.split for p in pieces] == ["train", "test", "train", "train", "valid"]
    assert pieces[0].downbeat.tolist() == [True, False, True]
