"""What can go wrong, as one tree; the command line exits with the class's code.

::

    PitchaiError            1
    ├── UsageError          2   an argument, a device or an extra that is not there
    ├── InputError          3   a recording, a label file or a data set that can't be read
    ├── WeightsError        4   weights missing, altered or unfit
    └── OutputError         5   a result that can't be written, or exists already

A message says what, why and what to do next, on one line.
"""

from __future__ import annotations


class PitchaiError(Exception):
    """Base of all errors that this package raises on purpose."""

    exit_code = 1


class UsageError(PitchaiError):
    """An argument that can't be used, or something it needs that isn't installed."""

    exit_code = 2


class InputError(PitchaiError):
    """Input that can't be read."""

    exit_code = 3


class WeightsError(PitchaiError):
    """Weights that are missing, altered or don't fit the network."""

    exit_code = 4


class OutputError(PitchaiError):
    """Output that can't be written, or that exists and may not be replaced."""

    exit_code = 5
