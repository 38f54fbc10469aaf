from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.signals import pluck, sine
from train.synthesis import performances, recorder, render
from train.synthesis.performances import Performance
from train.synthesis.piano import (
    ATTACK,
    LAST_DAMPERS,
    OVERSAMPLING,
    SAMPLE_RATE,
    Piano,
    Voicing,
    attack_time,
    load_pianos,
    play,
    sounding,
)
from transcribe.events import Note, Pedal, Transcription
from transcribe.formats.midi import from_midi, to_midi
from transcribe.notes.datasets import read_labels


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of plucked strings, a sample every sixth key."""
    folder = tmp_path_factory.mktemp("pianos") / "strings"
    folder.mkdir()
    lines = ["file,pitch,velocity_layer,microphone,duration_s,original_peak,original_rms_first_half_second"]
    for pitch in range(24, 109, 6):
        for layer in (1, 2):
            soundfile.write(folder / f"{pitch}_{layer}.flac", pluck(pitch, 3.0), SAMPLE_RATE)
            lines.append(f"{pitch}_{layer}.flac,{pitch},{layer},,3.0,1.0,0.1")
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def piano(bank: Path) -> Piano:
    (piano,) = load_pianos(bank)
    return piano


def attack(samples: np.ndarray) -> float:
    """When the sound first reaches a tenth of its loudest, in seconds."""
    size = np.abs(samples)
    return float(np.argmax(size > 0.1 * size.max()) / SAMPLE_RATE)


@pytest.mark.parametrize("pitch", [48, 60, 77, 96, 107])
@pytest.mark.parametrize("velocity", [10, 64, 127])
def test_the_label_stands_where_the_sound_starts(
    piano: Piano, pitch: int, velocity: int, rng: np.random.Generator
) -> None:
    onset = 0.51234
    notes = np.array([[onset, 1.5, pitch, velocity]])
    samples = play(piano, Performance(notes, np.zeros((0, 2))), 2.0, rng)
    assert attack(samples) == pytest.approx(onset, abs=5e-3)
    recorded = recorder.record(samples, SAMPLE_RATE, rng, clean=0.0)
    assert len(recorded) == len(samples)


@pytest.mark.parametrize("pitch", [45, 57, 69, 81])
def test_pitch_within_the_tuning_that_is_drawn(piano: Piano, pitch: int, rng: np.random.Generator) -> None:
    samples = play(piano, Performance(np.array([[0.0, 2.0, pitch, 100]]), np.zeros((0, 2))), 2.0, rng)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
    frequency = np.argmax(spectrum) * SAMPLE_RATE / (1 << 17)
    cents = 1200 * np.log2(frequency / (440 * 2 ** ((pitch - 69) / 12)))
    assert abs(cents) < 60


def test_dampers_and_the_pedal(piano: Piano) -> None:
    notes = np.array([[0.0, 0.5, 60, 100]])

    def energy_after(pedals: np.ndarray) -> float:
        samples = play(piano, Performance(notes, pedals), 2.0, np.random.default_rng(1))
        return float(np.sqrt(np.mean(samples[int(1.2 * SAMPLE_RATE) : int(1.5 * SAMPLE_RATE)] ** 2)))

    held, damped = energy_after(np.array([[0.3, 1.8]])), energy_after(np.zeros((0, 2)))
    assert held > 30 * damped


PLAIN = replace(
    Voicing.draw(np.random.default_rng(0)),
    cents=np.zeros(128),
    decibels=np.zeros(128),
    doubled=np.zeros(128),
    dead=np.zeros(128, bool),
    damping=np.where(np.arange(128) <= LAST_DAMPERS[0], 0.1, np.inf),
    knock=0.0,
    ring=0.0,
    half_pedal=0.0,
    lift=(40.0, 90.0),
)


def level(piano: Piano, performance: Performance, first: float, last: float) -> float:
    """How loud a performance is between two moments, in dB."""
    samples = play(piano, performance, 3.0, np.random.default_rng(1), PLAIN)
    power = np.mean(samples[int(first * SAMPLE_RATE) : int(last * SAMPLE_RATE)] ** 2)
    return float(10 * np.log10(power + 1e-30))


@pytest.mark.parametrize(
    ("moves", "nepers"),
    [
        ([[0.0, 127]], 0.0),
        ([[0.0, 90], [1.0, 127]], 0.0),
        ([[0.0, 65]], 0.5**3 * 0.5 / 0.1),  # half way: an eighth of what the damper does, for half a second
        ([[0.0, 65], [0.75, 90]], 0.5**3 * 0.25 / 0.1),
        ([[0.7, 100]], 0.2 / 0.1),  # the key comes up at 0.5, and 0.2 s later the pedal catches what is left
    ],
)
def test_the_pedal_damps_as_far_as_it_is_up(piano: Piano, moves: list[list[float]], nepers: float) -> None:
    notes = np.array([[0.0, 0.5, 60, 100]])
    free = level(piano, Performance(np.array([[0.0, 3.0, 60, 100]]), None), 1.0, 1.02)
    damped = level(piano, Performance(notes, np.zeros((0, 2)), np.array(moves)), 1.0, 1.02)
    tolerance = 0.05 if nepers in (0.0, 2.0) or len(moves) > 1 else 0.2  # it goes on falling while it is measured
    assert free - damped == pytest.approx(20 * np.log10(np.e) * nepers, abs=tolerance)


def test_the_treble_has_no_dampers_and_those_of_the_bass_are_slow(piano: Piano) -> None:
    def fallen(key: int) -> float:
        notes = [np.array([[0.0, end, key, 100]]) for end in (2.9, 0.3)]
        free, damped = (level(piano, Performance(each, np.zeros((0, 2))), 0.8, 1.0) for each in notes)
        return free - damped

    assert fallen(LAST_DAMPERS[0] + 1) == pytest.approx(0.0, abs=0.01)
    assert fallen(LAST_DAMPERS[0]) > 40
    last = [np.flatnonzero(np.isfinite(Voicing.draw(np.random.default_rng(i)).damping))[-1] for i in range(200)]
    assert (min(last), max(last)) == LAST_DAMPERS
    damping = np.array([Voicing.draw(np.random.default_rng(i)).damping for i in range(200)])
    assert 2.5 < np.median(damping[:, 24] / damping[:, 72]) < 6
    assert 0.03 < np.median(damping[:, 60]) < 0.12


def test_moves_of_the_pedal_are_read_cut_and_written(tmp_path: Path) -> None:
    moves = np.array([[0.0, 0], [0.4, 30], [0.5, 70], [1.0, 100], [1.5, 60], [2.0, 10], [2.5, 127]])
    notes = np.array([[0.2, 2.8, 60, 80], [1.2, 3.0, 64, 80]])
    render.write_pair(tmp_path, "a", np.zeros(4 * SAMPLE_RATE, np.float32), Performance(notes, None, moves))
    read = performances.read_midi(tmp_path / "a.mid")
    assert read.moves is not None
    assert read.pedals is not None
    np.testing.assert_allclose(read.moves, moves, atol=1e-3)
    np.testing.assert_allclose(read.pedals, [[0.5, 1.5], [2.5, 3.0]], atol=1e-3)
    cut = performances.excerpt(read, 0.8, 2.0)
    assert cut.moves is not None
    assert cut.pedals is not None
    left = np.array([[0, 70], [0.2, 100], [0.7, 60], [1.2, 10], [1.7, 127], [2, 0]])
    np.testing.assert_allclose(cut.moves, left, atol=1e-3)
    render.write_pair(tmp_path, "b", np.zeros(4 * SAMPLE_RATE, np.float32), cut)
    again = performances.read_midi(tmp_path / "b.mid").pedals
    assert again is not None
    np.testing.assert_allclose(again, cut.pedals, atol=1e-3)


def test_louder_touch_is_louder(piano: Piano) -> None:
    levels = []
    for velocity in (20, 60, 100, 127):
        notes = np.array([[0.0, 1.0, 60, velocity]])
        samples = play(piano, Performance(notes, np.zeros((0, 2))), 1.0, np.random.default_rng(2))
        levels.append(float(np.abs(samples).max()))
    assert levels == sorted(levels)
    assert levels[-1] > 4 * levels[0]


def test_the_same_seed_gives_the_same_samples(piano: Piano) -> None:
    performance = performances.exercise(10.0, np.random.default_rng(3))
    first, second = (render.render(piano, performance, 12.0, np.random.default_rng(4))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("column", ["original_rms_first_half_second", "original_peak"])
def test_keys_keep_their_loudness_beside_each_other(tmp_path: Path, column: str) -> None:
    lines = [f"file,pitch,velocity_layer,microphone,{column}"]
    for pitch in range(36, 97, 12):
        # All as loud as can be; the piano loses 2 dB an octave in its soft layer, 1 in its loud one.
        soundfile.write(tmp_path / f"{pitch}.flac", pluck(pitch, 2.0), SAMPLE_RATE)
        as_peak = float(np.abs(pluck(pitch, 2.0)).max()) / np.sqrt(np.mean(pluck(pitch, 2.0)[: SAMPLE_RATE // 2] ** 2))
        for layer, slope in ((1, -2.0), (2, -1.0)):
            rms = 0.1 * layer * 10 ** (slope * (pitch - 36) / 12 / 20)
            value = rms * (as_peak if column == "original_peak" else 1.0)
            lines.append(f"{pitch}.flac,{pitch},{layer},,{value}")
    (tmp_path / "samples.csv").write_text("\n".join(lines) + "\n")
    (piano,) = load_pianos(tmp_path)
    for dynamic, slope in ((0.25, -2.0), (0.75, -1.0)):
        samples = [s for s in piano.samples if s.dynamic == dynamic]
        levels = np.array([20 * np.log10(np.sqrt(np.mean(s.samples[:SAMPLE_RATE] ** 2))) for s in samples])
        octaves = np.array([s.pitch / 12 for s in samples])
        assert np.polyfit(octaves, levels, 1)[0] == pytest.approx(slope, abs=0.1)
        assert np.mean(levels) == pytest.approx(0.0, abs=0.5)


def test_samples_are_aligned_whatever_silence_is_left_before_them(tmp_path: Path) -> None:
    lines = ["file,pitch,velocity_layer,microphone"]
    for i, silence in enumerate((0.0, 0.004, 0.02)):
        samples = np.concatenate([np.zeros(int(silence * SAMPLE_RATE), np.float32), pluck(60 + i, 2.0)])
        soundfile.write(tmp_path / f"{i}.flac", samples, SAMPLE_RATE)
        lines.append(f"{i}.flac,{60 + i},1,")
    (tmp_path / "samples.csv").write_text("\n".join(lines) + "\n")
    (piano,) = load_pianos(tmp_path)
    times = [attack_time(sample.samples, SAMPLE_RATE * OVERSAMPLING) for sample in piano.samples]
    assert times == pytest.approx([ATTACK] * 3, abs=1e-3)


PIANOS = sorted(Path(os.environ.get("PITCHAI_PIANOS", "/nowhere")).glob("*/samples.csv"))


@pytest.mark.skipif(not PIANOS, reason="PITCHAI_PIANOS names no folder of sampled pianos")
@pytest.mark.parametrize("bank", PIANOS, ids=lambda path: path.parent.name)
def test_the_attack_of_real_banks_is_at_the_label(bank: Path) -> None:
    for piano in load_pianos(bank.parent):
        for pitch in range(49, 109, 4):
            for velocity in (15, 64, 120):
                notes = np.array([[0.5, 1.5, pitch, velocity]])
                voicing = replace(Voicing.draw(np.random.default_rng(pitch)), dead=np.zeros(128, bool), knock=0.0)
                samples = play(piano, Performance(notes, np.zeros((0, 2))), 2.0, np.random.default_rng(0), voicing)
                assert attack_time(samples[SAMPLE_RATE // 2 - 400 :], SAMPLE_RATE) == pytest.approx(0.025, abs=5e-3)


def test_half_a_pedal_brakes_and_the_ring_goes_on(piano: Piano) -> None:
    performance = Performance(np.array([[0.0, 0.4, 60, 100]]), np.array([[0.2, 1.9]]))
    plain = replace(
        Voicing.draw(np.random.default_rng(0)), dead=np.zeros(128, bool), knock=0.0, ring=0.0, half_pedal=0.0
    )

    def energy_late(voicing: Voicing) -> float:
        samples = play(piano, performance, 2.0, np.random.default_rng(1), voicing)
        return float(np.sqrt(np.mean(samples[int(1.3 * SAMPLE_RATE) : int(1.7 * SAMPLE_RATE)] ** 2)))

    held = energy_late(plain)
    assert 0.02 * held < energy_late(replace(plain, half_pedal=1.0, half_damping=0.5)) < 0.5 * held
    assert energy_late(replace(plain, ring=0.1)) > 1.02 * held


def test_dead_keys_knock_and_have_no_label(piano: Piano) -> None:
    dead = np.zeros(128, bool)
    dead[60] = True
    voicing = replace(Voicing.draw(np.random.default_rng(0)), dead=dead, knock=0.0)
    performance = Performance(np.array([[0.1, 0.5, 60, 100], [1.0, 1.5, 64, 100]]), np.zeros((0, 2)))
    samples = play(piano, performance, 2.0, np.random.default_rng(1), voicing)
    assert np.abs(samples[int(0.3 * SAMPLE_RATE) : int(0.9 * SAMPLE_RATE)]).max() == 0
    assert sounding(performance, voicing).notes[:, 2].tolist() == [64]


def test_excerpts_without_music_have_no_notes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "speech.flac", pluck(60, 1.0), SAMPLE_RATE)
    studio = recorder.Studio(voices=[tmp_path / "speech.flac"])
    for seed in range(12):
        samples, performance = render.without_music(2.0, np.random.default_rng(seed), studio)
        assert len(samples) == 2 * SAMPLE_RATE
        assert not len(performance.notes)
        assert performance.pedals is not None


def test_no_piano_is_out_of_tune_by_half_a_semitone() -> None:
    middles = [np.median(Voicing.draw(np.random.default_rng(seed)).cents[48:73]) for seed in range(500)]
    assert 32 < np.abs(middles).max() < 40  # 10 less than half a semitone: a bank may be off itself


def test_pedals_change_after_chords() -> None:
    onsets = np.array([0.0, 0.01, 2.0, 2.02, 4.0, 6.0])
    for seed in range(10):
        spans = performances.syncopated_pedal(onsets, 8.0, np.random.default_rng(seed))
        assert len(spans) == 4
        assert (spans[:, 0] > [0.0, 2.0, 4.0, 6.0]).all()
        assert (np.diff(spans.ravel()) > 0).all()
        assert spans[-1, 1] == 8.0
    assert performances.syncopated_pedal(onsets[:0], 8.0, np.random.default_rng(0)).shape == (0, 2)


@pytest.mark.parametrize("seed", range(30))
def test_recordings_keep_length_and_onsets_and_never_clip(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dry = np.zeros(2 * SAMPLE_RATE, np.float32)
    dry[SAMPLE_RATE // 2 :] = pluck(72, 1.5)
    wet = recorder.record(dry, SAMPLE_RATE, rng, clean=0.0)
    assert wet.dtype == np.float32
    assert len(wet) == len(dry)
    assert 10 ** (-40.1 / 20) <= np.abs(wet).max() <= 1.0
    room = recorder.room(dry, SAMPLE_RATE, rng)
    assert attack(room) == pytest.approx(0.5, abs=5e-3)
    for changed in (
        recorder.equalise(dry, SAMPLE_RATE, rng),
        recorder.narrow(dry, SAMPLE_RATE, rng),
        recorder.saturate(dry, rng),
        recorder.resample(dry, 2),
    ):
        assert attack(changed) == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize("seed", range(8))
def test_careful_recordings_have_hardly_any_noise(seed: int) -> None:
    dry = np.zeros(2 * SAMPLE_RATE, np.float32)
    dry[SAMPLE_RATE // 2 :] = pluck(72, 1.5)
    heard = recorder.record(dry, SAMPLE_RATE, np.random.default_rng(seed), clean=0.0, careful=1.0)
    loudness = np.sqrt(np.mean(heard**2))
    assert 0 < np.sqrt(np.mean(heard[: SAMPLE_RATE * 2 // 5] ** 2)) < loudness * 10 ** (-35 / 20)
    assert attack(heard) == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize("codec", recorder.CODECS)
def test_codecs_add_no_delay(codec: str) -> None:
    dry = np.zeros(3 * SAMPLE_RATE, np.float32)
    for start, pitch in ((0.5, 60), (1.1, 67), (1.9, 76)):
        dry[int(start * SAMPLE_RATE) :] += pluck(pitch, 3 - start)[: len(dry) - int(start * SAMPLE_RATE)]
    coded = recorder.encode(dry, SAMPLE_RATE, codec, np.random.default_rng(0))
    assert len(coded) == len(dry)
    assert attack(coded) == pytest.approx(0.5, abs=5e-3)
    assert np.corrcoef(dry, coded)[0, 1] > 0.9
    assert not recorder.encode(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE, codec, np.random.default_rng(0)).any()


def test_rooms_and_compressors_keep_onsets() -> None:
    rng = np.random.default_rng(0)
    dry = np.zeros(2 * SAMPLE_RATE, np.float32)
    dry[SAMPLE_RATE // 2 :] = pluck(72, 1.5)
    response = np.zeros(SAMPLE_RATE // 2, np.float32)
    response[6], response[800:] = 1.0, rng.normal(0, 0.01, len(response) - 800)
    for changed in (recorder.in_room(dry, response, rng), recorder.compress(dry, SAMPLE_RATE, rng)):
        assert len(changed) == len(dry)
        assert attack(changed) == pytest.approx(0.5, abs=5e-3)
    quiet, loud = (np.abs(recorder.compress(dry * gain, SAMPLE_RATE, np.random.default_rng(1))) for gain in (1, 10))
    np.testing.assert_allclose(10 * quiet, loud, rtol=1e-4, atol=1e-6)  # its threshold follows the peak
    steps = np.concatenate([sine(440, 1.0, amplitude=0.8), sine(440, 1.0, amplitude=0.02)])
    crushed = np.abs(recorder.compress(steps, SAMPLE_RATE, np.random.default_rng(1)))
    assert crushed[SAMPLE_RATE // 2 : SAMPLE_RATE].max() < 0.5 * 40 * crushed[-SAMPLE_RATE // 4 :].max()


def test_recording_anew_moves_pitches_and_times_together() -> None:
    samples = np.zeros(4 * SAMPLE_RATE, np.float32)
    samples[2 * SAMPLE_RATE :] = pluck(60, 2.0)
    for seed in range(24):
        labels = Performance(np.array([[2.0, 3.5, 60, 90]]), None)
        audio, moved = render.rerecord(samples, labels, np.random.default_rng(seed))
        onset, _, pitch, _ = moved.notes[0]
        ratio = 2.0 / onset
        # Less than half a semitone with the 19 cents that recordings are off themselves.
        assert 1200 * abs(np.log2(ratio) - (pitch - 60) / 12) < 31
        assert len(audio) == pytest.approx(4 * SAMPLE_RATE / ratio, abs=2)
        assert moved.pedals is None


def test_exercises_and_variations_are_playable() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        made = performances.exercise(30.0, rng)
        for performance in (made, performances.vary(made, rng)):
            notes = performance.notes
            assert len(notes)
            assert (np.diff(notes[:, 0]) >= 0).all()
            assert (notes[:, 1] > notes[:, 0]).all()
            assert notes[:, 2].min() >= 21
            assert notes[:, 2].max() <= 108
            assert notes[:, 3].min() >= 1
            assert notes[:, 3].max() <= 127
            for pitch in np.unique(notes[:, 2]):
                same = notes[notes[:, 2] == pitch]
                assert (same[1:, 0] > same[:-1, 1]).all()


def test_excerpts_keep_whole_notes_and_pedal() -> None:
    whole = Performance(
        np.array([[0.5, 1.5, 60, 64], [1.0, 5.0, 62, 64], [3.0, 3.5, 64, 64]]), np.array([[0.0, 2.0], [4.0, 5.0]])
    )
    cut = performances.excerpt(whole, 1.0, 2.0)
    assert cut.notes.tolist() == [[0.0, 2.0, 62, 64]]
    assert cut.pedals is not None
    assert cut.pedals.tolist() == [[0.0, 1.0]]


def test_midi_in_and_out(tmp_path: Path) -> None:
    known = Transcription(notes=(Note(0.5, 60, 1.0, 80),), pedals=(Pedal(0.25, 1.5),))
    (tmp_path / "a.mid").write_bytes(to_midi(known))
    read = performances.read_midi(tmp_path / "a.mid")
    np.testing.assert_allclose(read.notes, [[0.5, 1.0, 60, 80]], atol=1e-3)
    assert read.pedals is not None
    np.testing.assert_allclose(read.pedals, [[0.25, 1.5]], atol=1e-3)
    render.write_pair(tmp_path, "b", np.zeros(100, np.float32), read)
    assert from_midi((tmp_path / "b.mid").read_bytes()).notes == (Note(0.5, 60, 1.0, 80),)


def found() -> argparse.Namespace:
    """What the command line names."""
    parser = render._parser()
    return render._found(parser.parse_args(), parser)


def test_the_program_renders_and_goes_on(bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midi = tmp_path / "midi"
    midi.mkdir()
    notes = tuple(Note(k * 0.5, 50 + k % 20, k * 0.5 + 0.4, 64) for k in range(200))
    (midi / "a.mid").write_bytes(to_midi(Transcription(notes=notes)))
    command = ["render", "--out", str(tmp_path / "out"), "--pianos", str(bank.parent), "--midi", str(midi)]
    monkeypatch.setattr("sys.argv", [*command, "--hours", str(3 / 60), "--workers", "1"])
    monkeypatch.setattr(render, "_pianos", [])
    render.main()
    made = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(made) == [*(f"{i:05d}.{suffix}" for i in range(3) for suffix in ("flac", "mid")), "render.json"]
    (tmp_path / "out" / "00001.mid").unlink()
    render.main()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == made
    monkeypatch.setattr("sys.argv", [*command, "--seed", "1"])
    with pytest.raises(SystemExit):
        render.main()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == made


def test_what_leaves_nothing_to_render_is_said_at_once(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["render", "--out", str(tmp_path / "out"), "--pianos", str(bank.parent), "--midi", str(tmp_path)]
    songs = tmp_path / "songs"
    songs.mkdir()
    soundfile.write(songs / "a.wav", np.zeros(100), 16000)
    (songs / "a.txt").write_text("OnsetTime\tOffsetTime\tMidiPitch\n1.0\t2.0\t60\n")
    for options, said in (
        ([], "no .mid file"),
        (["--without", bank.name], "no piano"),
        (["--recordings", "pairs", str(songs), "--recordings-without", "a", "--exercise-share", "1"], "no recording"),
        (["--recordings", "pairs", str(tmp_path / "none")], "none"),
    ):
        monkeypatch.setattr("sys.argv", [*command, *options])
        with pytest.raises(SystemExit):
            render.main()
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    # Exercises need no MIDI, and silence no piano.
    monkeypatch.setattr("sys.argv", [*command, "--exercise-share", "0.93"])
    found()
    (tmp_path / "out" / "render.json").unlink()
    monkeypatch.setattr("sys.argv", [*command, "--silent-share", "1", "--without", bank.name])
    found()


def test_recordings_are_heard_anew_with_their_labels(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate, onsets = 44100, np.arange(1.0, 90.0, 1.5)
    samples = np.zeros(91 * rate, np.float32)
    for onset in onsets:  # clicks: whatever room, key and speed they are played in, they stand out
        samples[round(onset * rate) : round(onset * rate) + 20] = 0.9
    (tmp_path / "songs").mkdir()
    soundfile.write(tmp_path / "songs" / "a.wav", samples, rate)
    # No velocities: nobody says how loud the notes were.
    rows = [f"{onset:.4f}\t{onset + 0.3:.4f}\t60" for onset in onsets]
    (tmp_path / "songs" / "a.txt").write_text("OnsetTime\tOffsetTime\tMidiPitch\n" + "\n".join(rows) + "\n")
    command = ["render", "--out", str(tmp_path / "out"), "--pianos", str(bank.parent), "--midi", str(tmp_path)]
    command += ["--recordings", "pairs", str(tmp_path / "songs"), "--rerecord-share", "1", "--silent-share", "0"]
    monkeypatch.setattr("sys.argv", [*command, "--exercise-share", "0", "--hours", str(4 / 60), "--workers", "1"])
    monkeypatch.setattr(recorder, "record", lambda samples, *_, **__: samples.astype(np.float32))
    render._start(found())
    for index in range(4):
        render._render_one(index)
        heard, _ = soundfile.read(tmp_path / "out" / f"{index:05d}.flac")
        labels = read_labels(tmp_path / "out" / f"{index:05d}.tsv").notes
        assert len(labels) > 30
        for note in labels[1:-1]:
            around = heard[round((note.onset - 0.2) * SAMPLE_RATE) : round((note.onset + 0.2) * SAMPLE_RATE)]
            assert np.argmax(np.abs(around)) / SAMPLE_RATE == pytest.approx(0.2, abs=5e-3)
            assert note.velocity == 0


def test_labels_of_long_recordings_can_be_read(tmp_path: Path) -> None:
    late = Performance(np.array([[1200.5, 1201.0, 60, 80]]), None)
    render.write_pair(tmp_path, "long", np.zeros(1300 * SAMPLE_RATE, np.float32), late)
    (note,) = from_midi((tmp_path / "long.mid").read_bytes()).notes
    assert (note.onset, note.offset) == (pytest.approx(1200.5, abs=1e-3), pytest.approx(1201, abs=1e-3))


def test_excerpts_of_recordings_begin_where_no_key_is_down(rng: np.random.Generator) -> None:
    notes = np.array(
        [[0.5, 1.0, 60, 64], [0.9, 2.0, 64, 64], [3.0, 4.0, 60, 64], [3.5, 5.0, 62, 64], [6.0, 7.0, 60, 64]]
    )
    starts = {round(render.quiet_start(Performance(notes, None), 5.0, rng), 2) for _ in range(20)}
    assert starts == {0.48, 2.98}
    assert render.quiet_start(Performance(notes[:0], None), 5.0, rng) == 0.0
