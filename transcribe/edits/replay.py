"""Operations done on what was heard; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transcribe.events import Transcription


def replayed(transcription: Transcription) -> Transcription:
    """Do the edits that a transcription holds; without any it is the same."""
    return replay(transcription, transcription.edits) if transcription.edits else transcription


def replay(heard: Transcription, edits: Sequence[Mapping[str, Any]]) -> Transcription:
    """Do operations on what was heard."""
    return replace(heard, edits=()) if edits else heard
