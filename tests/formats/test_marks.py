"""What stands on the page beside the notes: title, tempo, symbols, ornaments, repeats; in MusicXML and engraved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from transcribe.events import Chord, Note, Pedal, Transcription
from transcribe.formats.format import Page
from transcribe.formats.musicxml import to_musicxml

music21 = pytest.importorskip("music21")
verovio = pytest.importorskip("verovio")

from transcribe.formats import engraving  # noqa: E402

BEATS = tuple(0.5 * k for k in range(65))
PRIVATE = re.compile("[\ue000-\uf8ff]")


def quarters(pitches: list[int], velocity: int = 70, confidence: float = 1.0) -> tuple[Note, ...]:
    return tuple(Note(0.5 * k, pitch, 0.5 * k + 0.48, velocity, confidence) for k, pitch in enumerate(pitches) if pitch)


def song(notes: tuple[Note, ...], **more: Any) -> Transcription:
    return Transcription(tuple(sorted(notes)), beats=BEATS, downbeats=BEATS[::4], key="C major", **more)


ANY = [72, 74, 76, 77, 79, 77, 76, 74, 72, 76, 79, 76, 74, 71, 72, 0]


def xml(t: Transcription, schema: Any, page: Page = Page()) -> str:  # noqa: B008
    from lxml import etree

    content = to_musicxml(t, 1.0, page)
    assert schema.validate(etree.fromstring(content)), schema.error_log
    assert music21.converter.parseData(content, format="musicxml")
    return content.decode()


def test_title_and_composer_stand_in_the_file(schema: Any) -> None:
    content = xml(song(quarters(ANY)), schema, Page("A & B\n", "N. N."))
    assert "<work-title>A &amp; B</work-title>" in content
    assert '<creator type="composer">N. N.</creator>' in content
    without = xml(song(quarters(ANY)), schema)
    assert "title" not in without
    assert "composer" not in without
    assert "Music21" not in without


def test_played_ornaments_are_written(schema: Any) -> None:
    trill = [Note(4 + 0.06 * k, 72 + 2 * (k % 2), 4.06 + 0.06 * k, 70) for k in range(15)]
    rolled = [Note(5.82 + 0.06 * k, pitch, 6.9, 70) for k, pitch in enumerate((72, 76, 79, 84))]
    grace = [Note(2.96, 75, 3.0, 60)]
    short = [Note(0.5 * k, 48, 0.5 * k + 0.1, 70) for k in range(16)]
    content = xml(song((*quarters(ANY[:8]), *trill, *rolled, *grace, *short)), schema)
    found = {name: content.count(f"<{name}") for name in ("trill-mark", "arpeggiate", "grace", "staccato")}
    assert found["trill-mark"] == found["grace"] == 1
    assert found["arpeggiate"] >= 1
    assert found["staccato"] >= 12


def test_loud_and_soft_are_written(schema: Any) -> None:
    quiet, loud = (
        quarters(ANY, 48),
        tuple(replace(n, onset=n.onset + 8, offset=n.offset + 8) for n in quarters(ANY, 96)),
    )
    content = xml(song((*quiet, *loud)), schema, Page(repeats=False))
    assert re.findall(r"<(p|f|mp|mf) />", content) == ["p", "f"]


def test_what_lies_far_above_is_under_8va(schema: Any) -> None:
    content = xml(song(quarters([72, 72, 72, 72, 91, 93, 95, 96, 72, 72, 72, 72])), schema)
    assert re.findall(r'<octave-shift.*?type="(\w+)"', content) == ["down", "stop"]
    assert "<octave>6</octave>" in content or "<octave>7</octave>" in content


def test_what_returns_is_between_repeat_signs(schema: Any) -> None:
    twice = song(quarters(ANY * 2 + [60, 62, 64, 65]))
    content = xml(twice, schema)
    assert re.findall(r'<repeat direction="(\w+)"', content)[0] == "forward"
    assert content.count("<measure ") == 5
    out = xml(twice, schema, Page(repeats=False))
    assert "<repeat" not in out
    assert out.count("<measure ") == 9


def test_two_endings(schema: Any) -> None:
    once = [*ANY[:12], *(pitch + 5 for pitch in ANY[:12]), 72, 74, 76, 77]
    content = xml(song(quarters([*once, 72, 71, 69, 67, *once, 64, 65, 67, 72])), schema)
    assert re.findall(r'<ending number="(\d)" type="start"', content) == ["1", "2"]
    assert content.count("<measure ") == 9


def test_unsure_notes_are_grey_where_that_is_asked_for(schema: Any) -> None:
    notes = (
        *quarters(ANY[:8]),
        *(replace(n, onset=n.onset + 4, offset=n.offset + 4) for n in quarters(ANY[:4], 70, 0.4)),
    )
    assert xml(song(notes), schema, Page(show_confidence=True)).count('color="#999999"') >= 4
    assert "color=" not in xml(song(notes), schema)


def test_a_lead_sheet_has_one_staff(schema: Any) -> None:
    bass = tuple(Note(2.0 * k, pitch, 2.0 * k + 1.9, 60) for k, pitch in enumerate((48, 52, 55, 48)))
    content = xml(song((*quarters(ANY), *bass)), schema, Page(lead_sheet=True))
    assert "<staves>" not in content
    assert "<pedal" not in content
    assert content.count("<harmony") >= 1
    assert not re.findall(r"<octave>[23]</octave>", content)
    assert xml(Transcription(), schema, Page(lead_sheet=True))


CHORDS = (Chord(0, 2, "Bb:maj/5"), Chord(2, 4, "F#:min7"), Chord(4, 8, "C:maj"))


def test_pedals_are_brackets_that_abut() -> None:
    pedals = tuple(Pedal(t + 0.02, t + 0.99) for t in (0.0, 1.0, 2.0, 3.0))
    content = to_musicxml(song(quarters(ANY), pedals=pedals)).decode()
    kinds = re.findall(r'<pedal line="yes".*?type="(\w+)"', content)
    assert kinds == ["start", "stop"] * 4


def test_signs_among_letters_need_no_music_font() -> None:
    (page,) = engraving.to_pages(song(quarters(ANY), chords=CHORDS))
    assert not PRIVATE.search(page)
    texts = ["".join(re.findall(r">([^<]*)<", text)) for text in re.findall(r"<text.*?</text>", page, re.DOTALL)]
    assert "B♭/F" in texts
    assert "F♯m7" in texts
    assert "= 120" in [text.replace("\xa0", " ").strip() for text in texts]


def test_the_head_of_a_page() -> None:
    long = song(tuple(Note(0.5 * k, 60 + k % 13, 0.5 * k + 0.4, 64 + k % 5) for k in range(64)))
    long = replace(
        long, notes=tuple(Note(n.onset + 32 * r, n.pitch, n.offset + 32 * r, 64) for r in range(16) for n in long.notes)
    )
    beats = tuple(0.5 * k for k in range(1025))
    long = replace(long, beats=beats, downbeats=beats[::4])
    first, second, *_ = engraving.to_pages(long, 1.0, Page("Waltz <1>", "N. N.", repeats=False))
    assert 'text-anchor="middle">Waltz &lt;1&gt;</text>' in first
    assert 'text-anchor="end">N. N.</text>' in first
    assert "Waltz" not in second
    assert 'text-anchor="middle">2</text>' in second
    (page,) = engraving.to_pages(song(quarters(ANY)), 1.0, Page("x" * 200))
    assert "x…</text>" in page


def test_the_last_page_is_filled() -> None:
    class Engraver:
        """Needs a page and a system with units of 9, and fewer with smaller ones."""

        options: Mapping[str, float] = {"unit": 9.0}

        def setOptions(self, options: Mapping[str, float]) -> None:  # noqa: N802
            self.options = options

        def redoLayout(self) -> None: ...  # noqa: N802

        def getPageCount(self) -> int:  # noqa: N802
            return 2 if self.options["unit"] > 8.4 else 1

        def renderToSVG(self, number: int) -> str:  # noqa: N802
            return 'class="system"' * (6 if number == 1 else 1)

    assert len(engraving._filled(Engraver())) == 1


def test_symbols_stand_above_the_upper_staff_where_it_rests() -> None:
    bass = tuple(Note(0.5 * k, 43 + k % 3, 0.5 * k + 0.45, 60) for k in range(16))
    labels = ("G:maj", "A:min", "D:7", "G:maj", "E:min", "C:maj", "D:maj", "G:maj")
    chords = tuple(Chord(k, k + 1, label) for k, label in enumerate(labels))
    (page,) = engraving.to_pages(song(bass, chords=chords))
    top = min(int(y) for y in re.findall(r'class="staff">\s*<path d="M\d+ (\d+)', page))
    symbols = [int(y) for y in re.findall(r'class="harm">\s*<text x="\d+" y="(\d+)"', page)]
    assert len(symbols) == 8
    assert max(symbols) < top
