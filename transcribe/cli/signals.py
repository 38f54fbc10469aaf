"""SIGINT and SIGTERM: end with 130 and 143, at once where Python lets an exception through, else soon after.

An exception that a handler raises is swallowed inside a decoder's callback or an object's destructor. So each signal is
remembered too, and :func:`check` obeys it later. Nothing heavy is imported here: handlers are set before anything else.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

# Exit codes of the signals that have come, the first of which counts.
received: list[int] = []


def install() -> None:
    """Handle the signals from now on; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        return
    sys.unraisablehook = _unraisable
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is to the background job of a shell
            signal.signal(number, on_signal)


def leave() -> None:
    """Let a signal end the process at once, without a word: all is done but Python's own end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: os._exit(128 + number))


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
