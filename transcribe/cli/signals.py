"""SIGINT and SIGTERM: end with 130 and 143, at once where Python lets an exception through, else soon after.

An exception that a handler raises is swallowed inside a decoder's callback or an object's destructor. So each signal is
remembered too, and :func:`check` obeys it later. Handlers are set before anything else is imported: until then a signal
kills Python in its own way, so that only what Python itself has imported by then is imported here.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # typing takes 7 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Exit codes of the signals that have come, the first of which counts.
received: list[int] = []


def install() -> None:
    """Handle the signals from now on; only the main thread may."""
    try:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as it is to the background job of a shell
                signal.signal(number, on_signal)
    except ValueError:  # in another thread
        return
    sys.unraisablehook = _unraisable


def leave() -> None:
    """Let a signal end the process at once, without a word: all is done but Python's own end."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: os._exit(128 + number))


def ignore() -> None:
    """Ignore the signals: Python gives up its handlers before it has ended, and they would kill what is done."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def on_signal(number: int, frame: FrameType | None) -> None:
    """End at once, or soon."""
    received.append(128 + number)
    if not _in_callback(frame):
        raise SystemExit(128 + number)


def check() -> None:
    """End the program if a signal to end was only remembered.

    Raises
    ------
    SystemExit
        With the signal's exit code.
    """
    if received:
        raise SystemExit(received[0])


def announce(code: int) -> None:
    """Say on stderr that a signal has ended the program, if ``code`` is a signal's."""
    if code in (130, 143):
        from contextlib import suppress

        with suppress(OSError, ValueError):
            print("pitchai: interrupted" if code == 130 else "pitchai: terminated", file=sys.stderr, flush=True)


def watched(progress: Callable[[float, float | None], None] | None) -> Callable[[float, float | None], None]:
    """Report progress, and end where a signal to end was only remembered."""

    def report(done: float, total: float | None) -> None:
        check()
        if progress is not None:
            progress(done, total)

    return report


def _in_callback(frame: FrameType | None) -> bool:
    """Whether libsndfile has called back: soundfile reads through functions of these names."""
    while frame is not None:
        if frame.f_code.co_name.startswith("vio_"):
            return True
        frame = frame.f_back
    return False


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of our own exceptions where Python swallows them: the signals are remembered."""
    if not (received and unraisable.exc_type is SystemExit):
        sys.__unraisablehook__(unraisable)


class asking:  # noqa: N801 - used as a function
    """Within it a first signal only asks, by calling ``ask``; a second ends the program as ever.

    SIGINT is then an ordinary end; SIGTERM is remembered for :func:`check`.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._asked = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        try:
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._on_signal)
        except ValueError:  # in another thread
            return

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            on_signal(number, frame)
            return
        self._asked = True
        if number == signal.SIGTERM:
            received.append(128 + number)
        self._ask()
