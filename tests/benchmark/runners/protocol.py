"""What every runner of ``compare.py`` does: paths on stdin, notes and costs on stdout."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# (onset s, offset s, pitch, velocity)
Notes = list[tuple[float, float, int, int]]


def serve(
    load: Callable[[str], tuple[Any, float]],
    hear: Callable[[Any], Any],
    decode: Callable[[Any], Notes | dict[str, Any]],
) -> None:
    """Answer for each path on stdin.

    ``load`` reads a recording and says how many seconds it lasts; ``hear`` is its features and network, ``decode`` the
    rest: notes, or several fields of the answer. What is measured begins after ``load``.
    """
    for line in sys.stdin:
        samples, seconds = load(line.rstrip("\n"))
        cpu, wall = time.process_time(), time.perf_counter()
        heard = hear(samples)
        network_cpu = time.process_time() - cpu
        found = decode(heard)
        answer = {
            **(found if isinstance(found, dict) else {"notes": found}),
            "seconds": seconds,
            "cpu": time.process_time() - cpu,
            "network_cpu": network_cpu,
            "wall": time.perf_counter() - wall,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        print(json.dumps(answer), flush=True)
