"""Notes with instruments, and drums, from activations drawn by hand."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.notes.test_decoder import CONFIG, GRID, drawn
from transcribe.engine.features import FeatureConfig
from transcribe.engine.task import Model
from transcribe.engine.weights import build, header_of
from transcribe.events import Note
from transcribe.notes.decoder import Activations, DecodingConfig, NoteDecoder, decode
from transcribe.notes.ensemble import EnsembleActivations, EnsembleDecoder, EnsembleDecodingConfig, who_plays
from transcribe.notes.task import NOTES, NotesModel
from transcribe.theory.families import DRUMS, FAMILIES

ENSEMBLE = EnsembleDecodingConfig(onset_threshold=0.5, frame_threshold=0.5, drum_thresholds=(0.5, 0.5, 0.5, 0.5, 0.9))
PIANO, BASS, VOICE = (FAMILIES.index(name) for name in ("piano", "bass", "voice"))
TRUTH = (Note(0.10, 60, 0.50, 64), Note(0.20, 40, 0.80, 80), Note(0.61, 60, 0.90, 100), Note(1.16, 70, 1.20, 70))


def ensemble(notes: tuple[Note, ...], n_frames: int) -> EnsembleActivations:
    """What a perfect network would hear of a piano, without drums."""
    family = np.zeros((n_frames, 88, len(FAMILIES)), np.float32)
    family[..., PIANO] = 0.15
    drum, velocity = (np.zeros((n_frames, len(DRUMS)), np.float32) for _ in range(2))
    return EnsembleActivations(**vars(drawn(notes, n_frames)), family=family, drum=drum, drum_velocity=velocity)


def cut(a: EnsembleActivations, edges: list[int]) -> list[EnsembleActivations]:
    arrays = [f.name for f in fields(a) if f.name != "grid"]
    return [
        replace(a, **{name: getattr(a, name)[first:last] for name in arrays})
        for first, last in itertools.pairwise([0, *sorted(edges), len(a)])
    ]


def decoded(*blocks: EnsembleActivations, config: EnsembleDecodingConfig = ENSEMBLE) -> dict[str, Any]:
    decoder = EnsembleDecoder(config)
    for block in blocks:
        decoder.push(block)
    return decoder.fields(0.0)


def played() -> EnsembleActivations:
    """Notes of three instruments; a bass drum between frames 9 and 10, a soft crash under its threshold."""
    a = ensemble(TRUTH, 60)
    a.family[8:40, 40 - 21, BASS] = 0.9
    # One frame says otherwise; most say that it is a voice.
    a.family[30:36, 60 - 21, VOICE] = 0.8
    a.family[31, 60 - 21, VOICE] = 0.1
    a.drum[8:12, 0] = (0.2, 0.8, 0.6, 0.1)
    a.drum[20, 4] = 0.8
    a.drum[59, 1] = 0.95
    a.drum_velocity[:, :] = 0.5
    a.drum_velocity[9, 0] = 1.0
    return a


def test_notes_have_the_family_of_their_first_frames() -> None:
    notes = decoded(played())["notes"]
    assert [note.instrument for note in notes] == ["piano", "bass", "voice", "piano"]
    plain, _ = decode(Activations(**{f.name: getattr(played(), f.name) for f in fields(Activations)}), CONFIG)
    others = [note for note in notes if note.instrument != "voice"]
    assert [replace(note, instrument=None) for note in others] == [plain[0], plain[1], plain[3]]


def test_what_is_sung_begins_later() -> None:
    """Where its pitch is reached, not where the vowel begins; a short note keeps a length."""
    a = ensemble((Note(0.10, 60, 0.50, 64), Note(0.60, 60, 0.61, 64)), 60)
    (long, short), (sung, brief) = (decoded(heard)["notes"] for heard in (a, voiced(a)))
    assert {long.instrument, sung.instrument} == {"piano", "voice"}
    assert (sung.onset, sung.offset) == (pytest.approx(long.onset + 0.024), long.offset)
    assert brief.onset == pytest.approx(short.onset + 0.024)
    assert brief.offset > brief.onset


def voiced(a: EnsembleActivations) -> EnsembleActivations:
    family = np.full_like(a.family, 0.01)
    family[..., VOICE] = 0.9
    return replace(a, family=family)


@pytest.mark.parametrize(("onset", "stays", "is_note"), [(0.3, 6, True), (0.2, 6, False), (0.3, 3, False)])
def test_a_soft_note_begins_where_its_key_does(onset: float, stays: int, is_note: bool) -> None:
    """Odds of a third are enough where frames rise and stay; less of an onset is nothing, nor is a blip."""
    a = ensemble((), 60)
    a.onset[20:23, 40] = onset
    a.frame[21 : 21 + stays, 40] = 0.9
    for blocks in ([a], cut(a, [19, 21, 23])):
        notes = decoded(*blocks)["notes"]
        assert [note.pitch for note in notes] == [61] * is_note
        assert all(note.onset == pytest.approx(21 * 0.02, abs=0.011) for note in notes)


def test_a_clear_onset_makes_one_note_however_late_its_frames_come() -> None:
    a = ensemble((), 60)
    a.onset[20, 40] = 0.9
    a.frame[22:40, 40] = 0.9
    (note,) = decoded(a)["notes"]
    assert note.onset == pytest.approx(0.4, abs=0.001)
    a.frame[20:40, 40] = 0.9
    assert len(decoded(a)["notes"]) == 1


def test_a_higher_threshold_is_one_for_soft_notes_too() -> None:
    a = ensemble((), 60)
    a.onset[20:23, 40] = 0.3
    a.frame[21:40, 40] = 0.9
    assert len(decoded(a)["notes"]) == 1
    assert decoded(a, config=replace(ENSEMBLE, onset_threshold=0.7))["notes"] == ()


def test_a_doubtful_note_is_played_by_who_plays_elsewhere_too() -> None:
    piano, guitar, flute = (FAMILIES.index(name) for name in ("piano", "guitar", "flute"))
    told = np.full((12, len(FAMILIES)), 1e-4)
    told[:10, guitar] = 0.9
    told[10, [piano, guitar]] = 0.5, 0.4  # the only hint of a piano
    told[11, [flute, guitar]] = 0.95, 0.05  # clear by itself
    assert who_plays(told).tolist() == [guitar] * 11 + [flute]
    assert who_plays(told[10:11]).tolist() == [piano]
    assert who_plays(told[:0]).tolist() == []


def test_drums_are_peaks_between_frames() -> None:
    bass, snare = decoded(played())["drums"]
    assert (bass.label, bass.velocity, snare.label, snare.velocity) == ("bass drum", 127, "snare drum", 64)
    # 0.2 before and 0.6 after a peak of 0.8 put it a third of a frame later.
    assert bass.onset == pytest.approx((9 + (0.6 - 0.2) / (2 * (0.8 - 0.2))) * 0.02)
    assert snare.onset == pytest.approx(59 * 0.02, abs=0.011)
    assert (bass.confidence, snare.confidence) == pytest.approx((0.8, 0.95))


def test_strokes_need_sure_ones_near() -> None:
    """Consonants of a singer are weak; a soft stroke among clear ones is one."""
    weak = ensemble((), 1500)
    weak.drum[100:900:40, 1] = 0.55
    assert decoded(weak)["drums"] == ()
    one, two = (ensemble((), 1500) for _ in range(2))
    for a, sure in ((one, [500]), (two, [500, 600])):
        a.drum[100, 0], a.drum[1400, 2] = 0.55, 0.55  # 8 s before the first, 16 s after the last
        a.drum[sure, 1] = 0.9
    assert decoded(one)["drums"] == ()
    assert [drum.label for drum in decoded(two)["drums"]] == ["snare drum"] * 2
    two.drum[250, 0] = 0.55
    assert [drum.label for drum in decoded(two)["drums"]] == ["bass drum", "snare drum", "snare drum"]


def test_a_stroke_is_about_as_sure_as_others_of_its_class() -> None:
    a = ensemble((), 500)
    a.drum[50:450:50, 1] = 0.9
    a.drum[75, 1], a.drum[125, 1], a.drum[75, 2] = 0.55, 0.75, 0.55  # a hi-hat has no others to be compared with
    some = replace(ENSEMBLE, drum_shares=(0.0, 0.8, 0.8, 0.0, 0.0))
    found = decoded(a, config=some)["drums"]
    assert [round(drum.onset / 0.02) for drum in found if drum.label == "snare drum"] == [
        50,
        100,
        125,
        *range(150, 450, 50),
    ]
    assert [drum.label for drum in found].count("hi-hat") == 1
    assert len(decoded(a)["drums"]) == len(found) + 1


def test_families_that_are_heard_too_often_weigh_less() -> None:
    weights = [1.0] * len(FAMILIES)
    weights[VOICE] = 0.1
    names = [note.instrument for note in decoded(played())["notes"]]
    weighed = [
        note.instrument for note in decoded(played(), config=replace(ENSEMBLE, family_weights=tuple(weights)))["notes"]
    ]
    assert "voice" in names
    assert "voice" not in weighed
    assert weighed.count("bass") == names.count("bass") == 1


def test_drums_are_shifted_by_their_own_lateness() -> None:
    (first, _), (later, _) = (
        decoded(played(), config=replace(ENSEMBLE, drum_shift=shift))["drums"] for shift in (0.0, 0.005)
    )
    assert later.onset - first.onset == pytest.approx(0.005)


@given(st.lists(st.integers(0, 60), max_size=8))
def test_blocks_may_be_cut_anywhere(edges: list[int]) -> None:
    assert decoded(*cut(played(), edges)) == decoded(played())


def test_nothing_gives_nothing() -> None:
    assert decoded() == {"notes": (), "pedals": (), "drums": ()}
    assert decoded(ensemble((), 3)) == {"notes": (), "pedals": (), "drums": ()}


def test_families_are_forgotten_as_soon_as_they_are_read() -> None:
    decoder = EnsembleDecoder(ENSEMBLE)
    for _ in range(3):
        decoder.push(ensemble((), 500))
    assert len(decoder._family) < 10


def test_a_model_without_families_gives_notes_without_instruments() -> None:
    notes, _ = decode(drawn(TRUTH, 60), CONFIG)
    assert [note.instrument for note in notes] == [None] * 4


@pytest.mark.parametrize(
    "values", [{"drum_thresholds": (0.5,)}, {"drum_thresholds": (0.5, 0.5, 0.5, 0.5, 1.5)}, {"drum_shift": np.inf},
               {"onset_threshold": 2.0}, {"drum_shares": (0.5,)}, {"family_weights": (1.0,) * 3},
               {"family_weights": (0.0,) * 12}]
)  # fmt: skip
def test_settings_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        EnsembleDecodingConfig(**values)


@pytest.mark.parametrize("wrong", ["family", "drum", "drum_velocity"])
def test_wrong_shapes_are_refused(wrong: str) -> None:
    a = ensemble((), 10)
    with pytest.raises(ValueError, match="must be"):
        decoded(replace(a, **{wrong: getattr(a, wrong)[..., :3]}))


def test_the_weights_file_says_what_is_heard() -> None:
    for config in (CONFIG, ENSEMBLE):
        header = header_of(NOTES, DecodingConfig(), config)  # any dataclass does for the network
        kind = NOTES.decoding_of(header)
        assert kind is type(config)
        assert build(kind, header["decoding"]) == config


def test_the_task_names_the_heads_of_either_network() -> None:
    a = played()
    heads = tuple(getattr(a, f.name) for f in fields(a) if f.name != "grid")
    named = NOTES.activations(heads, GRID, 1)
    assert isinstance(named, EnsembleActivations)
    assert named.drum is a.drum
    assert type(NOTES.activations(heads[:5], GRID, 1)) is Activations
    for config, kind in ((ENSEMBLE, EnsembleDecoder), (CONFIG, NoteDecoder)):
        model: NotesModel = Model(NOTES, "any", None, FeatureConfig(), config)
        assert type(NOTES.decoder(model)) is kind
