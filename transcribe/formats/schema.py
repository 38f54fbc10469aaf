"""The JSON schema of a transcription (draft 2020-12), derived from the dataclasses that it describes."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from transcribe.events import Chord, Transcription
from transcribe.report.document import OPTIONAL, VERSION

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
    "tuning": {"minimum": -55, "maximum": 50},
    "cents": {"minimum": -55, "maximum": 50},
    "pitch": {"minimum": 0, "maximum": 127},
    "velocity": {"minimum": 0, "maximum": 127},
    "confidence": {"minimum": 0, "maximum": 1},
    "probability": {"minimum": 0, "maximum": 1},
    "precision": {"minimum": 0, "maximum": 1},
    "recall": {"minimum": 0, "maximum": 1},
}

# What every field is, and in which unit; by the class and the field, or by the field alone.
_ABOUT: dict[str, str] = {
    "onset": "When it begins, in seconds from the start of the recording (of the excerpt with --start).",
    "offset": "When it ends, in seconds from the start.",
    "Note.offset": "When the key is released, in seconds from the start; the pedal may let it sound on.",
    "pitch": "The MIDI number: 60 is middle C, 69 is A = 440 Hz.",
    "velocity": "How hard it is struck, as in MIDI: 1 (softest) to 127 (loudest); 0 where it isn't known.",
    "confidence": "The calibrated probability (0-1) that it is right.",
    "probability": "The calibrated probability (0-1) that the label applies.",
    "instrument": "The family of the instrument; absent where it isn't known.",
    "hand": "The hand that plays it, right or left; absent unless it was corrected.",
    "spelling": "How it is written, without the octave (F#); absent unless it was corrected.",
    "edits": "The corrections, in order; the other fields are as heard.",
    "label": "What it is called.",
    "Chord.label": "The chord in Harte's syntax: C:maj, A:min7/b3, N for none.",
    "Key.label": "The key: Eb major, F# minor.",
    "Metre.label": "The metre as it is written: 3/4, 6/8.",
    "Drum.label": "The drum or cymbal.",
    "cents": "How far A lies above 440 Hz, in cents (hundredths of a semitone); below where negative.",
    "bar": "The bar that it begins in, from 1; 0 is a pick-up, null where no bars are known.",
    "beat": "The beat of its bar that it begins on, from 1; null where no bars are known.",
    "notes": "The notes, in the order of their onsets.",
    "pedals": "When the sustain pedal is down.",
    "beats": "The times of the beats, in seconds.",
    "downbeats": "The times of the beats that begin bars, in seconds.",
    "chords": "The chords: each ends where the next begins.",
    "instruments": "Which instruments play, and when; spans may overlap.",
    "genres": "Guesses at the genre, the likeliest first.",
    "duration": "How long the recording (or the excerpt) is, in seconds.",
    "tuning": "How far the recording lies above A = 440 Hz, in cents; null where it isn't known.",
    "tunings": "The tuning of each section.",
    "tempo": "Beats a minute, the median; null where no beats are clear.",
    "beat_confidence": "How far the beats are to be trusted (0-1); 1 where they were given.",
    "key": "The key of the whole: Eb major, F# minor.",
    "keys": "The key of each section.",
    "beat_confidences": "The confidence (0-1) of every beat.",
    "metres": "The metre of each section.",
    "novelty": "The share of the sound (0-1) in which something else than a keyboard is likeliest.",
    "piano_share": "The share of the first minute's notes (0-1) that are a piano's; null where it wasn't asked.",
    "drums": "Strokes on drums and cymbals; absent where none are known.",
    "precision": "The share of the notes (0-1) that are expected to be right; null where it isn't known.",
    "recall": "The share of what was played (0-1) that is expected to be among the notes; null where it isn't known.",
    "forecast": "How many of the notes will prove right; null where nobody can tell.",
    "warnings": "What should be known of the recording, one line each.",
    "models": "The weights that heard it, by task.",
    "settings": "What the result depends on: thresholds, the excerpt and so on.",
}

# Where a chord begins, which follows from the beats: its bar, 0 for what precedes the first, and its beat from 1.
_PLACE: dict[str, Schema] = {
    "bar": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "description": _ABOUT["bar"]},
    "beat": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "description": _ABOUT["beat"]},
}

_KEY: Schema = {
    "type": "object",
    "description": "The note as it stands before the operation, its onset within 0.1 ms.",
    "properties": {
        name: {"type": kind, **_RANGES[name], "description": _ABOUT[name]}
        for name, kind in (("pitch", "integer"), ("onset", "number"))
    },
    "required": ["pitch", "onset"],
}
_OF_NOTE: dict[str, Schema] = {
    "onset": {"type": "number", "minimum": 0, "description": _ABOUT["onset"]},
    "offset": {"type": "number", "minimum": 0, "description": _ABOUT["Note.offset"]},
    "pitch": {"type": "integer", "minimum": 0, "maximum": 127, "description": _ABOUT["pitch"]},
    "velocity": {"type": "integer", "minimum": 1, "maximum": 127, "description": _ABOUT["velocity"]},
    "instrument": {"type": ["string", "null"], "description": _ABOUT["instrument"]},
    "hand": {"enum": ["right", "left", None], "description": "The hand that plays it; null as it is found."},
    "spelling": {
        "type": ["string", "null"],
        "pattern": "^[A-G](#{0,2}|b{0,2})$",
        "description": "How it is written, without the octave (F#); null as it is found.",
    },
}
_ADDED: Schema = {
    "type": "object",
    "description": "The note that is added.",
    "properties": _OF_NOTE,
    "required": ["onset", "offset", "pitch", "velocity"],
}
_CHANGED: Schema = {
    "type": "object",
    "description": "What becomes different.",
    "properties": _OF_NOTE,
    "minProperties": 1,
}


def _times(about: str) -> Schema:
    return {"type": "array", "items": {"type": "number", "minimum": 0}, "description": about}


# What each operation takes; all of it is required but what stands in _MAY.
_OPERATIONS: dict[str, dict[str, Schema]] = {
    "add": {"note": _ADDED},
    "delete": {"note": _KEY},
    "change": {"note": _KEY, "to": _CHANGED},
    "accept": {"note": _KEY},
    "beats": {
        "beats": _times("The beats that were tapped, in seconds."),
        "downbeats": _times("Those of them that begin a bar."),
    },
    "tempo": {"factor": {"enum": [2, 0.5], "description": "Twice as many beats, or half as many."}},
    "shift": {"beats": {"type": "integer", "description": "Beats by which every bar begins later."}},
    "metre": {"metre": {"type": "string", "description": "The time signature, such as 3/4."}},
    "key": {"key": {"type": "string", "description": "The key, such as E minor."}},
    "pickup": {
        "beats": {"type": "number", "minimum": 0, "exclusiveMaximum": 64, "description": "Beats before the first bar."}
    },
    "chord": {
        "onset": {"type": "number", "minimum": 0, "description": "When the chord begins, in seconds."},
        "label": {"type": "string", "description": "What it is called, as a Harte label."},
    },
}
_MAY = frozenset({"downbeats"})


def schema() -> Schema:
    """Describe the document that ``--json`` prints and ``-o song.json`` writes.

    ``--json`` adds ``input``, ``outputs`` and ``device``; whatever else is added later is allowed too.
    """
    described = _object(Transcription)
    described["properties"]["chords"]["items"] = _object(Chord, _PLACE)
    described["properties"]["edits"]["items"] = {
        "oneOf": [
            {
                "type": "object",
                "properties": {"op": {"const": name, "description": "What is done."}, **given},
                "required": ["op", *(field for field in given if field not in _MAY)],
            }
            for name, given in _OPERATIONS.items()
        ]
    }
    described["properties"] = {"version": {"const": VERSION}, **described["properties"]}
    described["required"] = ["version", *described["required"]]
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pitchai transcription"}
    return {**about, **described}


def _object(kind: type, more: Mapping[str, Schema] = types.MappingProxyType({})) -> Schema:
    hints = typing.get_type_hints(kind)
    properties = {
        f.name: {
            **_described(hints[f.name]),
            **_RANGES.get(f.name, {}),
            "description": _ABOUT.get(f"{kind.__name__}.{f.name}") or _ABOUT[f.name],
        }
        for f in fields(kind)
    }
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
