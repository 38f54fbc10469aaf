from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.synthesis import arrangements
from train.synthesis.arrangements import to_lab
from train.synthesis.songs import Song, bass_line, excerpt, fretted, made_up, rested, songs_of, vary, voicing
from transcribe.chords.decoder import QUALITIES, class_of
from transcribe.formats.lab import from_lab
from transcribe.theory.chords import NO_CHORD, Label, parse

BEATS = np.arange(0.0, 16.0, 0.5)
SONG = Song(
    [(0.0, 2.0, NO_CHORD), (2.0, 6.0, parse("C:maj/3")), (6.0, 16.0, parse("A:min7"))],
    BEATS,
    {"MELODY": [(2.0, 3.0, 64, 90), (7.0, 8.0, 69, 80)], "PIANO": [(2.0, 5.0, 60, 70)]},
)


@given(st.sampled_from(QUALITIES), st.integers(0, 11), st.integers(3, 6), st.integers(0, 99))
def test_a_voicing_holds_the_chord_and_nothing_else(quality: str, root: int, n_notes: int, seed: int) -> None:
    label = Label(root, quality)
    pitches = voicing(label, 45, 73, n_notes, np.random.default_rng(seed))
    assert {pitch % 12 for pitch in pitches} == label.pitch_classes
    assert pitches == sorted(pitches)


@pytest.mark.parametrize(
    ("label", "fret", "pitches"),
    [
        ("C:maj", 0, [48, 52, 55, 60, 64]),  # x32010
        ("G:maj", 0, [43, 47, 50, 55, 59, 67]),  # 320003
        ("E:7", 0, [40, 47, 50, 56, 59, 64]),  # 020100
        ("B:min", 2, [47, 54, 59, 62, 66]),  # x24432
        ("G#:min", 4, [44, 51, 56, 59, 63, 68]),  # 466444
        ("C:maj/5", 0, [43, 48, 52, 55, 60, 64]),  # 332010
        ("A#:maj6", 1, None),  # no four frets have all four of its tones above the root
    ],
)
def test_chords_are_fingered_as_guitarists_do(label: str, fret: int, pitches: list[int] | None) -> None:
    assert fretted(parse(label), fret) == pitches


def test_everybody_pauses() -> None:
    for seed in range(10):
        song = rested(SONG, np.random.default_rng(seed))
        assert [off for _, off, _ in song.chords[:-1]] == [on for on, _, _ in song.chords[1:]]
        assert song.chords[-1][1] == SONG.chords[-1][1]
        rests = [(on, off) for on, off, label in song.chords if label == NO_CHORD and on >= 2.0]
        assert all(0.25 <= off - on <= 2.0 for on, off in rests)
        for on, off, *_ in (note for track in song.tracks.values() for note in track):
            assert not any(on < end and off > start for start, end in rests)
    assert any(len(rested(SONG, np.random.default_rng(seed)).chords) > 3 for seed in range(10))


@pytest.mark.parametrize("maker", ["strummed", "picked", "held", "comped", "bass_line"])
def test_parts_play_the_chord_that_sounds(maker: str) -> None:
    for seed in range(5):
        notes = getattr(arrangements, maker)(SONG, np.random.default_rng(seed))
        assert notes
        for onset, offset, pitch, velocity in notes:
            (label,) = [label for on, off, label in SONG.chords if on - 1e-9 <= onset < off]
            assert label.root is not None, "no chord, no notes"
            assert pitch % 12 in label.pitch_classes
            assert onset < offset
            assert 0 < velocity < 128
    lowest = min(pitch for onset, _, pitch, _ in bass_line(SONG, np.random.default_rng(0)) if onset == 2.0)
    assert lowest % 12 == 4  # C/3 stands on E


def test_a_song_varied_keeps_chords_and_tracks_together() -> None:
    for seed in range(10):
        varied = vary(SONG, np.random.default_rng(seed), enriched=0.0)
        root = varied.chords[2][2].root
        assert root is not None
        semitones = (root - 9) % 12
        stretch = varied.chords[1][0] / 2.0
        assert 0.85 <= stretch <= 1.2
        assert varied.chords[1][2] == parse("C:maj/3").transposed(semitones)
        assert varied.beats == pytest.approx(BEATS * stretch)
        assert (varied.tracks["PIANO"][0][2] - 60) % 12 == semitones
    richer = [vary(SONG, np.random.default_rng(seed), enriched=1.0) for seed in range(30)]
    assert all("PIANO" not in song.tracks for song in richer)
    assert any(song.chords[1][2].quality != "maj" for song in richer)


def test_an_excerpt_begins_at_nought() -> None:
    cut = excerpt(SONG, 1.0, 6.0)
    assert [(on, off, str(label)) for on, off, label in cut.chords] == [
        (0.0, 1.0, "N"), (1.0, 5.0, "C:maj/3"), (5.0, 6.0, "A:min7")
    ]  # fmt: skip
    assert cut.tracks["MELODY"] == [(1.0, 2.0, 64, 90)]
    assert cut.beats[0] == 0.0


def test_made_up_songs_abut_and_can_be_trained_on() -> None:
    for seed in range(10):
        song = made_up(30.0, np.random.default_rng(seed))
        assert song.chords[0][0] == 0.0
        assert all(a[1] == pytest.approx(b[0]) for a, b in zip(song.chords, song.chords[1:], strict=False))
        assert all(class_of(label) is not None for _, _, label in song.chords)
        lab = to_lab(song.chords, 30.0)
        assert len(from_lab(lab.encode()).chords) == len(song.chords)


def test_songs_are_split_by_song(tmp_path: Path) -> None:
    for number in range(1, 40):
        (tmp_path / f"{number:03d}.mid").touch()
    parts = [set(songs_of(tmp_path, use)) for use in ("train", "validation", "test")]
    assert sum(len(part) for part in parts) == 39
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[0] & parts[2]
