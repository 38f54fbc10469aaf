"""The page that the server shows: the assets of :mod:`transcribe.report`, linked instead of embedded."""

from __future__ import annotations

from pathlib import Path

_ASSETS = Path(__file__).parent.parent / "report" / "assets"
_PLAIN = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>pitchai</title><link rel="stylesheet" href="/assets/page.css"></head>
<body><h1>pitchai</h1><p>POST a recording to /api/files?name=song.wav, then GET /api/results.</p></body></html>
"""


def app_page() -> bytes:
    """Give the page; ``assets/app.html`` where it is there."""
    page = _ASSETS / "app.html"
    return page.read_bytes() if page.is_file() else _PLAIN.encode()
