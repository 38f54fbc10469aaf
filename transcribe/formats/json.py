"""A whole transcription as JSON; :mod:`transcribe.formats.schema` describes it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from transcribe.errors import InputError
from transcribe.events import Chord, Key, Note, Pedal, Tag, Transcription, Tuning
from transcribe.formats import schema
from transcribe.formats.format import checked
from transcribe.score.chart import bars_and_beats


def to_dict(transcription: Transcription) -> dict[str, Any]:
    """Everything as plain values, times rounded to 0.1 ms; every chord with the bar and the beat it begins on."""
    values = {"version": schema.VERSION, **_rounded(asdict(transcription))}
    for chord, place in zip(values["chords"], bars_and_beats(transcription), strict=True):
        chord["bar"], chord["beat"] = place or (None, None)
    return values


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def to_json(transcription: Transcription) -> bytes:
    """Write the whole transcription as one JSON document."""
    return (json.dumps(to_dict(transcription), ensure_ascii=False) + "\n").encode()


def from_json(content: bytes) -> Transcription:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    InputError
        If it is something else, or of a later version.
    """
    try:
        values = json.loads(content)
        if b"\\ud" in content.lower():  # half a character, which no file can hold
            json.dumps(values, ensure_ascii=False).encode()
        if values.pop("version") != schema.VERSION:
            raise InputError(f"a transcription of another version than {schema.VERSION}; update pitchai")
        events = {"notes": Note, "pedals": Pedal, "chords": Chord, "instruments": Tag, "genres": Tag, "keys": Key}
        events |= {"tunings": Tuning}
        for name, kind in events.items():
            values[name] = tuple(
                kind(**{f.name: event[f.name] for f in fields(kind)}) for event in values.get(name, ())
            )
        for name in ("notes", "pedals"):
            values[name] = tuple(sorted(values[name]))
        for name in ("beats", "downbeats", "warnings"):
            values[name] = tuple(values.get(name, ()))
        return checked(Transcription(**values))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"not a transcription: {' '.join(str(error).split())}") from None
