"""The page as a file, with the engraved score in it where one can be engraved."""

from __future__ import annotations

from transcribe.errors import InputError, UsageError
from transcribe.events import Transcription
from transcribe.formats.engraving import engraved
from transcribe.formats.format import Page
from transcribe.report import page
from transcribe.report.roll import Scene

# A score of more notes takes longer to engrave than one waits for a page: 5,000 take some 15 s.
MOST_NOTES = 5000


def to_html(transcription: Transcription, scene: Scene | None = None) -> bytes:
    """Write the page, as :func:`transcribe.report.page.to_html`.

    The score is left out where its packages aren't installed, where it would have more than ``MOST_NOTES`` notes, and
    beside a reference.
    """
    scene = scene or Scene()
    score = None
    if transcription.notes and len(transcription.notes) <= MOST_NOTES and scene.reference is None:
        try:
            score = engraved(transcription, page=Page(title=scene.title))
        except (InputError, UsageError):
            score = None  # the page is worth having without it
    if score is None:
        return page.to_html(transcription, scene)
    places = {"pages": len(score.pages), "notes": score.notes, "measures": score.measures}
    return page.to_html(transcription, scene, places, score.pages)
