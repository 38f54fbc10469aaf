"""Scores played by the simulated performer: what is written, and that the split holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from train.synthesis import recitals
from train.synthesis.performances import read_midi
from train.synthesis.scores import is_validation


def write_score(path: Path, n_notes: int = 80, metre: bool = True) -> None:
    """Write quarters in 4/4 at 120, an ascending scale over and over."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=120)
    if metre:
        midi.time_signature_changes = [pretty_midi.TimeSignature(4, 4, 0.0)]
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(64, 60 + i % 12, 0.5 * i, 0.5 * i + 0.45) for i in range(n_notes)]
    midi.instruments = [piano]
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.write(str(path))


def test_a_score_becomes_a_performance_with_its_notes_at_times_of_its_own(tmp_path: Path) -> None:
    write_score(tmp_path / "lieder" / "song.mid")
    played = [recitals.perform(tmp_path / "lieder" / "song.mid", np.random.default_rng(i)) for i in range(8)]
    for performance in played:
        assert performance is not None
        assert len(performance.notes) >= 70  # ornaments are added, and what is played twice at once is one
        assert (performance.notes[:, 1] > performance.notes[:, 0]).all()
        assert performance.pedals is not None
    lengths = {round(performance.duration, 2) for performance in played if performance}
    assert len(lengths) == len(played)
    assert {bool(len(p.pedals)) for p in played if p is not None and p.pedals is not None} == {True, False}


@pytest.mark.parametrize(("n_notes", "metre"), [(20, True), (80, False)])
def test_what_has_no_metre_or_next_to_no_notes_is_left_out(tmp_path: Path, n_notes: int, metre: bool) -> None:
    write_score(tmp_path / "song.mid", n_notes, metre)
    if not metre:  # pretty_midi writes 4/4 where nobody asks
        path = tmp_path / "song.mid"
        path.write_bytes(path.read_bytes().replace(b"\xff\x58\x04", b"\xff\x01\x04"))
    assert recitals.perform(tmp_path / "song.mid", np.random.default_rng(0)) is None


def test_the_pieces_of_a_side_are_written_and_no_others(tmp_path: Path) -> None:
    names = [f"song number {i}" for i in range(40)]
    for name in names:
        write_score(tmp_path / "lieder" / f"{name}.mid")
    for split in ("train", "validation"):
        arguments = ["--scores", str(tmp_path / "lieder"), "--out", str(tmp_path / split), "--split", split]
        recitals.main([*arguments, "--each", "5", "--seed", "1"])
        written = sorted((tmp_path / split).glob("*.mid"))
        assert 0 < len(written) <= 5
        for path in written:
            source = tmp_path / "lieder" / f"{path.stem.removeprefix('lieder-')}.mid"
            assert is_validation(source) == (split == "validation")
            assert len(read_midi(path).notes) > 60
