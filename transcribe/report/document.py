"""A whole transcription as the plain values that its JSON holds; :mod:`transcribe.formats.schema` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from transcribe.events import Transcription
from transcribe.score.chart import bars_and_beats

VERSION = 1
# Fields that later versions added: they are left out where nothing is known, and so may be absent.
OPTIONAL = frozenset({"drums", "edits", "forecast", "hand", "instrument", "spelling"})


def to_dict(transcription: Transcription, exact: bool = False) -> dict[str, Any]:
    """Everything as plain values, times rounded to 0.1 ms; every chord with the bar and the beat it begins on.

    What :data:`OPTIONAL` names is left out where nothing is known. ``exact``: times aren't rounded.
    """
    values = plain(transcription)
    for holder in (values, *values["notes"]):
        for name in OPTIONAL.intersection(holder):
            if not holder[name]:
                del holder[name]
    for chord, place in zip(values["chords"], bars_and_beats(transcription), strict=True):
        chord["bar"], chord["beat"] = place or (None, None)
    return {"version": VERSION, **(values if exact else {name: _rounded(value) for name, value in values.items()})}


@cache
def _names(kind: type) -> tuple[str, ...]:
    """Name the fields of a dataclass."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def plain(value: Any) -> Any:
    """Make tables of dataclasses, as ``dataclasses.asdict`` does, which takes several times as long."""
    kind: Any = type(value)
    if kind in (float, int, str, bool, type(None)):
        return value
    if names := _names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if kind in (tuple, list):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
