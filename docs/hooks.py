"""What mkdocs shows of this repository beside the pages in ``docs/``: pictures, model cards, other documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
# Page of the site to the document that it shows.
SHOWN = {"security.md": "SECURITY.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def on_files(files: Any, config: Any) -> Any:
    """Add what lies elsewhere."""
    for picture in sorted((ROOT / "examples").glob("*.png")):
        files.append(File.generated(config, f"images/{picture.name}", abs_src_path=str(picture)))
    cards = {f"models/{card.stem}.md": f"weights/{card.name}" for card in sorted((ROOT / "weights").glob("*.md"))}
    for page, document in {**SHOWN, **cards}.items():
        text = (ROOT / document).read_text(encoding="utf-8")
        # Links to files of the repository are no pages: their names stay.
        text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)", r"\1 (`\2`)", text)
        files.append(File.generated(config, page, content=text))
    return files
