"""``python -m transcribe`` is ``pitchai``."""

import os
import sys

from transcribe.cli import main


def run() -> None:
    """Run the command and leave with its exit code."""
    _mute_c_libraries()
    sys.exit(main())


def _mute_c_libraries() -> None:
    """Keep stderr for our own words: decoders written in C (libmpg123) print to the descriptor behind it."""
    try:
        own = os.dup(2)
        sys.stderr = os.fdopen(own, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    except OSError:
        pass  # no stderr at all: nothing to keep


if __name__ == "__main__":
    run()
