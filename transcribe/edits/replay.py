"""Operations done on what was heard.

Those about notes, chords and the key change one thing each. Those about beats and bars are put together, one after the
other, to what is known of them (:mod:`transcribe.edits.timing`). What network there is only hears the notes as they
were heard: correcting a note moves no beat.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from transcribe.edits.operations import MOST, OF_TIME, Edit, check
from transcribe.edits.timing import Known, known_after
from transcribe.errors import InputError
from transcribe.events import Chord, Key, Note, Transcription
from transcribe.score.harmony import spelled
from transcribe.theory.spelling import spells

#: A note or a chord is the one that is meant if its onset is so near, in seconds: what the JSON's rounding takes away.
SAME = 1.1e-4
#: In what another run heard, a note so near is the same.
SAME_AGAIN = 0.05


def replayed(transcription: Transcription) -> Transcription:
    """Do the edits that a transcription holds; without any it is the same.

    Raises
    ------
    InputError
        As :func:`replay`.
    """
    return replay(replace(transcription, edits=()), transcription.edits) if transcription.edits else transcription


def replay(heard: Transcription, edits: Sequence[Edit]) -> Transcription:
    """Do operations on what was heard.

    Parameters
    ----------
    heard
        Without edits of its own.
    edits
        See :mod:`transcribe.edits.operations`.

    Raises
    ------
    InputError
        If an operation can't be done: it is unknown, or its note or chord isn't there.
    """
    if not edits:
        return heard
    result, _, refused = _done(heard, edits, SAME, lenient=False)
    assert not refused
    return result


def carried(heard: Transcription, edits: Sequence[Edit]) -> tuple[tuple[dict[str, Any], ...], int]:
    """Take edits over to what another run heard of the same recording.

    A note is the same if its pitch is, and its onset within 50 ms.

    Returns
    -------
    tuple
        The edits that can be done, with their notes named as they are now, and how many can't.
    """
    _, kept, refused = _done(replace(heard, edits=()), edits, SAME_AGAIN, lenient=True)
    return tuple(kept), refused


def _done(
    heard: Transcription, edits: Sequence[Edit], within: float, lenient: bool
) -> tuple[Transcription, list[dict[str, Any]], int]:
    """Do operations; the result, those that were done, how many weren't."""
    if len(edits) > MOST:
        raise InputError(f"more than {MOST:,} edits")
    result = heard
    notes, chords = _Notes(heard.notes), list(heard.chords)
    timed: list[Edit] = []
    kept: list[dict[str, Any]] = []
    refused = 0
    for number, edit in enumerate(edits, 1):
        try:
            name = check(edit)
            done = dict(edit)
            if name in OF_TIME:
                timed.append(edit)
            elif name == "key":
                end = max([heard.duration, *(note.offset for note in heard.notes)])
                result = replace(result, key=edit["key"], keys=(Key(0.0, end, edit["key"]),))
            elif name == "chord":
                done["onset"] = _rename(chords, edit, within)
            else:
                done |= notes.do(name, edit, within)
            kept.append(done)
        except InputError as error:
            refused += 1
            if not lenient:
                raise InputError(f"edit {number}: {error}") from None
    result = replace(result, notes=tuple(notes.notes), chords=tuple(chords), edits=())
    if timed:
        result = known_after(timed, Known.of(heard)).applied(result)
    if any(edit["op"] == "key" for edit in kept):
        result = spelled(result)
    return result, kept, refused


class _Notes:
    """Notes in order, of which each can be found and changed."""

    def __init__(self, notes: Iterable[Note]) -> None:
        self.notes = list(notes)

    def do(self, name: str, edit: Edit, within: float) -> dict[str, Any]:
        """Do an operation; give its note as it is named here."""
        if name == "add":
            self._put(_made(edit["note"]))
            return {}
        place = self._find(edit["note"], within)
        note = self.notes.pop(place)
        try:
            if name == "accept":
                self._put(replace(note, confidence=1.0))
            elif name == "change":
                self._put(_changed(note, edit["to"]))
        except InputError:
            bisect.insort(self.notes, note)
            raise
        return {"note": {"pitch": note.pitch, "onset": round(note.onset, 4)}}

    def _find(self, key: Mapping[str, Any], within: float) -> int:
        """Find the nearest note of a pitch."""
        pitch, onset = key["pitch"], key["onset"]
        first = bisect.bisect_left(self.notes, onset - within, key=lambda note: note.onset)
        best, distance = -1, within
        for place in range(first, len(self.notes)):
            note = self.notes[place]
            if note.onset > onset + within:
                break
            if note.pitch == pitch and abs(note.onset - onset) <= distance:
                best, distance = place, abs(note.onset - onset)
        if best < 0:
            raise InputError(f"there is no note of pitch {pitch} at {onset:.4f} s")
        return best

    def _put(self, note: Note) -> None:
        try:
            self._find({"pitch": note.pitch, "onset": note.onset}, SAME)
        except InputError:
            bisect.insort(self.notes, note)
            return
        raise InputError(f"there is a note of pitch {note.pitch} at {note.onset:.4f} s already")


def _made(values: Mapping[str, Any]) -> Note:
    """Make a note that was added by hand."""
    said: dict[str, Any] = {name: values.get(name) for name in ("instrument", "hand", "spelling")}
    note = Note(float(values["onset"]), values["pitch"], float(values["offset"]), values["velocity"], **said)
    return _sound(note)


def _changed(note: Note, to: Mapping[str, Any]) -> Note:
    """Change a note; one that was moved by hand is right, and its spelling is that of its pitch."""
    values: dict[str, Any] = {
        name: float(value) if name in ("onset", "offset") else value for name, value in to.items()
    }
    if values.get("pitch", note.pitch) != note.pitch:
        values.setdefault("spelling", None)
    if "pitch" in values or "onset" in values:
        values["confidence"] = 1.0
    return _sound(replace(note, **values))


def _sound(note: Note) -> Note:
    if note.offset <= note.onset:
        raise InputError(f"a note would end before it begins: {note.onset:.4f} to {note.offset:.4f} s")
    if note.spelling is not None and not spells(note.spelling, note.pitch):
        raise InputError(f"{note.spelling} is no spelling of pitch {note.pitch}")
    return note


def _rename(chords: list[Chord], edit: Edit, within: float) -> float:
    """Give a chord another label; give its onset."""
    near = [(abs(chord.onset - edit["onset"]), place) for place, chord in enumerate(chords)]
    distance, place = min(near, default=(within + 1, 0))
    if distance > within:
        raise InputError(f"no chord begins at {edit['onset']:.4f} s")
    chords[place] = replace(chords[place], label=edit["label"], confidence=1.0)
    return round(chords[place].onset, 4)
