"""``python -m transcribe`` is ``pitchai``."""

import sys

from transcribe.cli import main


def run() -> None:
    """Run the command and leave with its exit code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
