"""Bands: parts, who plays them and how, and what is written; sounds come from a stub, so that no font is needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

import numpy as np
import pretty_midi
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.signals import RATE
from train.synthesis import bands, players, samplers, scores, singers
from train.synthesis.fonts import Font, Timbre
from train.synthesis.players import STEP, Played
from train.synthesis.recorder import Studio
from train.synthesis.scores import Part
from train.synthesis.solos import SOUNDS
from transcribe.notes.datasets import read_labels
from transcribe.theory.families import FAMILIES, FAMILY_OF_PROGRAM

NO_PEDAL = np.zeros((0, 2))
MELODY = Part(np.array([[0.5 * k, 0.5 * k + 0.5, 60 + k, 64] for k in range(8)], float), NO_PEDAL, 73)
CHORDS = Part(np.array([[k // 3, k // 3 + 0.9, (48, 52, 67)[k % 3], 64] for k in range(12)], float), NO_PEDAL)
DRUMS = Part(np.array([[0.5 * k, 0.5 * k + 0.1, (36, 42)[k % 2], 100] for k in range(8)], float), NO_PEDAL, 0, True)


class StubFont:
    """Plays every note as a sine, and drums as clicks."""

    name = "stub"

    def play(self, played: Played, seconds: float, timbre: Timbre, tuning: float = 0.0) -> np.ndarray:
        out = np.zeros(round(seconds * RATE), np.float32)
        for onset, offset, pitch, velocity in played.part.notes:
            first, last = round(onset * RATE), min(round(offset * RATE), len(out))
            frequency = 440 * 2 ** ((pitch - 69) / 12)
            out[first:last] += velocity / 127 * np.sin(2 * np.pi * frequency * np.arange(last - first) / RATE)
        return out


def test_parts_are_cut_and_split_by_hand() -> None:
    assert not MELODY.is_polyphonic
    assert CHORDS.is_polyphonic
    (part,) = scores.cut([MELODY, CHORDS], 3.4, 0.4)
    assert part.notes == pytest.approx(np.array([[0.1, 0.4, 67, 64]]))
    both = scores.merge([MELODY, Part(CHORDS.notes[1:2], np.array([[0.0, 1.0]]))])
    assert sorted(both.notes[:2].tolist()) == [[0, 0.5, 60, 64], [0, 0.9, 52, 64]]
    assert len(both.notes) == 9
    assert both.pedals.tolist() == [[0, 1]]
    high, low = scores.split_melody(CHORDS)
    assert high.notes[:, 2].tolist() == [67] * 4
    assert low.notes[:, 2].tolist() == [48, 52] * 4
    bass = scores.bass_line([CHORDS])
    assert bass.notes[:, 2].tolist() == [36] * 4
    assert bass.notes[:, :2].tolist() == [[0, 0.95], [1, 1.95], [2, 2.95], [3, 3.9]]
    assert FAMILY_OF_PROGRAM[bass.program] == "bass"


def test_movements_of_a_piece_are_on_one_side() -> None:
    sides = {scores.is_validation(Path(f"sets/Brahms_Op.{n}_{movement}.mid")) for movement in range(4) for n in (90,)}
    assert len(sides) == 1
    names = [Path(f"sets/piece{k}.mid") for k in range(1000)]
    assert 30 < sum(map(scores.is_validation, names)) < 100  # one in sixteen


def test_parts_are_read(tmp_path: Path) -> None:
    pytest.importorskip("symusic")
    midi = pretty_midi.PrettyMIDI()
    for program, is_drum in ((73, False), (0, True), (122, False), (0, False)):
        midi.instruments.append(pretty_midi.Instrument(program, is_drum))
    for instrument, key in zip(midi.instruments, (60, 22, 60), strict=False):  # the last has no notes
        instrument.notes = [pretty_midi.Note(80, key, 0.5, 1.0)]
    midi.instruments[0].control_changes = [
        pretty_midi.ControlChange(64, value, time) for value, time in ((127, 0.25), (0, 1.5))
    ]
    midi.write(str(tmp_path / "song.mid"))
    flute, drums = scores.read_parts(tmp_path / "song.mid")  # the seashore is no instrument
    assert (flute.program, flute.is_drums, drums.is_drums) == (73, False, True)
    assert flute.notes == pytest.approx(np.array([[0.5, 1.0, 60, 80]]), abs=1e-3)
    assert flute.pedals == pytest.approx(np.array([[0.25, 1.5]]), abs=1e-3)
    assert drums.notes[0, 2] == 42  # an electronic kit's closed hi-hat


@given(st.integers(0, 10_000))
def test_who_plays_can_play_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for part in (MELODY, CHORDS):
        played = players.cast_part(part, rng)
        assert played is not None
        sound = SOUNDS[played.sound]
        assert played.program in sound.programs
        assert played.family in FAMILIES
        pitches = played.part.notes[:, 2]
        assert ((pitches >= sound.low) & (pitches <= sound.high)).all()
        assert set((pitches - part.notes[: len(pitches), 2]) % 12) <= {0}
        assert sound.chords or not part.is_polyphonic


@given(st.integers(0, 10_000))
def test_people_play_nearly_what_is_written(seed: int) -> None:
    rng = np.random.default_rng(seed)
    played = players.humanised(Played(CHORDS, "acoustic guitar", 24), rng, 0.01)
    notes = played.part.notes
    assert (notes[:, 1] > notes[:, 0]).all()
    assert (notes[:, 0] >= 0).all()
    assert (np.diff(notes[:, 0]) >= 0).all()
    assert ((notes[:, 3] >= 12) & (notes[:, 3] <= 127)).all()
    written = np.sort(CHORDS.notes[:, 0])
    assert np.abs(np.sort(notes[:, 0]) - written).max() < 0.15
    touched = players.touched(Played(MELODY, "violin", 40), rng, 5.0)
    assert touched.cents is not None
    assert touched.loudness is not None
    assert np.abs(touched.cents).max() <= 195
    assert touched.loudness.min() > 0
    assert touched.loudness.max() <= 1


def test_chords_share_their_touch_with_nobody() -> None:
    played = players.touched(Played(CHORDS, "string section", 48), np.random.default_rng(0), 5.0)
    assert played.cents is None


def test_tempo_changes_alike_for_all() -> None:
    melody, drums = players.warped([MELODY, DRUMS], np.random.default_rng(3))
    assert melody.notes[:, 0] == pytest.approx(drums.notes[:, 0])
    assert not np.allclose(melody.notes[:, 0], MELODY.notes[:, 0])


def test_labels_end_when_a_sound_has_died_away() -> None:
    held = Part(np.array([[1.0, 9.0, 72, 64]]), NO_PEDAL)
    assert Played(held, "mallets", 13).labels[0, 1] == 1.5
    assert Played(held, "flute", 73).labels[0, 1] == 9.0


def spectral_peak(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8 * len(samples)))
    return float(np.argmax(spectrum) * RATE / (8 * len(samples)))


@pytest.mark.parametrize("cents", [0.0, 100.0])
def test_a_recorded_note_plays_others(cents: float) -> None:
    time = np.arange(2 * RATE * 2) / (2 * RATE)
    recorded = samplers.Recorded(69.0, np.sin(2 * np.pi * 440 * time).astype(np.float32))
    bend = np.full(200, cents)
    played = Played(Part(np.array([[0.5, 1.5, 71, 127]]), NO_PEDAL), "violin", 40, bend)
    assert samplers.can_play([recorded], played)
    sound = samplers.play([recorded], played, 2.0, np.random.default_rng(0))
    assert not sound[: RATE // 2].any()
    assert spectral_peak(sound[RATE * 6 // 10 : RATE * 14 // 10]) == pytest.approx(
        440 * 2 ** ((200 + cents) / 1200), rel=0.002
    )
    far = Played(Part(np.array([[0.5, 1.5, 80, 127]]), NO_PEDAL), "violin", 40)
    assert not samplers.can_play([recorded], far)


@pytest.mark.parametrize("seed", range(3))
def test_a_singer_is_silent_between_notes_and_in_tune_within_them(seed: int) -> None:
    notes = np.array([[0.5, 2.0, 57, 100], [3.0, 4.0, 64, 100]])
    sung = singers.sing(Played(Part(notes, NO_PEDAL), "voice", 52), 5.0, np.random.default_rng(seed))
    assert len(sung) == 5 * RATE
    levels = [float(np.sqrt(np.mean(sung[int(a * RATE) : int(b * RATE)] ** 2))) for a, b in ((0.9, 1.9), (2.3, 2.7))]
    assert levels[0] > 20 * levels[1]
    # The fundamental by autocorrelation, within a vibrato of half a semitone.
    vowel = sung[int(1.0 * RATE) : int(1.9 * RATE)].astype(float)
    correlation = np.correlate(vowel, vowel, "full")[len(vowel) - 1 :]
    period = 40 + int(np.argmax(correlation[40:160]))
    assert RATE / period == pytest.approx(220, rel=0.05)


def test_a_singer_hums_some_notes_before_their_vowel() -> None:
    notes = np.array([[0.4, 0.7, 57, 100]])
    n_hummed = 0
    for seed in range(8):
        sung = singers.sing(Played(Part(notes, NO_PEDAL), "voice", 52), 0.8, np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(sung[: int(0.39 * RATE)])) ** 2
        # Noise has most of its power far above the 220 Hz of the note, a hum has it below 500 Hz.
        n_hummed += power[: int(0.39 * 500)].sum() > 0.5 * power.sum() > 0
    assert 0 < n_hummed < 8


def options(**more: object) -> argparse.Namespace:
    shares = {f"{name}_share": 0.0 for name in ("alone", "silent", "drummer", "kept", "together")}
    return argparse.Namespace(**{**shares, "performed": [], "families": FAMILIES, **more})


@pytest.fixture
def song(monkeypatch: pytest.MonkeyPatch) -> Path:
    def longer(part: Part) -> Part:
        rounds = [part.notes + np.array([4 * k, 4 * k, 0, 0]) for k in range(20)]
        return Part(np.concatenate(rounds), part.pedals, part.program, part.is_drums)

    whole = tuple(map(longer, (MELODY, CHORDS, DRUMS)))
    monkeypatch.setattr(scores, "read_parts", lambda path: whole)
    return Path("songs/song.mid")


SOUNDS_OF_STUB = bands.Sounds([cast(Font, StubFont())], [cast(Font, StubFont())])


def test_what_is_written_is_what_is_played(song: Path, tmp_path: Path) -> None:
    names = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        band, piece = bands.make([[song]], [], rng, SOUNDS_OF_STUB, Studio(), options())
        assert piece == "songs/song.mid"
        bands.write_pair(tmp_path, f"{seed}", band, {"piece": piece})
        samples, rate = soundfile.read(tmp_path / f"{seed}.flac")
        assert rate == RATE
        seconds = len(samples) / rate
        assert bands.SHORTEST <= seconds <= bands.LONGEST
        heard = read_labels(tmp_path / f"{seed}.mid")
        assert heard.notes or heard.drums
        assert all(0 <= note.onset < note.offset <= seconds + 0.01 for note in heard.notes)
        about = json.loads((tmp_path / f"{seed}.json").read_text())
        families = {family for family, *_ in about["parts"]} - {"drums"}
        assert {note.instrument or "piano" for note in heard.notes} == families
        assert {stroke.label for stroke in heard.drums} <= {"bass drum", "hi-hat"}
        names |= families
    assert len(names) > 3
    assert not list(tmp_path.glob("*.part"))


def test_the_same_seed_gives_the_same(song: Path) -> None:
    first, second = (
        bands.make([[song]], [], np.random.default_rng(4), SOUNDS_OF_STUB, Studio(), options())[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first.samples, second.samples)


def test_a_pianist_has_both_hands(song: Path) -> None:
    chosen = options(together_share=1.0, families=("piano",))
    for seed in range(3):
        made, _ = bands.make([[song]], [], np.random.default_rng(seed), SOUNDS_OF_STUB, Studio(), chosen)
        assert [part.family for part in made.parts] == ["piano"]
        assert made.parts[0].part.is_polyphonic


def test_nobody_plays_in_noise(song: Path, tmp_path: Path) -> None:
    made = bands.make([[song]], [], np.random.default_rng(0), SOUNDS_OF_STUB, Studio(), options(silent_share=1.0))
    assert made[0].parts == ()
    bands.write_pair(tmp_path, "noise", made[0], {"piece": made[1]})
    heard = read_labels(tmp_path / "noise.mid")
    assert (heard.notes, heard.drums) == ((), ())


FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


@pytest.mark.skipif(not FONT.exists(), reason="needs Debian's timgm6mb-soundfont")
def test_a_font_plays_in_tune_and_in_time() -> None:
    pytest.importorskip("fluidsynth")
    font = Font(FONT)
    notes = np.array([[0.5, 1.5, 69, 100]])
    for cents in (0.0, 30.0):
        bend = np.zeros(round(2 / STEP))
        sound = font.play(Played(Part(notes, NO_PEDAL), "flute", 73, bend), 2.0, Timbre(semitones=3), cents)
        assert len(sound) == 2 * RATE
        assert np.abs(sound[: RATE // 2 - 64]).max() < 1e-3
        assert np.abs(sound[RATE * 6 // 10 :]).max() > 0.01
        assert spectral_peak(sound[RATE * 7 // 10 : RATE * 14 // 10]) == pytest.approx(
            440 * 2 ** (cents / 1200), rel=0.004
        )
