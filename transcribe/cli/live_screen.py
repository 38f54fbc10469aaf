"""What is seen of a take in the terminal: the keyboard and the notes that rise from it, chord, key, level.

The newest row is the keyboard's, at the bottom; what was played moves up. Two moments share a line of half blocks.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING

from transcribe.live.harmony import Harmony

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from transcribe.live.session import Session

_LOWEST, _HIGHEST = 21, 108
_BLACK = (1, 3, 6, 8, 10)
_ROWS = 24
_METER = 24
# Soft to loud, and what lies beneath.
_COLOURS = ("#31688e", "#35b779", "#fde725")
_GROUND = "#101418"


class Screen:
    """A picture that is drawn in place, on stderr."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._rows: deque[dict[int, int]] = deque(maxlen=2 * _ROWS)
        self._harmony = Harmony()

    def __enter__(self) -> Screen:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the picture away."""
        if self._live is not None:
            self._live.stop()

    def draw(self, session: Session) -> None:
        """Draw the take as it is."""
        if self._live is not None:
            self._live.update(self.picture(session, self._live.console.width), refresh=True)

    def picture(self, session: Session, width: int = 100) -> RenderableType:
        """Lay out the picture; every call is a moment later than the last."""
        from rich.console import Group

        sounding = {pitch: event.velocity for pitch, event in session.engine.sent.sounding.items()}
        self._rows.append(sounding)
        shown = max(12, min(_HIGHEST - _LOWEST + 1, width - 2))
        # Middle C and what lies around it, where the terminal is narrow.
        first = max(_LOWEST, min(60 - shown // 2, _HIGHEST + 1 - shown))
        pitches = range(first, min(first + shown, _HIGHEST + 1))
        nothing: dict[int, int] = {}
        rows = [nothing] * (2 * _ROWS - len(self._rows)) + list(self._rows)
        lines = [_line(rows[i], rows[i + 1], pitches) for i in range(0, 2 * _ROWS, 2)]
        return Group(*lines, _keyboard(sounding, pitches), *self._words(session))

    def _words(self, session: Session) -> list[Text]:
        from rich.text import Text

        engine, health = session.engine, session.health
        notes, time, harmony = engine.sent.notes, engine.time, self._harmony
        harmony.look(engine.sent, engine.score, time)
        said = Text()
        said.append(f"{int(time) // 60}:{time % 60:04.1f}", "bold")
        said.append(f"   {len(notes)} notes   chord ")
        said.append(f"{harmony.chord or '–':<8}", "bold")
        said.append("key ")
        said.append(f"{harmony.key or '–':<10}", "bold")
        said.append("pedal" if engine.sent.pedal_down else "     ")
        said.append(f"   {engine.latency} ms")
        level = Text("level ")
        filled = round(_METER * min(max((health.level + 60) / 60, 0), 1))
        level.append("█" * filled, "red" if health.level > -1 else "yellow" if health.level > -6 else "green")
        level.append("·" * (_METER - filled), "dim")
        level.append(f" {health.level:4.0f} dB")
        if health.n_clipped:
            level.append(f"   clipped: {health.n_clipped}", "bold red")
        if health.lost:
            level.append(f"   lost: {health.lost:.1f} s", "bold red")
        if health.words:
            level.append(f"   {health.words[-1]}", "yellow")
        return [said, level]


def _line(above: dict[int, int], below: dict[int, int], pitches: range) -> Text:
    """Draw two moments."""
    from rich.text import Text

    line = Text()
    for pitch in pitches:
        line.append("▀", f"{_colour(above, pitch)} on {_colour(below, pitch)}")
    return line


def _keyboard(sounding: dict[int, int], pitches: range) -> Text:
    from rich.text import Text

    line = Text()
    for pitch in pitches:
        black = pitch % 12 in _BLACK
        ground = _colour(sounding, pitch) if pitch in sounding else "#303030" if black else "#d8d8d8"
        line.append("C" if pitch % 12 == 0 else " ", f"#606060 on {ground}")
    return line


def _colour(moment: dict[int, int], pitch: int) -> str:
    if pitch not in moment:
        return _GROUND if pitch % 12 not in _BLACK else "#0b0d10"
    return _COLOURS[min(moment[pitch] * len(_COLOURS) // 128, len(_COLOURS) - 1)]
