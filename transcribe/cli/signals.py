"""SIGINT and SIGTERM: end with 130 and 143, at once where Python lets an exception through, else soon after.

An exception that a handler raises is swallowed inside a decoder's callback or an object's destructor. So each signal is
remembered too, and :func:`check` obeys it later. Nothing heavy is imported here: handlers are set before anything else.
"""

from __future__ import annotations

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
    received.clear()
    if threading.current_thread() is not threading.main_thread():
        return
    sys.unraisablehook = _unraisable
    signal.signal(signal.SIGTERM, on_sigterm)
    if signal.getsignal(signal.SIGINT) in (
        signal.default_int_handler,
        on_sigint,
    ):  # a shell's background job ignores it
        signal.signal(signal.SIGINT, on_sigint)


def leave(code: int) -> None:
    """Let no other signal spoil the way out: with a signal's ``code`` ignore them, else let them end the process."""
    action = signal.SIG_IGN if code in (130, 143) else signal.SIG_DFL
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, action)


def on_sigterm(_: int, frame: FrameType | None) -> None:
    """End at once, or soon."""
    received.append(143)
    if not _in_callback(frame):
        raise SystemExit(143)


def on_sigint(_: int, frame: FrameType | None) -> None:
    """Interrupt at once, or soon."""
    received.append(130)
    if not _in_callback(frame):
        raise KeyboardInterrupt


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
    if not (received and unraisable.exc_type in (KeyboardInterrupt, SystemExit)):
        sys.__unraisablehook__(unraisable)
