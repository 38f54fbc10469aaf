"""The operations: what each must hold. The JSON's schema says the same (:mod:`transcribe.formats.schema`).

::

    add      note {onset, offset, pitch, velocity, instrument?, hand?, spelling?}
    delete   note KEY
    change   note KEY, to {any of onset, offset, pitch, velocity, instrument, hand, spelling}
    accept   note KEY                     it is right: its confidence becomes 1
    beats    beats [s …], downbeats [s …] a stretch of beats that was tapped, and those that begin bars
    tempo    factor 2 or 0.5              twice as many beats, or half
    shift    beats n                      every bar line n beats later
    metre    metre "3/4"
    key      key "E minor"
    pickup   beats n                      from the first note to the first bar line
    chord    onset s, label               the chord that begins there

A KEY is ``{"pitch": 60, "onset": 1.2345}``: the note as it stands before the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transcribe.errors import InputError
from transcribe.formats.format import HANDS, LONGEST
from transcribe.score.beats import MAX_GAP, MIN_GAP
from transcribe.theory.chords import parse
from transcribe.theory.families import FAMILIES
from transcribe.theory.keys import signature
from transcribe.theory.metres import parse_metre
from transcribe.theory.spelling import spells

Edit = Mapping[str, Any]
#: More operations than this are no corrections.
MOST = 100_000
# Beats that were tapped.
_MOST_BEATS = 200_000


def check(edit: object) -> str:
    """Give the name of an operation that can be done.

    Raises
    ------
    InputError
        If it is none: says why in a line.
    """
    if not isinstance(edit, Mapping):
        raise InputError(f"an edit is a table with an op, not {_shown(edit)}")
    name = edit.get("op")
    if not isinstance(name, str) or name not in _CHECKS:
        raise InputError(f"there is no operation {_shown(name)}; a later pitchai may know it")
    needed, may = _FIELDS[name]
    missing = [field for field in needed if field not in edit]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}")
    unknown = sorted(set(map(str, edit)) - {"op", *needed, *may})
    if unknown:
        raise InputError(f"{name} has no {_shown(unknown[0])}")
    _CHECKS[name](edit)
    return name


def _shown(value: object) -> str:
    return repr(value)[:60]


def _number(value: object, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(f"{what} is no number from {low:g} to {high:g}: {_shown(value)}")
    return float(value)


def _whole(value: object, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{what} is no whole number from {low} to {high}: {_shown(value)}")
    return value


def _of_note(values: object, needed: tuple[str, ...]) -> None:
    if not isinstance(values, Mapping):
        raise InputError(f"a note is a table, not {_shown(values)}")
    missing = [name for name in needed if name not in values]
    if missing:
        raise InputError(f"a note lacks {', '.join(missing)}")
    for name, value in values.items():
        if name in ("onset", "offset"):
            _number(value, name, 0, LONGEST)
        elif name == "pitch":
            _whole(value, name, 0, 127)
        elif name == "velocity":
            _whole(value, name, 1, 127)
        elif name == "instrument":
            if value not in (None, *FAMILIES):
                raise InputError(f"there is no instrument {_shown(value)}; choose of {', '.join(FAMILIES)}")
        elif name == "hand":
            if value not in HANDS:
                raise InputError(f"a hand is right or left, not {_shown(value)}")
        elif name == "spelling":
            if value is not None and not any(spells(value, pitch) for pitch in range(12)):
                raise InputError(f"{_shown(value)} is no spelling such as F# or Bb")
        else:
            raise InputError(f"a note has no {_shown(name)}")


def _key(edit: Edit) -> None:
    key = edit["note"]
    if not isinstance(key, Mapping) or set(key) != {"pitch", "onset"}:
        raise InputError(f"a note is named by its pitch and onset, not by {_shown(key)}")
    _of_note(key, ("pitch", "onset"))


def _add(edit: Edit) -> None:
    _of_note(edit["note"], ("onset", "offset", "pitch", "velocity"))


def _change(edit: Edit) -> None:
    _key(edit)
    _of_note(edit["to"], ())
    if not edit["to"]:
        raise InputError("change says nothing to change to")


def _beats(edit: Edit) -> None:
    times = {}
    for name in ("beats", "downbeats"):
        values = edit.get(name, [])
        if not isinstance(values, (list, tuple)) or len(values) > _MOST_BEATS:
            raise InputError(f"{name} are no list of times")
        times[name] = [_number(value, f"one of the {name}", 0, LONGEST) for value in values]
    gaps = [after - before for before, after in zip(times["beats"], times["beats"][1:], strict=False)]
    if gaps and not (min(gaps) >= MIN_GAP and max(gaps) <= MAX_GAP):
        raise InputError(f"beats are times in order, {MIN_GAP} to {MAX_GAP:.0f} s apart")
    if len(times["beats"]) == 1 or not (times["beats"] or times["downbeats"]):
        raise InputError("beats are two times at the least")


def _tempo(edit: Edit) -> None:
    if isinstance(edit["factor"], bool) or edit["factor"] not in (2, 0.5):
        raise InputError(f"the tempo's factor is 2 or 0.5, not {_shown(edit['factor'])}")


def _shift(edit: Edit) -> None:
    _whole(edit["beats"], "a shift in beats", -64, 64)


def _metre(edit: Edit) -> None:
    _valid(parse_metre, edit["metre"])


def _of_key(edit: Edit) -> None:
    _valid(signature, edit["key"])


def _pickup(edit: Edit) -> None:
    if _number(edit["beats"], "a pick-up in beats", 0, 64) >= 64:
        raise InputError("a pick-up has less than 64 beats")


def _chord(edit: Edit) -> None:
    _number(edit["onset"], "onset", 0, LONGEST)
    _valid(parse, edit["label"])


def _valid(parsed: Callable[[str], object], value: object) -> None:
    if not isinstance(value, str):
        raise InputError(f"{_shown(value)} is no text")
    try:
        parsed(value)
    except ValueError as error:
        raise InputError(str(error)) from None


_CHECKS: Mapping[str, Callable[[Edit], None]] = {
    "add": _add,
    "delete": _key,
    "change": _change,
    "accept": _key,
    "beats": _beats,
    "tempo": _tempo,
    "shift": _shift,
    "metre": _metre,
    "key": _of_key,
    "pickup": _pickup,
    "chord": _chord,
}
# What each must have beside its name, and what it may have.
_FIELDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "add": (("note",), ()),
    "delete": (("note",), ()),
    "change": (("note", "to"), ()),
    "accept": (("note",), ()),
    "beats": (("beats",), ("downbeats",)),
    "tempo": (("factor",), ()),
    "shift": (("beats",), ()),
    "metre": (("metre",), ()),
    "key": (("key",), ()),
    "pickup": (("beats",), ()),
    "chord": (("onset", "label"), ()),
}
#: Their names.
NAMES = tuple(_CHECKS)
#: Those that are about beats and bars.
OF_TIME = frozenset({"beats", "tempo", "shift", "metre", "pickup"})
