"""The page: one front end for a file that holds all it shows, and for ``pitchai serve``.

As a file it loads nothing from anywhere (its content security policy forbids it, and allows the one script that it
holds by its hash), so it can be mailed, archived and opened without a network. Served, the same templates, styles and
scripts come from the server, and the data through its API. All words are in ``assets/strings.json``. What comes from
files (titles, labels, warnings) is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from transcribe.events import Note, Transcription
from transcribe.report import sonify
from transcribe.report.instruments import COLOURS
from transcribe.report.roll import Scene, compare
from transcribe.report.view import view
from transcribe.theory.chords import QUALITIES, chord_name
from transcribe.theory.families import DRUMS, FAMILIES

#: Where the styles and scripts are, and the samples of the piano.
ASSETS, SAMPLES = Path(__file__).parent / "assets", Path(__file__).parent / "piano"
#: In the order in which they are loaded.
SCRIPTS = (
    "helpers.js", "song.js", "palette.js", "sampler.js", "shifter.js", "player.js", "roll-pointer.js", "roll-frame.js",
    "roll.js", "falling.js", "score.js", "editing.js", "panels.js", "beats-panel.js", "files.js", "live.js", "keys.js",
    "main.js", "start.js",
)  # fmt: skip
# Those that correct and that talk to a server have nothing to do in a file.
_SERVED_ONLY = frozenset({"editing.js", "beats-panel.js", "files.js", "live.js"})
STYLE = "page.css"
_HIT, _MISS, _EXTRA = range(1, 4)  # as song.js knows them
_LEGEND = ("hit", "miss", "extra")
# A page of more sound than so many seconds, 300 MB, is more than browsers open.
SOUND_SECONDS = 4 * 3600.0
# Bytes of sound that are encoded at a time: whole groups of three.
_PIECE = 3 << 18
# A page says itself what it may do: nothing but what it holds.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; media-src blob:; img-src blob: data:; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)


def to_html(
    transcription: Transcription,
    scene: Scene | None = None,
    score: Mapping[str, Any] | None = None,
    pages: Iterable[str] = (),
) -> bytes:
    """Write the page as one file.

    Parameters
    ----------
    transcription
        What was heard.
    scene
        The title; the recording, which is put in to be listened to; a reference, whose notes are compared. Without a
        recording only the transcription can be heard; with ``sound`` off, nothing.
    score, pages
        Where everything stands on the engraved score (:class:`transcribe.formats.engraving.Engraved`), and its
        pages of SVG; none where nothing was engraved.

    Returns
    -------
    bytes
        UTF-8; some 110 bytes a note, 8 kB a second of sound and 180 kB for the piano that plays the notes.
    """
    scene = scene or Scene()
    t = transcription
    shown = view(t, scene.title or "Transcription")
    if scene.reference is not None:
        shown |= _compared_notes(scene.reference, t)
    heard = scene.sound and shown["duration"] <= SOUND_SECONDS
    warnings = [*t.warnings, *([_strings()["silenced"]] if scene.sound and not heard else [])]
    data: list[Iterable[str]] = [[_json("data", shown)]]
    if heard and scene.recording is not None:
        data.append(_embedded("sound-recording", sonify.encode(scene.recording, ".mp3", scene.sample_rate)))
    if heard and t.notes:
        data.append([_json("samples", {path.name: _base64(path.read_bytes()) for path in _samples()})])
    if score is not None:
        data.append([_json("score-data", {"places": score, "svg": [_deflated(page) for page in pages]})])
    content = [
        _legend(_LEGEND) if scene.reference else "",
        f"<h2>{_strings()['heard']}</h2>" if scene.summary else "",
        _definitions(scene.summary) if scene.summary else "",
    ]
    made = _strings()["heard_by"].format(models=", ".join(t.models.values())) if t.models else ""
    fields = {
        "content": "\n".join(filter(None, content)),
        "warnings": "".join(f'<p class="warning">{escape(warning)}</p>' for warning in warnings),
        "hint": _strings()["hint_play"],
        "keys": _table_of_keys(_strings()["keys_play"]),
    }
    return _alone("app.html", scene.title or "Transcription", fields, itertools.chain(*data), made)


def served(formats: Sequence[str]) -> bytes:
    """Write the page that a server gives: without data, its styles and scripts beside it under ``/assets/``.

    Parameters
    ----------
    formats
        The names of the formats that the server writes.
    """
    fields = {
        "title": _strings()["files_title"],
        "content": "", "warnings": "", "made": _made(""), "policy": "", "song_hidden": " hidden",
        "hint": _strings()["hint_edit"],
        "keys": _table_of_keys([*_strings()["keys_play"], *_strings()["keys_edit"]]),
        "style": f'<link rel="stylesheet" href="/assets/{STYLE}"><link rel="icon" href="data:,">',
        "files": _filled("files.html", {}),
        "panels": _filled("panels.html", {}),
        "chord_form": _chord_form(),
        "data": _json("config", {**_config(), "served": True, "formats": list(formats)}),
        "scripts": "\n".join(f'<script src="/assets/{name}" defer></script>' for name in SCRIPTS),
    }  # fmt: skip
    return _filled("app.html", fields).encode()


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
        f"<h2>{_strings()['pieces']}</h2>",
        _legend(_LEGEND),
        f'<p class="hint">{_strings()["hint_compared"]}</p>',
    ]
    data = []
    for number, (name, figures, reference, estimate) in enumerate(pieces):
        label = escape(_strings()["roll_of_piece"].format(name=name))
        duration = int(max(_end(reference), _end(estimate), 0.1)) + 1
        content.append(
            f'<details class="piece"><summary><strong>{escape(name)}</strong> {escape(figures)}</summary>'
            f'<div class="roll" data-source="piece-{number}" tabindex="0" role="slider" aria-label="{label}" '
            f'aria-valuemin="0" aria-valuemax="{duration}" aria-valuenow="0" aria-valuetext="0:00"></div></details>'
        )
        data.append(("\n" if number else "") + _json(f"piece-{number}", roll_data(estimate, reference)))
    return _alone("compared.html", title, {"content": "\n".join(content)}, data, "")


def roll_data(transcription: Transcription, reference: Transcription) -> dict[str, object]:
    """Flatten what the roll of a comparison draws: rows of whole numbers, as ``song.js`` describes them."""
    rows = sorted(
        _row(note, kind)
        for notes, kind in zip(compare(reference.notes, transcription.notes), (_HIT, _MISS, _EXTRA), strict=True)
        for note in notes
    )
    return {
        "duration": round(max(_end(transcription), _end(reference), 0.1), 3),
        "notes": [value for row in rows for value in row],
        "pedals": [round(1000 * time) for pedal in transcription.pedals for time in (pedal.onset, pedal.offset)],
        "chords": [
            [round(chord.onset, 3), round(chord.offset, 3), chord_name(chord.label)] for chord in transcription.chords
        ],
        "beats": [round(beat, 3) for beat in transcription.beats],
    }


def _compared_notes(reference: Transcription, transcription: Transcription) -> dict[str, Any]:
    """Put hits, misses and extras in the place of the notes."""
    notes = [
        {"onset": round(n.onset, 4), "offset": round(n.offset, 4), "pitch": n.pitch, "velocity": n.velocity,
         "confidence": round(n.confidence, 4), "kind": kind}
        for found, kind in zip(compare(reference.notes, transcription.notes), (_HIT, _MISS, _EXTRA), strict=True)
        for n in found
    ]  # fmt: skip
    document = view(transcription)["transcription"]
    return {"transcription": {**document, "notes": notes}, "hands": [], "doubts": []}


def _row(note: Note, kind: int) -> tuple[int, ...]:
    length = max(1, round(1000 * (note.offset - note.onset)))
    return round(1000 * note.onset), length, note.pitch, note.velocity, round(100 * note.confidence), kind


def _end(transcription: Transcription) -> float:
    return max([transcription.duration, *(note.offset for note in transcription.notes)])


@cache
def _strings() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ASSETS / "strings.json").read_text(encoding="utf-8"))
    return found


def _config() -> dict[str, object]:
    """Tell the scripts what they need of the rest of the program."""
    return {
        "served": False,
        "strings": _strings(),
        "families": FAMILIES,
        "colours": dict(COLOURS),
        "drums": DRUMS,
        "chords": dict(QUALITIES),
        "samples": [path.name for path in _samples()],
    }


@cache
def _samples() -> tuple[Path, ...]:
    return tuple(sorted(SAMPLES.glob("*.ogg")))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _deflated(text: str) -> str:
    return _base64(zlib.compress(text.encode(), 9))


def _embedded(name: str, content: bytes) -> Iterator[str]:
    """Yield the element that holds a sound, in pieces."""
    yield f'\n<script type="text/plain" id="{name}">'
    for start in range(0, len(content), _PIECE):
        yield _base64(content[start : start + _PIECE])
    yield "</script>"


def _chord_form() -> str:
    return (
        '<form id="chord-form" class="bar"><label>{chord_label} <input id="chord-label" type="text" size="10" '
        'autocomplete="off" spellcheck="false"></label><button type="submit">{rename}</button></form>'
    ).format(**_strings())


def _table_of_keys(keys: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(what)}</dd>" for key, what in keys) + "</dl>"


def _legend(kinds: Iterable[str]) -> str:
    items = "".join(f'<li><span class="{kind}"></span>{escape(_strings()[f"legend_{kind}"])}</li>' for kind in kinds)
    return f'<ul class="legend">{items}</ul>'


def _definitions(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows) + "</dl>"


def _json(name: str, value: object) -> str:
    """Put data into the page; no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _made(models: str) -> str:
    from transcribe import __version__

    return f"{escape(models)}{_strings()['made'].format(version=__version__)}"


def _filled(template: str, fields: Mapping[str, str]) -> str:
    from transcribe import __version__

    words = {f"s_{name}": escape(text) for name, text in _strings().items() if isinstance(text, str)}
    text = (ASSETS / template).read_text(encoding="utf-8")
    return Template(text).substitute({**words, "version": __version__, **fields})


def _alone(template: str, title: str, fields: Mapping[str, str], data: Iterable[str], models: str) -> bytes:
    """Put a page together that holds everything: ``data`` comes piece by piece, with hours of sound in it."""
    script = "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS if name not in _SERVED_ONLY)
    digest = _base64(hashlib.sha256(f"\n{script}".encode()).digest())
    policy = _POLICY.format(scripts=f"'sha256-{digest}'")
    style = (ASSETS / STYLE).read_text(encoding="utf-8")
    filled = _filled(
        template,
        {
            "title": escape(title),
            "policy": f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            "style": f"<style>\n{style}</style>",
            "files": "", "panels": "", "chord_form": "", "song_hidden": "",
            "made": _made(models),
            "data": "$data",
            "scripts": f"{_json('config', _config())}\n<script>\n{script}</script>",
            **fields,
        },
    )  # fmt: skip
    before, after = filled.split("\n$data\n")
    # Piece by piece: with two hours of sound a page is 100 MB, and there is to be no second of it.
    page = io.BytesIO()
    for text in itertools.chain([before, "\n"], data, ["\n", after]):
        page.write(text.encode("utf-8", "backslashreplace"))  # file names may hold bytes that are no text
    return page.getvalue()
