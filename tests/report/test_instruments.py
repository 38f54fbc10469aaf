"""Instruments and drums in pictures and pages."""

from __future__ import annotations

import json

import numpy as np
from matplotlib.colors import to_rgba_array
from matplotlib.patches import Rectangle

from tests.formats.test_parts import BAND
from tests.report.test_page import Scripts
from transcribe.events import Drum, Note, Transcription
from transcribe.report import page, roll
from transcribe.report.instruments import COLOURS, UNKNOWN, colour_of, families_in
from transcribe.theory.families import FAMILIES


def test_every_family_has_a_colour_of_its_own() -> None:
    assert list(COLOURS) == list(FAMILIES)
    assert len({*COLOURS.values(), UNKNOWN}) == len(FAMILIES) + 1
    assert colour_of(Note(0, 60, 1, 80)) == UNKNOWN


def test_the_picture_has_the_colours_of_its_legend() -> None:
    figure = roll.draw(BAND)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["piano", "bass", "voice"]
    (axes,) = figure.axes
    colours = to_rgba_array(axes.collections[0].get_facecolor())
    expected = to_rgba_array([COLOURS[name] for name in ("piano", "bass", "voice", "bass")])
    assert colours[:, :3].tolist() == expected[:, :3].tolist()
    strengths = colours[:, 3].tolist()
    assert strengths[2] < strengths[0] < strengths[1] == strengths[3]


def test_drums_stand_in_a_lane_below_the_notes() -> None:
    (axes,) = roll.draw(BAND).axes
    low = axes.get_ylim()[0]
    corners = [bar.get_corners()[0] for bar in axes.patches if isinstance(bar, Rectangle)]
    strokes = sorted((x, y - low) for x, y in corners if x >= 0 and y - low < 8)
    bass, hat, snare = ([(x, y) for x, y in strokes if low_row <= y < low_row + 1] for low_row in (3, 5, 4))
    assert (len(bass), len(hat), len(snare)) == (1, 1, 1)  # above the pedal's lane of three semitones
    assert snare[0][0] == 0.5
    assert "Drums" in {text.get_text().strip() for text in axes.texts}


def test_a_piano_alone_looks_as_it_did() -> None:
    plain = Transcription(notes=(Note(0.0, 60, 1.0, 80),), duration=1.0)
    figure = roll.draw(plain)
    assert not figure.legends
    loud = roll.draw(Transcription(notes=(Note(0.0, 60, 1.0, 127),), duration=1.0))
    shades = [np.asarray(one.axes[0].collections[0].get_facecolor())[0, :3].sum() for one in (figure, loud)]
    assert shades[0] > shades[1]  # the louder, the darker
    assert figure.axes[-1].get_label() == "key"
    assert families_in(plain) == []


def test_beside_a_reference_colours_mean_hits_and_misses() -> None:
    figure = roll.draw(BAND, roll.Scene(reference=BAND))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["hit", "missed", "extra"]


def test_the_page_knows_who_plays_every_note() -> None:
    found = Scripts(page.to_html(BAND, roll.Scene(sound=False))).found
    data, config = json.loads(found["data"]), json.loads(found["config"])
    notes = data["transcription"]["notes"]
    assert sorted((note["pitch"], note["instrument"]) for note in notes) == [
        (40, "bass"), (40, "bass"), (60, "piano"), (60, "voice"),
    ]  # fmt: skip
    assert config["colours"] == dict(COLOURS)
    drums = data["transcription"]["drums"]
    assert [(drum["onset"], drum["label"], drum["velocity"]) for drum in drums] == [
        (drum.onset, drum.label, drum.velocity) for drum in BAND.drums
    ]


def test_drums_alone_can_be_drawn() -> None:
    drums = Transcription(drums=(Drum(0.5, "toms", 90),), duration=1.0)
    assert roll.to_png(drums).startswith(b"\x89PNG")
    assert b'"drums":[{"onset":0.5,"label":"toms","velocity":90,' in page.to_html(drums, roll.Scene(sound=False))
