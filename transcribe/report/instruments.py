"""Instruments in pictures: a colour for each family, a lane for the drums, and a legend of both."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from transcribe.events import Drum, Note, Transcription
from transcribe.theory.families import DRUMS, FAMILIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Families that often play together lie far apart; all can be seen on white and on black. The legend names them, and
# so does the table of the page: no meaning rests on colour alone.
COLOURS = MappingProxyType(
    {
        "piano": "#0072B2", "keys": "#56B4E9", "organ": "#7A5BC4", "guitar": "#D55E00", "bass": "#A0522D",
        "strings": "#009E73", "brass": "#E69F00", "reed": "#B3478F", "flute": "#4FB37F", "voice": "#E0607E",
        "mallet": "#9C8A00", "synth": "#6F8FA8",
    }
)  # fmt: skip
#: Of a note whose instrument isn't known, and of drums.
UNKNOWN = "#7C858F"
# The height of the drums' lane in semitones: a row for each class.
DRUM_LANE = float(len(DRUMS))


def families_in(t: Transcription, reference: Transcription | None = None) -> list[str]:
    """Name the families that play, in their order; none beside a reference, where colours mean something else."""
    found = set() if reference else {note.instrument for note in t.notes}
    return [family for family in FAMILIES if family in found]


def colour_of(note: Note) -> str:
    """Choose the colour of a note's family."""
    return UNKNOWN if note.instrument is None else COLOURS[note.instrument]


def draw_drums(axes: Axes, drums: Sequence[Drum], span: tuple[float, float], floor: float, ink: str) -> None:
    """Draw strokes as bars in a lane that begins at ``floor``: the bass drum lowest, the loudest highest."""
    width = 0.004 * (span[1] - span[0])
    for row, label in enumerate(DRUMS):
        strokes = [drum for drum in drums if drum.label == label and span[0] <= drum.onset < span[1]]
        heights = [0.25 + 0.6 * drum.velocity / 127 for drum in strokes]
        axes.bar([d.onset for d in strokes], heights, width, bottom=floor + row, align="edge", color=ink, lw=0)
    axes.text(span[0], floor + DRUM_LANE / 2, "Drums ", fontsize=6, style="italic", ha="right", va="center", color=ink)


def add_legend(figure: Figure, families: Sequence[str], height: float) -> None:
    """Name the colours above a picture that is ``height`` inches high."""
    from matplotlib.patches import Patch

    figure.legend(
        handles=[Patch(facecolor=COLOURS[family], label=family) for family in families],
        loc="upper right",
        bbox_to_anchor=(0.985, 1 - 0.02 / height),
        ncols=len(families),
        frameon=False,
        fontsize=8,
        handlelength=1.2,
        columnspacing=1.2,
    )
