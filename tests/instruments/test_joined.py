"""What two networks say, as rows, and what reads them: numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.notes.test_ensemble import ENSEMBLE, ensemble
from transcribe import Transcriber
from transcribe.engine.features import FeatureConfig
from transcribe.engine.task import Model, Source
from transcribe.engine.weights import load_model
from transcribe.instruments.decoder import FAMILIES, INSTRUMENTS, TagActivations, TagDecoder, TagDecodingConfig
from transcribe.instruments.joined import COLUMNS, LOWEST, N_INPUTS, rows
from transcribe.instruments.network import STRIDE, JoinedConfig, JoinedNetwork
from transcribe.instruments.task import INSTRUMENTS as TASK
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.ensemble import EnsembleActivations
from transcribe.notes.task import NOTES
from transcribe.theory.families import FAMILIES as OF_NOTES

GRID = FeatureConfig().grid
GUITAR, REED = OF_NOTES.index("guitar"), OF_NOTES.index("reed")
KEY = 40


def heard(n_steps: int, probability: float = 0.5) -> TagActivations:
    families, instruments = (np.full((n_steps, len(v)), probability, np.float32) for v in (FAMILIES, INSTRUMENTS))
    return TagActivations(families, instruments, GRID, STRIDE)


def playing(n_frames: int) -> EnsembleActivations:
    """One key, of a guitar by three quarters and of a reed by one, and a stroke on the first drum in frame 9."""
    found = ensemble((), n_frames)
    for values in (found.frame, found.onset, found.family, found.drum):
        values[...] = 0
    found.frame[:, KEY] = 0.8
    found.family[:, :, GUITAR], found.family[:, :, REED] = 0.75, 0.25
    found.drum[9:10, 0] = 0.9
    return found


def columns(made: np.ndarray) -> dict[str, np.ndarray]:
    places = np.cumsum(list(COLUMNS.values()))[:-1]
    return dict(zip(COLUMNS, np.split(made, places, axis=1), strict=True))


def test_rows_say_what_both_hear() -> None:
    made = rows(playing(20), heard(3))
    assert made.shape == (20, N_INPUTS)
    assert made.dtype == np.float32
    found = columns(made)
    assert found["logits"] == pytest.approx(-LOWEST, abs=1e-4)
    assert found["sounding"][:, GUITAR] == pytest.approx(0.6)
    assert found["surest"][:, REED] == pytest.approx(0.2)
    assert found["beginning"].max() == 0
    assert found["keys"][:, GUITAR] == pytest.approx(0.6 * KEY / 88 / 0.62)
    assert found["amount"] == pytest.approx(0.8)
    assert found["range"][0] == pytest.approx([KEY / 88, KEY / 88, 0.8 * KEY / 88 / 0.801])
    assert found["drums"][:, 0].tolist() == pytest.approx([0] * 8 + [0.9] * 8 + [0] * 4)


def test_what_is_sure_has_a_logit_too() -> None:
    assert np.isfinite(rows(playing(8), heard(1, 1.0))).all()
    assert np.isfinite(rows(playing(8), heard(1, 0.0))).all()


def test_an_untrained_network_says_what_it_reads_and_what_plays() -> None:
    network = JoinedNetwork(JoinedConfig()).eval()
    made = torch.from_numpy(rows(playing(16), heard(2, 0.7)))[None]
    with torch.inference_mode():
        families, instruments, sounds = network(made).activations()
    assert families.numpy() == pytest.approx(0.7, abs=1e-3)
    assert instruments.shape == (1, 2, len(INSTRUMENTS))
    told = dict(zip(FAMILIES, sounds[0, 1].tolist(), strict=True))
    assert {name: value for name, value in told.items() if value} == pytest.approx(
        {"guitar": 0.6, "reed": 0.2, "drums": 0.9}
    )


@pytest.mark.parametrize("wrong", [{"width": 0}, {"reach": (0,)}, {"listener": ""}])
def test_sizes_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        JoinedConfig(**wrong)


def by_notes(vocabulary: str, likely: float) -> list[tuple[str, float, float]]:
    """Ten seconds; notes of a guitar from 2 s to 4 s and from 5 s on, a stroke at 9 s; seldom likely by the sound."""
    n_steps = round(10 * 50 / STRIDE)
    block = heard(n_steps, 0.05)
    sounds = np.zeros((n_steps, len(FAMILIES)), np.float32)
    times = (np.arange(n_steps) + 0.5) * STRIDE / 50
    sounds[((times >= 2) & (times < 4)) | (times >= 5), FAMILIES.index("guitar")] = 0.9
    block.instruments[10:20, list(INSTRUMENTS).index("electric guitar")] = likely
    decoder = TagDecoder(TagDecodingConfig(vocabulary=vocabulary))
    decoder.push(replace(block, playing=sounds))
    return [(tag.label, round(tag.onset, 1), round(tag.offset, 1)) for tag in decoder.finish(10.0)]


def test_notes_say_when_a_family_plays_and_the_sound_which_instrument() -> None:
    assert by_notes("families", 0.0) == [("guitar", 1.9, 9.9)]  # the pause is short
    assert by_notes("instruments", 0.9) == [("electric guitar", 1.6, 9.9)]
    assert by_notes("instruments", 0.0) == []


def test_the_default_reads_any_and_the_network_of_the_spectrum() -> None:
    model = load_model(TASK)
    assert TASK.follows(model.header) == (
        Source("notes", "any", needs="tells_instruments"),
        Source("instruments", "instruments-3"),
    )
    assert TASK.follows(load_model(TASK, "instruments-3").header) == ()
    one = Transcriber(tasks=("instruments",), device="cpu")
    assert [model.name for model in one.window_models] == ["any-3", "instruments-3"]
    assert [model.name for model in one.followers] == [model.name]


def test_where_a_pianos_network_listens_the_spectrum_is_asked_alone() -> None:
    network: Any = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device="cpu")]))
    for decoding, followers in ((DecodingConfig(), []), (ENSEMBLE, [load_model(TASK).name])):
        notes = Model(NOTES, "notes-1", network, FeatureConfig(), decoding)
        one = Transcriber(tasks=("notes", "instruments"), model=notes, device="cpu")
        assert [model.name for model in one.window_models] == ["notes-1", "instruments-3"]
        assert [model.name for model in one.followers] == followers
