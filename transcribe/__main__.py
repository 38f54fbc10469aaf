"""``python -m transcribe`` is ``pitchai``."""

import os
import signal
import sys


def run() -> None:
    """Run the command and leave with its exit code."""
    try:
        _mute_c_libraries()
        from transcribe.cli.main import main

        code = main()
    except KeyboardInterrupt:  # before main was there to catch it
        code = 130
    if code in (130, 143):  # on the way out: another signal would only spoil the end
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody reads any more, and Python would try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _mute_c_libraries() -> None:
    """Keep stderr for our own words: decoders written in C (libmpg123) print to the descriptor behind it."""
    if sys.stderr is None:
        return
    try:
        own = os.dup(2)
        sys.stderr = os.fdopen(own, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    except OSError:
        pass  # no stderr at all: nothing to keep


if __name__ == "__main__":
    run()
