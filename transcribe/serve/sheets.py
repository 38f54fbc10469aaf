"""What is made of a result on request: the view, the score, files; kept while nothing changes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribe.edits.replay import replay
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.formats.format import Page, Rendering
from transcribe.formats.table import FORMATS
from transcribe.registry import summary
from transcribe.report.roll import Scene
from transcribe.report.view import view
from transcribe.serve.library import RESULT_SUFFIXES, Entry

if TYPE_CHECKING:
    import numpy as np

    from transcribe.formats.engraving import Engraved

#: The formats that a result is exported in.
EXPORTED = tuple(name for name, form in FORMATS.items() if "activations" not in form.needs)
# So many results are kept in memory.
_KEPT = 8
# What a page's listener and a picture's spectrogram take, in Hz.
_PAGE_RATE, _PICTURE_RATE = 24_000, 16_000


@dataclass
class _Sheet:
    """A result in memory: as heard, its edits, those undone, and what was made of it."""

    heard: Transcription
    undone: list[dict[str, Any]]
    edited: Transcription
    view: dict[str, Any] | None = None
    score: Engraved | None = None
    engraving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def version(self) -> int:
        """A number that tells edits from others, after the server was started anew too."""
        text = json.dumps([self.heard.edits, self.undone], sort_keys=True)
        return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)  # a number that JavaScript has exactly


class Sheets:
    """What was made of the results that were asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Sheet] = OrderedDict()

    def _sheet(self, entry: Entry) -> _Sheet:
        """Give a result; the entry's lock is held."""
        sheet = self._kept.get(entry.id)
        if sheet is None:
            heard = entry.heard()
            sheet = _Sheet(heard, entry.undone(), replay(replace(heard, edits=()), heard.edits))
            self._kept[entry.id] = sheet
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if entry.id in self._kept:
            self._kept.move_to_end(entry.id)
        return sheet

    def forget(self, entry: Entry) -> None:
        """Leave a result out of memory."""
        self._kept.pop(entry.id, None)

    def view(self, entry: Entry) -> dict[str, Any]:
        """Make the view of a result."""
        with entry.lock:
            return self._view(entry, self._sheet(entry))

    def _view(self, entry: Entry, sheet: _Sheet) -> dict[str, Any]:
        if sheet.view is None:
            found = view(sheet.edited, entry.about.title, sheet.heard.edits, sheet.undone)
            sheet.view = {**found, "version": sheet.version, "has_sound": entry.sound is not None}
        return sheet.view

    def edit(
        self,
        entry: Entry,
        edits: Sequence[Mapping[str, Any]],
        undone: Sequence[Mapping[str, Any]],
        version: int | None = None,
    ) -> dict[str, Any] | None:
        """Do edits on what was heard, keep them, and make the view; None where another browser was quicker.

        Raises
        ------
        InputError
            If one can't be done; then nothing changes.
        """
        with entry.lock:
            before = self._sheet(entry)
            if version is not None and version != before.version:
                return None
            plain = replace(before.heard, edits=())
            edited = replay(plain, edits)
            heard = replace(plain, edits=tuple(dict(edit) for edit in edits))
            entry.keep(heard, undone)
            sheet = _Sheet(heard, [dict(edit) for edit in undone], edited)
            self._kept[entry.id] = sheet
            return self._view(entry, sheet)

    def score(self, entry: Entry) -> Engraved:
        """Engrave a result."""
        from transcribe.formats.engraving import engraved

        with entry.lock:
            sheet = self._sheet(entry)
        # A long score takes a while: no other request waits for it.
        with sheet.engraving:
            if sheet.score is None:
                sheet.score = engraved(sheet.edited, page=_page_of(entry))
            return sheet.score

    def export(self, entry: Entry, name: str) -> tuple[bytes, str]:
        """Write a result in one of the formats :data:`EXPORTED`, as the command does; its bytes and a name for them.

        Raises
        ------
        UsageError
            If the result holds nothing for it, or a package is missing.
        """
        form = FORMATS[name]
        if form.check is not None:
            form.check()
        with entry.lock:
            sheet = self._sheet(entry)
            heard, edited = sheet.heard, sheet.edited
        if "chords" in form.needs and not edited.chords:
            raise UsageError(f"there are no chords to write as {name}")
        about = entry.about
        shown = heard if name == "json" else edited
        sound = None if entry.recording is None or entry.recording.suffix in RESULT_SUFFIXES else entry.recording
        rate = _PAGE_RATE if "sound" in form.shows else _PICTURE_RATE

        def scene() -> Scene:
            blocks = None if sound is None else _blocks(sound, rate)
            return Scene(about.name, None, blocks, rate, True, False, tuple(summary(edited)))

        content = form.write(shown, Rendering(scene=scene, page=_page_of(entry)))
        return content, f"{Path(about.name).stem}{form.suffixes[0]}"


def _page_of(entry: Entry) -> Page:
    """Say what stands above a score: what the recording's tags say, else its name."""
    from transcribe.audio.tags import Tags, read_tags

    recording = entry.recording
    tags = Tags() if recording is None or recording.suffix in RESULT_SUFFIXES else read_tags(str(recording))
    return Page(title=tags.title or Path(entry.about.name).stem, composer=tags.composer)


def _blocks(path: Path, rate: int) -> Iterator[np.ndarray]:
    from transcribe.audio.reader import AudioReader

    with AudioReader(path, rate) as reader:
        yield from reader.blocks()
