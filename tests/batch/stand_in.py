"""A stand-in for the transcriber: what a batch does is tested without networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transcribe.batch.work import Work, Worker
from transcribe.events import Transcription


@dataclass(frozen=True)
class StandIn:
    """Calls ``listen`` with the path of a recording."""

    listen: Callable[[str], Transcription]
    device: str = "cpu"
    max_duration: float = 3600.0

    def transcribe_file(self, path: str, **_: object) -> Transcription:
        return self.listen(path)


def worker(listen: Callable[[str], Transcription], skip_existing: bool = False) -> Worker:
    return Work(lambda **_: StandIn(listen), skip_existing=skip_existing).begin()  # type: ignore[arg-type]
