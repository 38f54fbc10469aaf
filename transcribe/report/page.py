"""One HTML page that holds all it shows: the roll to scroll through, the sound to play, what was heard in words.

The page loads nothing from anywhere (its content security policy forbids it), so it can be mailed, archived and opened
without a network. What comes from files (titles, labels, warnings) is escaped.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from string import Template

from transcribe.events import Note, Transcription
from transcribe.report import sonify
from transcribe.report.instruments import COLOURS, families_in
from transcribe.report.roll import Scene, compare
from transcribe.theory.chords import chord_name
from transcribe.theory.families import DRUMS

_PAGE = Path(__file__).parent / "assets"
_HEARD, _HIT, _MISS, _EXTRA = range(4)  # as page.js knows them
_LEGEND = {
    "soft": "soft",
    "loud": "loud: thicker, and stronger in colour",
    "unsure": "less than 50 % sure",
    "hit": "hit",
    "miss": "missed",
    "extra": "extra",
}
# A page of more sound than so many seconds, 300 MB, is more than browsers open.
SOUND_SECONDS = 4 * 3600.0
_SILENCED = "There is no sound on this page, since the music lasts longer than 4 hours."
# Bytes of sound that are encoded at a time: whole groups of three.
_PIECE = 3 << 18
_HELP = (
    "Click or drag in the roll. Keys: space plays, ← → move by 5 s (with Shift 1 s), Page Up and Down by 30 s, "
    "+ and − zoom, S switches the sound."
)


def to_html(transcription: Transcription, scene: Scene | None = None) -> bytes:
    """Write the report.

    Parameters
    ----------
    transcription
        What was heard.
    scene
        The title; the recording, which is put in to be listened to; a reference, whose notes are compared. Without a
        recording only the transcription can be heard; with ``sound`` off, nothing.

    Returns
    -------
    bytes
        UTF-8; some 20 bytes a note, 8 kB a second of sound.
    """
    scene = scene or Scene()
    t = transcription
    end = max(t.duration, _end(t))
    sounds = _sounds(t, scene) if scene.sound and end <= SOUND_SECONDS else {}
    silenced = [] if not scene.sound or end <= SOUND_SECONDS else [_SILENCED]
    instruments = "<th>instrument</th>" if any(note.instrument for note in t.notes) else ""
    content = [
        *(f'<p class="warning">{escape(warning)}</p>' for warning in (*t.warnings, *silenced)),
        '<section id="player" aria-label="Player">',
        _toolbar(sounds),
        _slider('id="roll"', max(t.duration, _end(t), 0.1), f"Piano roll of {len(t.notes)} notes: position"),
        f'<p class="hint">{_HELP}</p>',
        _legend(("hit", "miss", "extra") if scene.reference else ("soft", "loud", "unsure")),
        _instruments(t, scene.reference),
        "</section>",
        "<h2>What was heard</h2>",
        _definitions(scene.summary),
        _chords(t),
        '<details id="notes"><summary>The notes as text<span></span></summary><div class="scroll" tabindex="0" '
        'role="region" aria-label="Notes"><table><thead><tr><th>onset s</th><th>length s</th><th>pitch</th>'
        f"<th>velocity</th><th>sure</th>{instruments}</tr></thead><tbody></tbody></table></div></details>",
    ]
    data = itertools.chain(
        [_json("data", roll_data(t, scene.reference))],
        *(_embedded(name, sound) for name, sound in sounds.items()),
    )
    made = "Heard by " + ", ".join(t.models.values()) + ". " if t.models else ""
    return _page(scene.title or "Transcription", content, data, made)


def compared(
    title: str, facts: Iterable[tuple[str, str]], pieces: Sequence[tuple[str, str, Transcription, Transcription]]
) -> bytes:
    """Write a page that compares transcriptions with the truth.

    Parameters
    ----------
    title
        Of the page.
    facts
        Name and value of the figures over all.
    pieces
        Name, figures in words, reference and estimate of each piece, in the order they are to stand in.
    """
    content = [
        _definitions(facts),
        "<h2>Pieces, the worst first</h2>",
        _legend(("hit", "miss", "extra")),
        f'<p class="hint">{_HELP.split(" Keys")[0]} Keys: ← → move, + and − zoom.</p>',
    ]
    data = []
    for number, (name, figures, reference, estimate) in enumerate(pieces):
        label = f"Piano roll of {name}: position"
        slider = _slider(f'data-source="piece-{number}"', max(_end(reference), _end(estimate), 0.1), label)
        content.append(
            f'<details class="piece"><summary><strong>{escape(name)}</strong> {escape(figures)}</summary>'
            f"{slider}</details>"
        )
        data.append(("\n" if number else "") + _json(f"piece-{number}", roll_data(estimate, reference)))
    return _page(title, content, data, "")


def roll_data(transcription: Transcription, reference: Transcription | None = None) -> dict[str, object]:
    """Flatten what the roll draws: rows of whole numbers, as ``page.js`` describes them."""
    if reference is None:
        kinds = [(transcription.notes, _HEARD)]
    else:
        hits, misses, extras = compare(reference.notes, transcription.notes)
        kinds = [(tuple(hits), _HIT), (tuple(misses), _MISS), (tuple(extras), _EXTRA)]
    rows = sorted((*_row(note, kind), note.instrument or "") for notes, kind in kinds for note in notes)
    instruments = [row[-1] for row in rows]
    more: dict[str, object] = {}
    if any(instruments):
        more |= {"instruments": instruments, "colours": {f: COLOURS[f] for f in families_in(transcription, reference)}}
    if transcription.drums:
        more["drums"] = [
            [round(1000 * drum.onset), DRUMS.index(drum.label), drum.velocity] for drum in transcription.drums
        ]
    return {
        "duration": round(max(_end(transcription), _end(reference) if reference else 0.0, 0.1), 3),
        "notes": [value for row in rows for value in row[:-1]],
        "pedals": [round(1000 * time) for pedal in transcription.pedals for time in (pedal.onset, pedal.offset)],
        "chords": [
            [round(chord.onset, 3), round(chord.offset, 3), chord_name(chord.label)] for chord in transcription.chords
        ],
        "beats": [round(beat, 3) for beat in transcription.beats],
        **more,
    }


def _row(note: Note, kind: int) -> tuple[int, ...]:
    length = max(1, round(1000 * (note.offset - note.onset)))
    return round(1000 * note.onset), length, note.pitch, note.velocity, round(100 * note.confidence), kind


def _end(transcription: Transcription) -> float:
    return max([transcription.duration, *(note.offset for note in transcription.notes)])


def _sounds(transcription: Transcription, scene: Scene) -> dict[str, Callable[[], bytes]]:
    """Name what is there to listen to, and what encodes it: one after the other, when it is put in."""
    sounds: dict[str, Callable[[], bytes]] = {}
    if scene.recording is not None:
        sounds["recording"] = partial(sonify.encode, scene.recording, ".mp3", scene.sample_rate)
    if transcription.notes:
        sounds["transcription"] = partial(sonify.to_audio, transcription, ".mp3")
    return sounds


def _embedded(name: str, sound: Callable[[], bytes]) -> Iterator[str]:
    """Yield the element that holds a sound, in pieces."""
    content = sound()
    yield f'\n<script type="text/plain" id="sound-{name}">'
    for start in range(0, len(content), _PIECE):
        yield base64.b64encode(content[start : start + _PIECE]).decode()
    yield "</script>"


def _toolbar(sounds: Collection[str]) -> str:
    parts = []
    if sounds:
        parts.append('<button id="play" type="button">Play</button>')
    parts.append('<span id="clock"></span>')
    if len(sounds) > 1:
        choices = [
            f'<label><input type="radio" name="sound" value="{name}"{" checked" if not i else ""}> {name}</label>'
            for i, name in enumerate(sounds)
        ]
        parts.append('<span role="radiogroup" aria-label="Sound" class="choices">' + "".join(choices) + "</span>")
    if sounds:
        speeds = "".join(
            f'<option value="{speed}"{" selected" if speed == 1 else ""}>{speed:g} ×</option>'
            for speed in (0.5, 0.75, 1, 1.25)
        )
        parts.append(f'<label>Speed <select id="speed">{speeds}</select></label>')
    parts.append(
        '<span class="end"><button id="zoom-out" type="button" aria-label="Zoom out">−</button>'
        '<button id="zoom-in" type="button" aria-label="Zoom in">+</button></span>'
    )
    return '<div class="bar">' + "".join(parts) + "</div>"


def _slider(attributes: str, duration: float, label: str) -> str:
    return (
        f'<div class="roll" {attributes} tabindex="0" role="slider" aria-label="{escape(label)}" aria-valuemin="0" '
        f'aria-valuemax="{int(duration) + 1}" aria-valuenow="0" aria-valuetext="0:00"></div>'
    )


def _legend(kinds: Iterable[str]) -> str:
    items = "".join(f'<li><span class="{kind}"></span>{escape(_LEGEND[kind])}</li>' for kind in kinds)
    return f'<ul class="legend">{items}</ul>'


def _instruments(t: Transcription, reference: Transcription | None) -> str:
    """Name the colours of the instruments; nothing where there are none."""
    items = "".join(
        f'<li><span style="background:{COLOURS[family]}"></span>{family}</li>' for family in families_in(t, reference)
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _definitions(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"


def _chords(transcription: Transcription) -> str:
    if not transcription.chords:
        return ""
    lines = "".join(
        f"<tr><td>{chord.onset:.2f}</td><td>{chord.offset:.2f}</td><td>{escape(chord_name(chord.label))}</td>"
        f"<td>{escape(chord.label)}</td><td>{chord.confidence:.0%}</td></tr>"
        for chord in transcription.chords
    )
    return (
        '<details><summary>The chords as text</summary><div class="scroll" tabindex="0" role="region" '
        'aria-label="Chords"><table><thead><tr><th>from s</th><th>to s</th><th>chord</th><th>Harte</th><th>sure</th>'
        f"</tr></thead><tbody>{lines}</tbody></table></div></details>"
    )


def _json(name: str, value: object) -> str:
    """Put data into the page; no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _page(title: str, content: Sequence[str], data: Iterable[str], made: str) -> bytes:
    from transcribe import __version__

    before, after = (
        Template(part).substitute(
            title=escape(title),
            version=__version__,
            css=(_PAGE / "page.css").read_text(encoding="utf-8"),
            script=(_PAGE / "page.js").read_text(encoding="utf-8"),
            content="\n".join(part for part in content if part),
            made=f"{escape(made)}Written by pitchai {__version__}; nothing on this page comes from a network.",
        )
        for part in (_PAGE / "report.html").read_text(encoding="utf-8").split("$data")
    )
    # Piece by piece: with two hours of sound a page is 150 MB, and there is to be no second of it.
    page = io.BytesIO()
    for text in itertools.chain([before], data, [after]):
        page.write(text.encode("utf-8", "backslashreplace"))  # file names may hold bytes that are no text
    return page.getvalue()
