from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.notes.test_decoder import CONFIG, cut, drawn
from transcribe.engine.weights import header_of
from transcribe.events import Forecast, Note, Transcription
from transcribe.notes.decoder import DecodingConfig, NoteDecoder
from transcribe.notes.forecast import features, foretell, moved
from transcribe.notes.task import NOTES, NotesModel

# Precision falls with what is unsure, recall with the density of the notes.
TOLD = (3.0, -4.0, 0.0, 0.0, 2.0, 0.0, 0.0, -0.5)


def test_features_and_what_they_tell_worked_out_by_hand() -> None:
    described = features(np.array([0.9, 0.7, 0.6, 0.95]), np.array([0.9, 0.9, 0.9, 0.1]), 8.0)
    assert described.tolist() == pytest.approx([0.5, 0.25, 0.0])  # a note every two seconds: log 1
    precision, recall = foretell(TOLD, described)
    assert precision == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert recall == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_confidences_are_moved_together_to_a_mean() -> None:
    logits = np.array([-1.0, 0.0, 2.0])
    shifted = moved(logits, 0.8)
    assert np.mean(1 / (1 + np.exp(-shifted))) == pytest.approx(0.8, abs=1e-6)
    assert np.diff(shifted) == pytest.approx(np.diff(logits))


def scale(count: int) -> tuple[Note, ...]:
    return tuple(Note(0.2 + 0.3 * i, 40 + i, 0.4 + 0.3 * i, 64) for i in range(count))


def test_the_mean_confidence_is_what_is_foretold_however_blocks_are_cut() -> None:
    a = drawn(scale(40), 700)
    a.onset[:] = np.minimum(a.onset, 0.85)
    config = replace(CONFIG, forecast=TOLD)
    found = []
    for blocks in ([a], cut(a, [13, 250, 251])):
        decoder = NoteDecoder(config)
        for block in blocks:
            decoder.push(block)
        found.append(decoder.fields(14.0))
    assert found[0] == found[1]
    forecast, notes = found[0]["forecast"], found[0]["notes"]
    assert isinstance(forecast, Forecast)
    assert isinstance(notes, tuple)
    assert len(notes) == 40
    assert np.mean([note.confidence for note in notes]) == pytest.approx(forecast.precision, abs=1e-6)


def test_a_few_notes_foretell_nothing() -> None:
    decoder = NoteDecoder(replace(CONFIG, forecast=TOLD))
    decoder.push(drawn(scale(29), 700))
    assert decoder.fields(14.0)["forecast"] is None
    with pytest.raises(ValueError, match="forecast"):
        DecodingConfig(forecast=(1.0, 2.0))


def test_other_settings_than_the_tuned_ones_foretell_nothing(tiny_model: NotesModel) -> None:
    tuned = replace(tiny_model.decoding, forecast=TOLD)
    header = header_of(NOTES, tiny_model.network.config, tuned, tiny_model.features)
    model = replace(tiny_model, decoding=tuned, header=header)
    assert NOTES.decoder(model).config.forecast == TOLD
    assert NOTES.decoder(replace(model, decoding=replace(tuned, onset_threshold=0.77))).config.forecast == ()


def test_the_summary_says_what_is_foretold() -> None:
    heard = Transcription(scale(3), duration=3.0, models={"notes": "x"}, forecast=Forecast(0.943, 0.936))
    assert dict(NOTES.rows(heard))["confidence"] == "about 94 of 100 notes right, 6 of 100 missed"
    assert "confidence" not in dict(NOTES.rows(replace(heard, novelty=0.9)))
    assert "confidence" not in dict(NOTES.rows(replace(heard, models={})))
