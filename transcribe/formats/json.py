"""A whole transcription as JSON; :mod:`transcribe.formats.schema` describes it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from itertools import zip_longest

from transcribe.errors import InputError
from transcribe.events import Chord, Drum, Forecast, Key, Metre, Note, Pedal, Tag, Transcription, Tuning
from transcribe.formats import schema
from transcribe.formats.format import checked
from transcribe.formats.reading import check_count
from transcribe.score.chart import bars_and_beats


def to_dict(transcription: Transcription) -> dict[str, object]:
    """Everything as plain values, times rounded to 0.1 ms; every chord with the bar and the beat it begins on.

    What :data:`transcribe.formats.schema.OPTIONAL` names is left out where nothing is known.
    """
    values = asdict(transcription)
    for holder in (values, *values["notes"]):
        for name in schema.OPTIONAL.intersection(holder):
            if not holder[name]:
                del holder[name]
    for chord, place in zip(values["chords"], bars_and_beats(transcription), strict=True):
        chord["bar"], chord["beat"] = place or (None, None)
    return {"version": schema.VERSION, **{name: _rounded(value) for name, value in values.items()}}


def _rounded(value: object) -> object:
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
    check_count(content.count(b"{") + content.count(b"["))  # each takes memory, whatever it holds
    try:
        values = json.loads(content)
        if b"\\ud" in content.lower():  # half a character, which no file can hold
            json.dumps(values, ensure_ascii=False).encode()
        if values.pop("version") != schema.VERSION:
            raise InputError(f"a transcription of another version than {schema.VERSION}; update pitchai")
        events = {"notes": Note, "pedals": Pedal, "chords": Chord, "instruments": Tag, "genres": Tag, "keys": Key}
        events |= {"metres": Metre, "tunings": Tuning, "drums": Drum}
        for name in (*events, "beats", "beat_confidences", "downbeats", "warnings"):
            if not isinstance(values.get(name, []), list):
                raise InputError(f"{name} are no list")
        for name, kind in events.items():
            required = {f.name for f in fields(kind)} - schema.OPTIONAL
            values[name] = tuple(
                kind(**{f.name: event[f.name] for f in fields(kind) if f.name in required or f.name in event})
                for event in values.get(name, ())
            )
        # Beats and their confidences belong together: none of them is put in order without the other.
        pairs = sorted(
            zip_longest(values.get("beats", ()), values.get("beat_confidences", ())), key=lambda pair: pair[0]
        )
        values["beats"] = tuple(beat for beat, _ in pairs)
        values["beat_confidences"] = tuple(confidence for _, confidence in pairs if confidence is not None)
        for name in ("notes", "drums", "pedals", "chords", "keys", "downbeats"):
            values[name] = tuple(sorted(values.get(name, ())))
        values["warnings"] = tuple(values.get("warnings", ()))
        if values.get("forecast") is not None:
            values["forecast"] = Forecast(values["forecast"]["precision"], values["forecast"]["recall"])
        # What --json adds, or a later version, is passed over, as the schema allows.
        known = {f.name for f in fields(Transcription)}
        return checked(Transcription(**{name: value for name, value in values.items() if name in known}))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"not a transcription: {' '.join(str(error).split())}") from None
