"""The simulated performer and the imitated transcriber."""

from __future__ import annotations

import numpy as np
import pytest

from train.beats.corpus import Rhythm, counted
from train.beats.performer import cut, excerpt, imitate, play, tempo_curve


def score(bars: int = 24, quarter: float = 0.5) -> Rhythm:
    """Make a melody in eighths over half notes, in four."""
    eighths = np.arange(8 * bars) * quarter / 2
    melody = np.stack([eighths, eighths + quarter / 2, 72 + np.arange(len(eighths)) % 7, eighths * 0 + 64], 1)
    halves = np.arange(2 * bars) * quarter * 2
    bass = np.stack([halves, halves + quarter * 2, 48 + np.arange(len(halves)) % 5, halves * 0 + 64], 1)
    notes = np.concatenate([melody, bass])
    notes = notes[np.argsort(notes[:, 0], kind="stable")].astype(np.float32)
    beats = np.arange(4 * bars) * quarter
    downbeat = np.arange(len(beats)) % 4 == 0
    return Rhythm(
        "s", "mutopia", "train", notes, beats, downbeat, counted(downbeat), np.zeros(len(beats), np.int8), True
    )


def nearest(times: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Distance of each time to the nearest of others."""
    distances: np.ndarray = np.abs(times[:, None] - to[None]).min(1)
    return distances


@pytest.mark.parametrize("seed", range(12))
def test_notes_that_are_played_stay_on_their_beats(seed: int) -> None:
    piece = score()
    played = play(piece, np.random.default_rng(seed))
    assert len(played.beats) == len(piece.beats)
    assert np.all(np.diff(played.beats) >= 0.25 - 1e-9)
    basses = played.notes[played.notes[:, 2] < 60]
    # Some are wrong notes or belong to a trill; by chance a third would lie so near to a beat.
    inside = basses[basses[:, 0] < played.beats[-1] - 0.1, 0]
    assert np.mean(nearest(inside, played.beats) < 0.08) > 0.7
    assert np.all(np.diff(played.notes[:, 0]) >= 0)
    assert np.all((played.notes[:, 3] >= 1) & (played.notes[:, 3] <= 127))
    assert np.all(played.notes[:, 1] > played.notes[:, 0])


def test_a_machine_keeps_its_tempo_and_a_player_does_not() -> None:
    bars = np.arange(64) % 4 == 0
    assert not tempo_curve(bars, 0.0, np.random.default_rng(0)).any()
    assert tempo_curve(bars, 1.0, np.random.default_rng(0)).std() > 0.03


def test_performances_differ_and_the_same_seed_gives_the_same() -> None:
    one, same, other = (play(score(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.notes, same.notes)
    assert not np.array_equal(one.beats, other.beats)


def test_an_excerpt_begins_at_zero() -> None:
    part = cut(score(), 2.0, 3.0)
    assert part.notes[0, 0] == 0
    assert part.notes[:, 0].max() < 3
    np.testing.assert_allclose(part.beats[part.downbeat], [-2, 0, 2, 4, 6])


@pytest.mark.parametrize("seed", range(6))
def test_a_performance_is_stretched_with_its_beats(seed: int) -> None:
    piece = score()
    piece.score = False
    part = excerpt(piece, 20.0, np.random.default_rng(seed))
    gap = np.diff(part.beats)
    np.testing.assert_allclose(gap, gap[0])
    assert 0.6 * 0.5 - 1e-6 <= gap[0] <= 1.6 * 0.5 + 1e-6


def test_a_transcriber_loses_few_notes_and_invents_few() -> None:
    counts = [len(imitate(score(), np.random.default_rng(seed)).notes) for seed in range(40)]
    whole = len(score().notes)
    # Now and then one hand is all that is left.
    assert 0.3 * whole < min(counts)
    assert np.mean(np.array(counts) < 0.7 * whole) < 0.3
    assert max(counts) < 2 * whole
    assert 0.9 * whole < np.median(counts) < 1.3 * whole


def test_what_a_transcriber_made_only_changes_its_key() -> None:
    given = score().notes
    for seed in range(10):
        notes = imitate(score(), np.random.default_rng(seed), faulty=False).notes
        assert len(set((notes[:, 2] - given[:, 2]).tolist())) == 1
        np.testing.assert_array_equal(notes[:, [0, 1, 3]], given[:, [0, 1, 3]])


def test_drums_are_heard_as_notes_where_they_sound() -> None:
    times = np.arange(0, 20, 0.5)

    def drummed() -> Rhythm:
        piece = score()
        piece.notes = piece.notes[:0]
        piece.drums = np.stack([times, np.zeros(len(times)), np.full(len(times), 100)], 1).astype(np.float32)
        return piece

    heard = [imitate(drummed(), np.random.default_rng(seed)) for seed in range(10)]
    notes = np.concatenate([one.notes for one in heard if len(one.notes)])
    # They are told besides, where nothing else is.
    for one in heard:
        assert one.drums[:, 0].size == 0 or nearest(one.drums[:, 0], times).max() < 0.06
    assert np.mean([len(one.drums) for one in heard]) > 0.6 * len(times)
    assert len(notes) > 50
    assert np.mean(nearest(notes[:, 0], times) < 0.06) > 0.7
