from __future__ import annotations

from dataclasses import replace

from tests.conftest import FIVE_NOTES
from transcribe.events import Transcription, Tuning
from transcribe.report.summary import rows

HEARD = Transcription(tuple(FIVE_NOTES), duration=3.0, models={"notes": "notes-1"})


def test_a_confidence_is_that_of_a_model_on_what_it_knows() -> None:
    assert dict(rows(HEARD))["confidence"] == "99% of the notes are expected to be right"
    assert "confidence" in dict(rows(replace(HEARD, novelty=0.2)))
    assert "confidence" not in dict(rows(replace(HEARD, novelty=0.9)))
    assert "confidence" not in dict(rows(replace(HEARD, models={})))


def test_the_tuning_is_told_where_it_is_known() -> None:
    assert "tuning" not in dict(rows(HEARD))
    assert dict(rows(replace(HEARD, tuning=0)))["tuning"] == "A = 440 Hz"
    assert dict(rows(replace(HEARD, tuning=-35)))["tuning"] == "35 cents below A = 440 Hz: A = 431 Hz"
    changes = (Tuning(0.0, 1.0, 30), Tuning(1.0, 3.0, -35))
    told = dict(rows(replace(HEARD, tuning=-35, tunings=changes)))["tuning"]
    assert told == "it changes, from -35 to +30 cents beside A = 440 Hz"
