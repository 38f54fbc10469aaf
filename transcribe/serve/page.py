"""The page that the server shows: that of :mod:`transcribe.report.page`, styles and scripts linked, not embedded."""

from __future__ import annotations

from transcribe.formats.table import FORMATS
from transcribe.report.page import served


def app_page() -> bytes:
    """Give the page, with a button for every format that can be made of a result."""
    return served([name for name, form in FORMATS.items() if "activations" not in form.needs])
