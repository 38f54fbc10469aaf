"""The JSON schema of a transcription (draft 2020-12), derived from the dataclasses that it describes."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from transcribe.events import Chord, Transcription

VERSION = 1
# Fields that later versions added: they are left out where nothing is known, and so may be absent.
OPTIONAL = frozenset({"drums", "instrument", "forecast"})
Schema = dict[str, Any]
_PLAIN: dict[object, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}
# Ranges that the types don't tell.
_RANGES: dict[str, dict[str, float]] = {
    "onset": {"minimum": 0},
    "offset": {"minimum": 0},
    "duration": {"minimum": 0},
    "tuning": {"minimum": -50, "maximum": 50},
    "cents": {"minimum": -50, "maximum": 50},
    "pitch": {"minimum": 0, "maximum": 127},
    "velocity": {"minimum": 0, "maximum": 127},
    "confidence": {"minimum": 0, "maximum": 1},
    "probability": {"minimum": 0, "maximum": 1},
    "precision": {"minimum": 0, "maximum": 1},
    "recall": {"minimum": 0, "maximum": 1},
}

# Where a chord begins, which follows from the beats: its bar, 0 for what precedes the first, and its beat from 1.
_PLACE: dict[str, Schema] = {
    "bar": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
    "beat": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
}


def schema() -> Schema:
    """Describe the document that ``--json`` prints and ``-o song.json`` writes.

    ``--json`` adds ``input``, ``outputs`` and ``device``; whatever else is added later is allowed too.
    """
    described = _object(Transcription)
    described["properties"]["chords"]["items"] = _object(Chord, _PLACE)
    described["properties"] = {"version": {"const": VERSION}, **described["properties"]}
    described["required"] = ["version", *described["required"]]
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pitchai transcription"}
    return {**about, **described}


def _object(kind: type, more: Mapping[str, Schema] = types.MappingProxyType({})) -> Schema:
    hints = typing.get_type_hints(kind)
    properties = {f.name: {**_described(hints[f.name]), **_RANGES.get(f.name, {})} for f in fields(kind)}
    required = [f.name for f in fields(kind) if f.name not in OPTIONAL]
    return {"type": "object", "properties": {**properties, **more}, "required": [*required, *more]}


def _described(hint: object) -> Schema:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if is_dataclass(hint):
        return _object(typing.cast(type, hint))
    if origin is tuple:
        return {"type": "array", "items": _described(arguments[0])}
    if origin is Mapping:
        return {"type": "object"}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_described(argument) for argument in arguments]}
    raise TypeError(f"no JSON for {hint}")
