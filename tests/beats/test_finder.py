"""Beats and bars of made-up pieces, found with the weights that are shipped; and what is known is obeyed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import mido
import mir_eval.beat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribe.beats.analysis import analysed
from transcribe.beats.finder import find_beats
from transcribe.beats.model import BeatsModel, load_beats_model
from transcribe.events import Note, Transcription
from transcribe.formats.json import from_json, to_json
from transcribe.formats.midi import to_midi
from transcribe.score.analysis import Timing
from transcribe.score.beats import Beats

ROOTS = (48, 45, 41, 43)
# A bar: places in beats, steps above the harmony's root, lengths in beats.
Pattern = Sequence[tuple[float, tuple[int, ...], float]]


@pytest.fixture(scope="module")
def model() -> BeatsModel:
    return load_beats_model()


def played(beats: np.ndarray, n_beats: int, pattern: Pattern, rng: np.random.Generator, first: int = 0) -> list[Note]:
    """Play a pattern in every bar, on four harmonies in turn, with a bass at its start; notes stray by 8 ms."""
    notes = []
    grid = np.append(beats, 2 * beats[-1] - beats[-2])

    def at(place: float) -> float:
        return float(np.interp(place, np.arange(len(grid)), grid))

    for bar, start in enumerate(range(first - n_beats, len(beats) - n_beats + 1, n_beats)):
        root = ROOTS[bar % 4]
        for place, steps, length in [(0.0, (-12,), n_beats - 0.1), *pattern]:
            if start + place < 0:
                continue
            onset = max(0.0, at(start + place) + rng.normal(0, 0.008))
            velocity = 90 if place == 0 else 72 if place == int(place) else 58
            notes += [Note(onset, root + step, at(start + place + length), velocity) for step in steps]
    return sorted(notes)


def melody(n_beats: int, parts: int, rng: np.random.Generator) -> Pattern:
    """Chords on the beats, and a melody that divides each into so many parts."""
    chords = [(float(beat), (0, 4, 7), 0.8) for beat in range(1, n_beats)]
    tune = [
        (beat + k / parts, (24 + int(rng.integers(8)),), 0.9 / parts) for beat in range(n_beats) for k in range(parts)
    ]
    return [*chords, *tune]


def f_measure(reference: Sequence[float] | np.ndarray, estimate: Sequence[float]) -> float:
    return float(mir_eval.beat.f_measure(np.array(reference), np.array(estimate))) if len(estimate) else 0.0


def found_of(model: BeatsModel, notes: Sequence[Note], known: Timing = Timing()) -> Beats:  # noqa: B008
    return find_beats(notes, model.network, known)


def test_no_beat_lies_before_the_recording(model: BeatsModel, rng: np.random.Generator) -> None:
    # All but the first note are early: the line through the beats begins before 0.
    beats = np.maximum(0.0, 0.5 * np.arange(64) - 0.015)
    notes = [Note(max(0.0, n.onset), n.pitch, n.offset, n.velocity) for n in played(beats, 4, melody(4, 2, rng), rng)]
    found = analysed(Transcription(notes=tuple(notes), duration=32.0), model=model)
    assert found.beats[0] == 0.0
    assert from_json(to_json(found)).metres[0].onset == 0.0


@pytest.mark.parametrize(
    ("n_beats", "parts", "bpm", "label"),
    [
        (3, 2, 120, "3/4"),
        (4, 2, 100, "4/4"),
        (5, 2, 110, "5/4"),
        (2, 3, 76, "6/8"),
        (3, 3, 70, "9/8"),
    ],
)
def test_metres(n_beats: int, parts: int, bpm: float, label: str, model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.6 + 60 / bpm * np.arange(24 * n_beats)
    found = found_of(model, played(beats, n_beats, melody(n_beats, parts, rng), rng))
    assert f_measure(beats, found.beats) > 0.95
    assert f_measure(beats[::n_beats], found.downbeats) > 0.9
    assert max(found.metres, key=lambda metre: metre.offset - metre.onset).label == label


def test_two_four(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.6 + 60 / 96 * np.arange(96)
    found = found_of(model, played(beats, 2, melody(2, 2, rng), rng))
    assert f_measure(beats, found.beats) > 0.95
    # Two bars may be taken for one of four beats; none begins where no bar does.
    on = [np.abs(beats[::2] - downbeat).min() < 0.07 for downbeat in found.downbeats]
    assert np.mean(on) > 0.95
    assert {metre.label for metre in found.metres} <= {"2/4", "4/4"}


def test_seven_eight_whose_tempo_is_known(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.6 + 60 / 220 * np.arange(24 * 7)
    found = found_of(model, played(beats, 7, melody(7, 1, rng), rng), Timing(tempo=220))
    assert f_measure(beats, found.beats) > 0.95
    assert f_measure(beats[::7], found.downbeats) > 0.9
    assert max(found.metres, key=lambda metre: metre.offset - metre.onset).label == "7/8"


def test_a_pick_up(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.5 + 0.55 * np.arange(65)
    found = found_of(model, played(beats, 4, melody(4, 2, rng), rng, first=1))
    assert f_measure(beats, found.beats) > 0.95
    assert f_measure(beats[1::4], found.downbeats) > 0.9


def test_a_fermata(model: BeatsModel, rng: np.random.Generator) -> None:
    gaps = np.full(64, 0.55)
    gaps[31] = 2.4
    beats = 0.5 + np.cumsum(gaps)
    found = found_of(model, played(beats, 4, melody(4, 2, rng), rng))
    assert f_measure(beats[:30], [beat for beat in found.beats if beat < beats[30] - 0.1]) > 0.95
    assert f_measure(beats[34:], [beat for beat in found.beats if beat > beats[34] - 0.1]) > 0.95


def test_an_accelerando(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.5 + np.cumsum(np.geomspace(0.75, 0.42, 96))
    found = found_of(model, played(beats, 4, melody(4, 2, rng), rng))
    assert f_measure(beats, found.beats) > 0.8


def test_swing(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.5 + 0.5 * np.arange(96)
    pattern = [(place * 1.0 + (1 / 6 if place % 1 else 0), steps, length) for place, steps, length in melody(4, 2, rng)]
    found = found_of(model, played(beats, 4, pattern, rng))
    assert f_measure(beats, found.beats) > 0.95


def test_two_tempi_in_one_file(model: BeatsModel, rng: np.random.Generator) -> None:
    slow = 0.5 + 60 / 66 * np.arange(64)
    fast = slow[-1] + 60 / 66 + 60 / 104 * np.arange(96)
    found = found_of(model, played(np.concatenate([slow, fast]), 4, melody(4, 2, rng), rng))
    assert f_measure(slow, [beat for beat in found.beats if beat < fast[0] - 0.1]) > 0.95
    assert f_measure(fast, [beat for beat in found.beats if beat > fast[0] - 0.1]) > 0.95


def test_a_steady_tempo_is_one_number(model: BeatsModel, rng: np.random.Generator) -> None:
    beats = 0.3 + 60 / 140 * np.arange(128)
    found = found_of(model, played(beats, 4, melody(4, 2, rng), rng))
    assert len(set(np.round(60 / np.diff(found.beats), 1))) == 1
    # Whether half notes or quarters are felt may be argued about.
    assert found.tempo is not None
    assert min(abs(found.tempo - 140), abs(found.tempo - 70)) < 0.05


def off_by(found: tuple[float, ...], wanted: np.ndarray) -> float:
    """The median distance of the wanted times to the nearest found, in seconds."""
    return float(np.median([np.abs(np.array(found) - time).min() for time in wanted]))


def accompaniment(times: np.ndarray, metre: int, rng: np.random.Generator) -> list[Note]:
    """A bass at the start of every bar, in turn on four harmonies, and chords on every beat."""
    notes = []
    for i, time in enumerate(times):
        late = time + rng.normal(0, 0.01)
        root = ROOTS[i // metre % 4]
        if i % metre == 0:
            notes.append(Note(late, root - 12, late + 0.9 * metre * np.diff(times)[0], 90))
        notes += [Note(late, root + step, late + 0.2, 60) for step in (12, 16, 19)]
    return sorted(Note(float(max(0, n.onset)), n.pitch, float(n.offset), n.velocity) for n in notes)


@pytest.mark.parametrize("bpm", [72, 96, 110])
@pytest.mark.parametrize("metre", [3, 4])
def test_a_steady_accompaniment(bpm: float, metre: int, model: BeatsModel, rng: np.random.Generator) -> None:
    times = 0.7 + np.arange(64) * 60 / bpm
    found = found_of(model, accompaniment(times, metre, rng))
    assert found.tempo == pytest.approx(bpm, rel=0.01)
    assert off_by(found.beats, times) < 0.02
    assert found.metre == metre
    assert off_by(found.downbeats, times[::metre]) < 0.02
    assert len(found.downbeats) <= len(found.beats) / metre + 1
    assert found.confidence > 0.5


def test_a_tempo_that_drifts_is_followed(model: BeatsModel, rng: np.random.Generator) -> None:
    times = 0.5 + np.cumsum(np.linspace(0.5, 0.6, 80))
    found = found_of(model, accompaniment(times, 4, rng))
    assert off_by(found.beats, times) < 0.03


def test_the_same_notes_at_two_tempi_that_are_known(model: BeatsModel, rng: np.random.Generator) -> None:
    notes = accompaniment(0.5 + np.arange(60) * 0.5, 4, rng)
    assert found_of(model, notes, Timing(tempo=60)).tempo == pytest.approx(60, rel=0.02)
    assert found_of(model, notes, Timing(tempo=120)).tempo == pytest.approx(120, rel=0.02)


def events_of(transcription: Transcription, kind: str) -> list[mido.MetaMessage]:
    midi = mido.MidiFile(file=io.BytesIO(to_midi(transcription)))
    return [message for message in midi.tracks[0] if message.type == kind]


@pytest.fixture
def waltz(rng: np.random.Generator) -> Transcription:
    beats = 0.4 + 0.5 * np.arange(90)
    return Transcription(tuple(played(beats, 3, melody(3, 2, rng), rng)), duration=46.0)


def test_a_tempo_that_is_known_is_obeyed(waltz: Transcription) -> None:
    result = analysed(waltz, Timing(tempo=92))
    assert result.tempo == 92
    assert np.ptp(np.diff(result.beats)) < 1e-5
    (event,) = events_of(result, "set_tempo")
    assert event.tempo == pytest.approx(60e6 / 92, abs=2)


def test_a_metre_a_pick_up_and_a_key_that_are_known_are_obeyed(waltz: Transcription) -> None:
    result = analysed(waltz, Timing(metre="4/4", pickup=1, key="E minor"))
    assert [metre.label for metre in result.metres] == ["4/4"]
    # The first note lies on the first beat.
    assert result.beats[0] == pytest.approx(0.4, abs=0.03)
    assert result.downbeats == result.beats[1::4]
    assert (result.key, [key.label for key in result.keys]) == ("E minor", ["E minor"])
    assert [event.key for event in events_of(result, "key_signature")] == ["Em"]


@pytest.mark.parametrize(("level", "factor"), [("half", 0.5), ("double", 2.0)])
def test_half_and_double(level: str, factor: float, waltz: Transcription) -> None:
    plain, result = analysed(waltz), analysed(waltz, Timing(level=level))
    assert len(result.beats) == pytest.approx(factor * len(plain.beats), abs=1)
    assert set(result.beats) <= set(plain.beats) if level == "half" else set(plain.beats) <= set(result.beats)


@pytest.mark.parametrize(
    "wrong",
    [
        {"metre": "3"},
        {"metre": "3/5"},
        {"key": "H minor"},
        {"pickup": -1},
        {"level": "third"},
        {"tempo": 0.0},
        {"level": "half", "tempo": 90.0},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Timing(**wrong)  # type: ignore[arg-type]


def test_too_little_to_tell(model: BeatsModel) -> None:
    assert found_of(model, []).tempo is None
    assert found_of(model, [Note(float(i), 60, i + 0.5, 64) for i in range(7)]).beats == ()
    assert found_of(model, [Note(1.0, 40 + i, 2.0, 64) for i in range(20)]).tempo is None


def test_notes_at_random_have_no_beats_or_doubtful_ones(model: BeatsModel, rng: np.random.Generator) -> None:
    onsets = np.sort(rng.uniform(0, 60, 150))
    notes = [Note(float(t), int(rng.integers(30, 90)), float(t) + 0.1, int(rng.integers(20, 110))) for t in onsets]
    found = found_of(model, notes)
    assert found.beats == () or found.confidence < 0.5


@settings(max_examples=20, deadline=None)
@given(onsets=st.lists(st.floats(0, 60), min_size=8, max_size=60))
def test_any_notes_give_ordered_beats(onsets: list[float]) -> None:
    found = find_beats(sorted(Note(time, 60, time + 0.1, 64) for time in onsets), load_beats_model().network)
    assert list(found.beats) == sorted(found.beats)
    assert set(found.downbeats) <= set(found.beats)
    assert len(found.confidences) == len(found.beats)
    assert all(0 <= sure <= 1 for sure in (found.confidence, *found.confidences))
