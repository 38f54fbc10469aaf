"""A transcriber that is quick, for the process of the queue."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.conftest import FIVE_NOTES
from transcribe.engine.task import Progress
from transcribe.events import Transcription

HEARD = Transcription(
    notes=tuple(FIVE_NOTES), beats=(0.5, 1.0, 1.5, 2.0, 2.5), downbeats=(0.5, 2.5), duration=3.0, key="C major"
)


class StandIn:
    """Hears the same in everything; what is named so dies, fails or takes a while."""

    def transcribe_file(self, path: Path, *, progress: Progress | None = None) -> Transcription:
        content = path.read_bytes()
        if progress is not None:
            progress(1.0, 2.0)
        if content == b"die":
            os._exit(9)
        if content == b"fail":
            raise ValueError(f"{path.name} is odd")
        if content == b"wait":
            time.sleep(60)
        return HEARD


def opened() -> StandIn:
    return StandIn()
