from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train.score.batches import Batches, example, excerpt, interpreted, varied
from train.score.corpus import TICKS, UNSPELLED, WRITTEN, Performed, load, save, split_of, written
from train.score.growing import grown
from train.score.inventions import invent
from train.score.losses import losses, validate
from transcribe.score.features import LENGTHS, N_FEATURES, PHASES, bars_of
from transcribe.score.network import ScoreConfig, ScoreNetwork

BEATS = [0.5 * k for k in range(65)]
SMALL = ScoreConfig(8, (1, 2), 0.0)


def eighths() -> Performed:
    """Two hands in eighths, exactly played, without a triplet."""
    rows, place, staff = [], [], []
    for k in range(120):
        for pitch, own in ((40 + k % 3, 2), (70 + k % 5, 1)):
            rows.append((0.25 * k, 0.25 * k + 0.2, pitch, 64))
            place.append(k * TICKS // 2)
            staff.append(own)
    n = len(rows)
    bars = bars_of(BEATS, BEATS[::4], ())
    return Performed(
        "a__b", "train", np.array(rows, float), np.array(place), np.full(n, TICKS // 2), np.array(staff), bars,
        np.full(n, UNSPELLED), 0,
    )  # fmt: skip


def test_targets_are_what_the_score_says() -> None:
    features, phase, length, staff = example(eighths())
    assert features.shape == (240, N_FEATURES)
    assert [PHASES[i] for i in phase[:6]] == [0, 0, 0.5, 0.5, 0, 0]
    assert {LENGTHS[i] for i in length} == {0.5}
    assert staff[:4].tolist() == [0, 1, 0, 1]


def test_what_is_not_known_is_no_target() -> None:
    piece = eighths()
    unknown = replace(piece, place=np.full(240, -1), length=np.full(240, -1), staff=np.zeros(240, int))
    assert all((told == -1).all() for told in example(unknown)[1:])


@pytest.mark.parametrize("seed", range(12))
def test_excerpts_and_other_levels_keep_places_near_where_they_are_played(seed: int) -> None:
    rng = np.random.default_rng(seed)
    piece = varied(excerpt(eighths(), 64, rng), rng)
    at = np.interp(piece.notes[:, 0], piece.bars.beats, np.arange(len(piece.bars.beats)))
    known = piece.place >= 0
    assert known.mean() > 0.8
    assert np.abs(at - piece.place / TICKS)[known].max() < 0.35


def test_made_up_music_is_written_as_it_is_played() -> None:
    for seed in range(8):
        piece = invent(np.random.default_rng(seed))
        at = np.interp(piece.notes[:, 0], piece.bars.beats, np.arange(len(piece.bars.beats)))
        assert np.abs(at - piece.place / TICKS).max() < 0.4
        assert set(piece.staff.tolist()) == {1, 2}
        assert piece.notes[piece.staff == 1, 2].mean() > piece.notes[piece.staff == 2, 2].mean()


SCORE = """<score-partwise><part-list/><part id="P1"><measure number="0">
<attributes><divisions>2</divisions><key><fifths>-1</fifths></key><time><beats>3</beats><beat-type>4</beat-type></time>
</attributes><note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration><staff>1</staff></note></measure>
<measure number="1"><note><pitch><step>B</step><alter>-1</alter><octave>4</octave></pitch><duration>3</duration>
<staff>1</staff></note><note><pitch><step>C</step><octave>5</octave></pitch><duration>3</duration><staff>1</staff></note>
<backup><duration>6</duration></backup><note><pitch><step>F</step><octave>3</octave></pitch><duration>6</duration>
<staff>2</staff></note></measure><measure number="2"><note><pitch><step>A</step><octave>4</octave></pitch>
<duration>6</duration><staff>1</staff></note></measure></part></score-partwise>"""


def test_a_score_is_read_as_if_a_machine_played_it(tmp_path: Path) -> None:
    path = tmp_path / "song.musicxml"
    path.write_text(SCORE)
    piece = written(path)
    assert piece is not None
    assert (piece.split, piece.notes[:, 2].tolist()) == (WRITTEN, [72, 53, 70, 72, 69])
    # The pick-up is the third beat of its bar.
    assert (piece.place / TICKS).tolist() == [2, 3, 3, 4.5, 6]
    assert (piece.length / TICKS).tolist() == [1, 3, 1.5, 1.5, 3]
    assert piece.staff.tolist() == [1, 2, 1, 1, 1]
    assert piece.bars.number.tolist()[:4] == [0, 1, 2, 0]
    path.write_text(SCORE.replace("<staff>2", "<staff>1"))
    assert written(path) is None


@pytest.mark.parametrize("seed", range(4))
def test_what_nobody_plays_is_played_near_where_it_is_written(seed: int) -> None:
    piece = interpreted(replace(eighths(), split=WRITTEN), np.random.default_rng(seed))
    at = np.interp(piece.notes[:, 0], piece.bars.beats, np.arange(len(piece.bars.beats)))
    assert np.abs(at - piece.place / TICKS).max() < 0.3
    assert (np.diff(piece.notes[:, 0]) >= 0).all()


def test_a_grown_network_tells_the_same() -> None:
    torch.manual_seed(0)
    small = ScoreNetwork(SMALL).eval()
    large = grown(small, ScoreConfig(12, (1, 2, 4), 0.1)).eval()
    features = torch.randn(1, 40, N_FEATURES)
    with torch.inference_mode():
        for here, there in zip(small(features).activations(), large(features).activations(), strict=True):
            torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="doesn't grow"):
        grown(small, ScoreConfig(4, (1, 2), 0.1))


def test_a_step_is_the_same_again_and_another_one_differs() -> None:
    batches = Batches([eighths()], 3, 48, 7, torch.device("cpu"))
    first, again, other = batches(4, 0), batches(4, 0), batches(5, 0)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert set(losses(ScoreNetwork(SMALL), first)) == {"phase", "length", "right"}


def test_a_corpus_comes_back(tmp_path: Path) -> None:
    piece = replace(eighths(), split=split_of("a"))
    save(tmp_path / "corpus.npz", [piece])
    (back,) = load(tmp_path / "corpus.npz")
    assert (back.name, back.split) == (piece.name, piece.split)
    np.testing.assert_array_equal(back.place, piece.place)
    np.testing.assert_array_equal(back.bars.number, piece.bars.number)


def test_shares_are_counted_where_something_is_known() -> None:
    figures = validate(ScoreNetwork(SMALL).eval(), [eighths()])
    assert set(figures) == {"phase", "length", "hand"}
    assert all(0 <= value <= 1 for value in figures.values())
