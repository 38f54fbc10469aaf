from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import pluck
from train.synthesis import banks
from train.synthesis.performances import Performance
from train.synthesis.piano import SAMPLE_RATE, load_pianos, play

SFZ = """
// a piano
#define $QUIET 64
<control> default_path=samples/
<global> ampeg_release=0.5
<group> hivel=$QUIET
<region> sample=soft one.wav lokey=c3 hikey=e4 pitch_keycenter=c4
<group> lovel=65
#include "loud.txt"
<group> trigger=release
<region> sample=up.wav key=60
<region> sample=*silence key=61
"""


@pytest.fixture
def sfz(tmp_path: Path) -> Path:
    (tmp_path / "samples").mkdir()
    for name, rate in (("soft one", 44100), ("loud", 22050), ("again", 22050), ("up", 44100)):
        samples = np.concatenate([np.zeros(rate // 10), pluck(60, 1.0, rate)])
        soundfile.write(tmp_path / "samples" / f"{name}.wav", samples, rate)
    (tmp_path / "loud.txt").write_text(
        "<region> sample=loud.wav key=60 seq_position=1\n<region> sample=again.wav key=60 seq_position=2\n"
    )
    (tmp_path / "piano.sfz").write_text(SFZ)
    return tmp_path / "piano.sfz"


def test_regions_of_an_sfz_file(sfz: Path) -> None:
    folder = sfz.parent / "samples"
    assert banks.read_sfz(sfz) == [
        banks.Region(folder / "soft one.wav", 60, 1),
        banks.Region(folder / "loud.wav", 60, 65),
        banks.Region(folder / "up.wav", 60, 1, release=True),
    ]


def test_a_bank_is_written_and_played(sfz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["banks", "sfz", str(sfz), "--out", str(tmp_path / "bank")])
    banks.main()
    (piano,) = load_pianos(tmp_path / "bank")
    assert [(sample.pitch, sample.dynamic) for sample in piano.samples] == [(60, 0.25), (60, 0.75)]
    assert len(piano.releases) == 1
    samples, rate = soundfile.read(tmp_path / "bank" / "060_01_attack.flac")
    assert rate == SAMPLE_RATE
    assert np.argmax(np.abs(samples) > 0.01) < 100  # the silence is gone
    notes = np.array([[0.1, 0.4, 60, 90]])
    played = play(piano, Performance(notes, np.zeros((0, 2))), 1.0, np.random.default_rng(0))
    assert np.abs(played).max() > 0


@pytest.mark.parametrize(("name", "pitch"), [("60", 60), ("c4", 60), ("Bb3", 58), ("f#-1", 6), ("A0", 21)])
def test_notes_by_name(name: str, pitch: int) -> None:
    assert banks.parse_note(name) == pitch


def test_names_that_say_nothing_and_files_that_do(tmp_path: Path) -> None:
    assert banks.read_files([Path("Piano.ff.Gb4.aiff")]) == [banks.Region(Path("Piano.ff.Gb4.aiff"), 66, 1)]
    assert banks.read_files([Path("guitar_As2_very-long_forte_normal.ogg")])[0].pitch == 46
    with pytest.raises(ValueError, match="no note in its name"):
        banks.read_files([Path("Piano.ff.aiff")])
    with pytest.raises(ValueError, match="no note"):
        banks.parse_note("h2")
    with pytest.raises(ValueError, match="no sample"):
        banks.write_bank([(banks.Region(Path("a"), 60, 1), np.zeros(10))], tmp_path / "none")
