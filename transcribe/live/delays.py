"""Latencies and delays: how long the program may listen to a note before it speaks of it.

A *latency* is in milliseconds of sound, from a note's onset to the newest sample that the decision rests on. Frame
``i`` is centred on its time and its window reaches 64 ms beyond, the last 4 ms of which weigh next to nothing. So with
a latency of L ms what is decided is the frame that lies ``(L - 60) / 20`` frames before the newest: its *delay*.
Standard library only.
"""

from __future__ import annotations

HOP_MS = 20
# Half a window, without its last 4 ms: there it weighs less than a hundredth.
WINDOW_MS = 60
#: Milliseconds that may be chosen, and others that are only measured.
LATENCIES = (60, 120, 200, 500)
MEASURED = (40, 60, 80, 120, 200, 500)


def delay_of(latency: int) -> int:
    """Frames from the one that is decided to the newest.

    Examples
    --------
    >>> [delay_of(latency) for latency in MEASURED]
    [-1, 0, 1, 3, 7, 22]
    """
    return (latency - WINDOW_MS) // HOP_MS


DELAYS = tuple(delay_of(latency) for latency in MEASURED)
# An onset is a peak among the frames around it, one newer and two older: what its head answers for.
NEWER, OLDER = 1, 2
HEARD = tuple(sorted({delay + k for delay in DELAYS for k in range(-NEWER, OLDER + 1)}))
TOLD = DELAYS
