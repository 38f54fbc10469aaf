"""``python -m transcribe`` is ``pitchai``."""

import atexit
import os
import sys

from transcribe.cli import signals


def run() -> None:
    """Run the command and leave with its exit code."""
    try:
        signals.install()  # before the imports, which take longest
        atexit.register(signals.ignore)  # the first to be registered is called last
        _mute_c_libraries()
        from transcribe.cli.main import main

        code = main()
    except (KeyboardInterrupt, SystemExit):  # a signal, before main was there to catch it
        code = next(iter(signals.received), 130)
        signals.announce(code)
    signals.leave()
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
