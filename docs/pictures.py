"""Draw the pictures of notes and scores anew: what the README and the documents show is what comes out today.

    python docs/pictures.py [PERFORMANCE.mid]

writes ``waltz.png``, ``waltz-score.png`` and ``overview.png`` into ``examples/``; and ``etude-score.png``, where a
performance of Chopin's étude op. 10 no. 3 is given (``Chopin_op10_no3_p01.mid`` of the Vienna 4x22 corpus). It takes
the extra ``score``, Pillow, and ``pdftoppm`` of poppler.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageChops

from transcribe.beats.task import BEATS
from transcribe.cli.main import main as pitchai
from transcribe.events import Transcription
from transcribe.files import save
from transcribe.score.analysis import Timing
from transcribe.transcriber import transcribe_file

EXAMPLES = Path(__file__).parent.parent / "examples"
# Dots an inch of scores; white around them, in dots.
_DOTS, _MARGIN = 150, 40


def page(transcription: Transcription, title: str, composer: str, dots: int = _DOTS) -> Image.Image:
    """Engrave the first page of a score."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "page.pdf", Path(folder) / "page"
        save(transcription, source, title=title, composer=composer)
        subprocess.run(["pdftoppm", "-r", str(dots), "-png", "-singlefile", source, target], check=True)
        with Image.open(target.with_suffix(".png")) as drawn:
            return drawn.convert("RGB")


def cropped(drawn: Image.Image) -> Image.Image:
    """Cut white edges off, but for a margin."""
    white = Image.new("RGB", drawn.size, "white")
    box = ImageChops.difference(drawn, white).getbbox() or (0, 0, *drawn.size)
    left, top, right, bottom = box
    return drawn.crop((left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN))


def stacked(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Put one picture above another of the same width."""
    lower = lower.resize((upper.width, round(lower.height * upper.width / lower.width)), Image.Resampling.LANCZOS)
    whole = Image.new("RGB", (upper.width, upper.height + lower.height), "white")
    whole.paste(upper, (0, 0))
    whole.paste(lower, (0, upper.height))
    return whole


def store(drawn: Image.Image, name: str) -> None:
    """Write a picture of 256 colours."""
    drawn.quantize(256).save(EXAMPLES / name, optimize=True)


def main() -> None:
    """Draw."""
    recording = EXAMPLES / "waltz.flac"
    pitchai([str(recording), "-o", str(EXAMPLES / "waltz.png"), "--spectrogram", "--overwrite", "-q"])
    heard = transcribe_file(recording)
    score = cropped(page(heard, "", ""))
    store(score, "waltz-score.png")
    with tempfile.TemporaryDirectory() as folder:
        roll = Path(folder) / "waltz.png"
        pitchai([str(recording), "-o", str(roll), "-q"])
        with Image.open(roll) as drawn:
            upper = drawn.convert("RGB")
    store(stacked(upper.resize((1200, round(upper.height * 1200 / upper.width))), score), "overview.png")
    for path in map(Path, sys.argv[1:]):
        played = replace(BEATS.read(path, Timing()), chords=())
        store(page(played, "Étude, op. 10 no. 3", "F. Chopin", 80), "etude-score.png")


if __name__ == "__main__":
    main()
