"""What an assistant may ask for: a recording's notes, chords or beats, or a score of it; below one folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from transcribe.errors import InputError, UsageError

if TYPE_CHECKING:
    from transcribe.audio.reader import Excerpt
    from transcribe.events import Transcription

# An answer that an assistant reads whole holds no more notes, chords or beats; files hold all.
MOST = 1000
SCORES = ("pdf", "musicxml", "mxl")

Answer = dict[str, Any]


@dataclass(frozen=True)
class Tools:
    """The tools; ``folder`` is all that they read and write.

    Names of recordings are paths below it, with ``/`` between folders. Every method raises a
    :class:`~transcribe.errors.PitchaiError` with a line that can be shown.
    """

    folder: Path

    def transcribe(self, recording: str, start: float = 0.0, end: float | None = None) -> Answer:
        """Listen to a recording and tell its notes, chords, tempo, key and instruments.

        Parameters
        ----------
        recording
            Its name, a path below the folder.
        start, end
            What of it is heard, in seconds; to its end where None. Times of the answer count from the start.
        """
        result = self._heard(recording, None, start, end)
        notes = [[n.onset, n.offset, n.pitch, n.velocity] for n in result.notes[:MOST]]
        return {
            **_summary(result),
            "columns_of_notes": ["onset s", "offset s", "MIDI pitch", "velocity"],
            "notes": [[round(onset, 3), round(offset, 3), *rest] for onset, offset, *rest in notes],
            **_left_out(len(result.notes)),
        }

    def chords(self, recording: str, start: float = 0.0, end: float | None = None) -> Answer:
        """Listen to a recording and name its chords, in Harte's syntax."""
        result = self._heard(recording, ("chords",), start, end)
        found = [[round(c.onset, 2), round(c.offset, 2), c.label] for c in result.chords]
        return {
            **_summary(result),
            "columns": ["from s", "to s", "chord"],
            "found": found[:MOST],
            **_left_out(len(found)),
        }

    def beats(self, recording: str, start: float = 0.0, end: float | None = None) -> Answer:
        """Listen to a recording and find its beats, bars, tempo, metre and key."""
        result = self._heard(recording, ("beats",), start, end)
        return {
            **_summary(result),
            "beats": [round(beat, 3) for beat in result.beats[:MOST]],
            "first_beats_of_bars": [round(beat, 3) for beat in result.downbeats[:MOST]],
            **_left_out(len(result.beats)),
        }

    def score(self, recording: str, form: str = "pdf", title: str = "") -> Answer:
        """Listen to a recording and write a score beside it: ``pdf``, ``musicxml`` or ``mxl``; nothing is replaced."""
        from transcribe.files import save
        from transcribe.formats.table import FORMATS

        if form not in SCORES:
            raise UsageError(f"{form}: a score is written as {', '.join(SCORES)}")
        check = FORMATS[form].check
        if check is not None:
            check()
        source = self.place(recording)
        target = source.with_suffix(f".{form}")
        if target.exists() or target.is_symlink():
            raise UsageError(f"{self._name(target)}: exists already; it isn't replaced")
        result = self._heard(recording, None, 0.0, None)
        save(result, target, title=title or source.stem)
        return {"written": self._name(target), **_summary(result)}

    def place(self, name: str) -> Path:
        """Find a recording below the folder.

        Raises
        ------
        UsageError
            If its name leads elsewhere: by ``..``, as an absolute path or an address, or through a link.
        InputError
            If there is no such file.
        """
        path = PurePath(name)
        odd = "\0" in name or ":" in name or path.is_absolute() or PureWindowsPath(name).is_absolute()
        if odd or ".." in (*path.parts, *PureWindowsPath(name).parts) or name.startswith("~"):
            raise UsageError(f"{name!r}: give a path below the folder, without ..")
        found = self.folder.resolve()
        for part in path.parts:
            found /= part
            if found.is_symlink():
                raise UsageError(f"{name!r}: links aren't followed")
        if not found.is_file():
            raise InputError(f"{name!r}: no such file below the folder")
        return found

    def _heard(self, name: str, tasks: tuple[str, ...] | None, start: float, end: float | None) -> Transcription:
        from transcribe.transcriber import Transcriber

        place = self.place(name)
        return Transcriber(tasks=tasks, excerpt=_excerpt(start, end)).transcribe_file(place)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder.resolve()).as_posix()


def _excerpt(start: float, end: float | None) -> Excerpt:
    from transcribe.audio.reader import WHOLE, Excerpt

    try:
        return Excerpt(start, WHOLE.end if end is None else end)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _summary(result: Transcription) -> Answer:
    from transcribe.registry import summary

    return {"summary": dict(summary(result)), "warnings": list(result.warnings)}


def _left_out(found: int) -> Answer:
    return {"left_out": found - MOST} if found > MOST else {}
