"""Pictures of a transcription: a piano roll in rows, as a page of music has them.

Velocity is colour (viridis: even in print and to every eye), or where instruments are known they are, and velocity is
how strong it is; the drums, the pedal and the chords stand below the notes. Beside a
reference, hits are blue, misses hollow and orange, extras hatched and purple (Okabe and Ito's colours), so that no
meaning rests on colour alone.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from transcribe.engine.growing import GrowingArray
from transcribe.events import Note, Transcription
from transcribe.matching import match_notes
from transcribe.report.instruments import DRUM_LANE, add_legend, colour_of, draw_drums, families_in
from transcribe.theory.chords import chord_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Bins a semitone of the spectrogram behind the notes, and what it shows under its loudest, in decibels.
SPECTROGRAM_BINS, SPECTROGRAM_RANGE = 3, 60.0
ROW_SECONDS = 20.0
# A recording of no more than this stands in one row.
SINGLE_ROW_SECONDS = 30.0
INCHES = 12.0
SEMITONE_INCHES = 0.055
LANE = 3.0  # semitones that the pedal, or the chords, take below the notes
DPI = 120
# Longer music has longer rows: 270 inches are 32,400 pixels, about what viewers show, and 190 MB to draw on.
MOST_ROWS, MOST_INCHES = 120, 270.0
BLACK_KEYS = (1, 3, 6, 8, 10)
HIT, MISS, EXTRA, PEDAL, INK = "#0072B2", "#E69F00", "#CC79A7", "#56606B", "#222222"


@dataclass(frozen=True)
class Scene:
    """What a picture or a report shows beside the transcription.

    ``reference`` is the truth: hits, misses and extras are told apart, onsets within 50 ms. ``recording``: blocks of
    mono samples at ``sample_rate`` in Hz, which can be gone through once; a report puts them in to be heard if
    ``sound``, a picture draws their spectrogram behind the notes if ``spectrogram``. ``summary``: name and value of
    what a report says in words.
    """

    title: str = ""
    reference: Transcription | None = None
    recording: Iterable[np.ndarray] | None = None
    sample_rate: int = 16_000
    sound: bool = True
    spectrogram: bool = False
    summary: tuple[tuple[str, str], ...] = ()


def draw(transcription: Transcription, scene: Scene | None = None) -> Figure:
    """Draw a piano roll.

    Parameters
    ----------
    transcription
        What was heard.
    scene
        What to show beside it.

    Returns
    -------
    Figure
        One row for every ``ROW_SECONDS``, or for longer where they would be too many; an empty row for no notes at
        all.
    """
    from matplotlib.figure import Figure

    scene = scene or Scene()
    reference = scene.reference
    shown = [*transcription.notes, *(reference.notes if reference else ())]
    duration = max([transcription.duration, 0.1, *(note.offset for note in shown)])
    low, high = _range(shown)
    lanes = LANE * (bool(transcription.pedals) + bool(transcription.chords)) + DRUM_LANE * bool(transcription.drums)
    height = (high - low + 1 + lanes) * SEMITONE_INCHES
    margin = 0.55
    seconds = max(duration, 1.0) if duration <= SINGLE_ROW_SECONDS else ROW_SECONDS
    n_rows, most = math.ceil(duration / seconds), min(MOST_ROWS, int(MOST_INCHES / (height + margin)))
    if n_rows > most:
        seconds, n_rows = duration / most, most
    show = scene.spectrogram and scene.recording is not None
    image = _spectrogram(scene, math.ceil(seconds / SINGLE_ROW_SECONDS)) if show else None
    compared = None if reference is None else compare(reference.notes, transcription.notes)
    figure = Figure(figsize=(INCHES, n_rows * (height + margin) + 0.35), facecolor="white")
    total = figure.get_figheight()
    for row in range(n_rows):
        bottom = total - 0.3 - (row + 1) * (height + margin) + margin * 0.8
        axes = figure.add_axes((0.06, bottom / total, 0.925, height / total))
        span = (row * seconds, (row + 1) * seconds)
        if image is not None:
            _draw_spectrogram(axes, image, span, (low, high))
        _draw_row(axes, transcription, compared, span, (low, high), shaded=image is None)
    families = families_in(transcription, reference)
    if reference is not None:
        _legend(figure, total)
    elif families:
        add_legend(figure, families, total)
    return figure


def to_png(transcription: Transcription, scene: Scene | None = None) -> bytes:
    """Draw a piano roll as PNG; see :func:`draw`."""
    return _save(draw(transcription, scene), "png")


def to_svg(transcription: Transcription, scene: Scene | None = None) -> bytes:
    """Draw a piano roll as SVG; see :func:`draw`."""
    return _save(draw(transcription, scene), "svg")


def _save(figure: Figure, suffix: str) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # Neither the time nor a random salt: the same notes give the same bytes.
    metadata: dict[str, str | None] = {"Date": None} if suffix == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "pitchai", "svg.fonttype": "none"}):
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def _range(notes: Sequence[Note]) -> tuple[int, int]:
    """Whole octaves that hold all notes, two at least."""
    pitches = [note.pitch for note in notes] or [60]
    low, high = min(pitches) // 12 * 12, max(pitches) // 12 * 12 + 11
    return (low, high) if high - low > 12 else (low - 12, high)


def _draw_row(
    axes: Axes,
    transcription: Transcription,
    compared: tuple[list[Note], list[Note], list[Note]] | None,
    span: tuple[float, float],
    pitches: tuple[int, int],
    shaded: bool,
) -> None:
    from matplotlib.ticker import MaxNLocator

    start, end = span
    low, high = pitches
    for pitch in range(low, high + 1):
        if shaded and pitch % 12 in BLACK_KEYS:
            axes.axhspan(pitch - 0.5, pitch + 0.5, color="#EEF0F3", lw=0, zorder=0)
        if pitch % 12 == 0:
            axes.axhline(pitch - 0.5, color="#C9CED6", lw=0.6, zorder=0.5)
    if compared is None:
        _draw_notes(axes, transcription.notes, span, by_velocity=True, by_family=bool(families_in(transcription)))
    else:
        hits, misses, extras = compared
        _draw_notes(axes, hits, span, facecolor=HIT, edgecolor=HIT)
        _draw_notes(axes, misses, span, facecolor="none", edgecolor=MISS, linewidth=1.2)
        _draw_notes(axes, extras, span, facecolor="#F4E3EC", edgecolor=EXTRA, hatch="//////")
    floor = low - 0.5
    if transcription.drums:
        floor -= DRUM_LANE
        draw_drums(axes, transcription.drums, span, floor, INK)
    if transcription.chords:
        floor -= LANE
        for chord in transcription.chords:
            if chord.onset < end and chord.offset > start:
                x = max(chord.onset, start)
                axes.axvline(x, 0, LANE / (high - floor + 0.5), color="#C9CED6", lw=0.6)
                axes.text(
                    x, floor + LANE / 2, f" {_name(chord.label)}", fontsize=6.5, va="center", color=INK, clip_on=True
                )
    if transcription.pedals:
        floor -= LANE
        spans = [(p.onset, p.offset - p.onset) for p in transcription.pedals if p.onset < end and p.offset > start]
        axes.broken_barh(spans, (floor + 0.7, LANE - 1.4), facecolor=PEDAL, lw=0)
        axes.text(start, floor + LANE / 2, "Ped. ", fontsize=6, style="italic", ha="right", va="center", color=INK)
    _draw_keyboard(axes, span, pitches)
    axes.set_xlim(start, end)
    axes.set_ylim(floor, high + 0.5)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=2, labelsize=7, colors=INK)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=end - start > 5))
    axes.xaxis.set_major_formatter(lambda value, _: _clock(value))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#C9CED6")


@dataclass(frozen=True)
class _Image:
    """Decibels of shape (88 * ``SPECTROGRAM_BINS``, n_frames), the lowest pitch first."""

    decibels: np.ndarray
    frames_per_second: float


def _spectrogram(scene: Scene, n_together: int) -> _Image:
    """Bring the recording's spectrogram onto the axis of pitches: what the network hears, to the eye.

    So many frames are averaged: single ones of a long row are narrower than a pixel.
    """
    from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig
    from transcribe.engine.windows import in_tune

    config = FeatureConfig()
    assert scene.recording is not None
    bins = np.arange(N_PITCHES * SPECTROGRAM_BINS) / SPECTROGRAM_BINS + LOWEST_PITCH - 0.5 + 0.5 / SPECTROGRAM_BINS
    centres = config.mel_frequencies()
    place = np.interp(440.0 * 2.0 ** ((bins - 69) / 12), centres, np.arange(len(centres)))
    lower = np.minimum(place.astype(int), len(centres) - 2)
    share = (place - lower).astype(np.float32)
    rows = GrowingArray()
    held = np.zeros((0, len(bins)), np.float32)
    for log_mel in in_tune(scene.recording, config):
        image = log_mel[:, lower] * (1 - share) + log_mel[:, lower + 1] * share
        held = np.concatenate([held, image * config.scale_db])
        whole = len(held) // n_together * n_together
        rows.add(held[:whole].reshape(-1, n_together, len(bins)).mean(1))
        held = held[whole:]
    return _Image(rows.array().T, config.grid.frames_per_second / n_together)


def _draw_spectrogram(axes: Axes, image: _Image, span: tuple[float, float], pitches: tuple[int, int]) -> None:
    from transcribe.engine.features import LOWEST_PITCH, N_PITCHES

    first, last = (round(time * image.frames_per_second) for time in span)
    low, high = max(pitches[0], LOWEST_PITCH), min(pitches[1] + 1, LOWEST_PITCH + N_PITCHES)
    rows = slice((low - LOWEST_PITCH) * SPECTROGRAM_BINS, (high - LOWEST_PITCH) * SPECTROGRAM_BINS)
    shown = image.decibels[rows, first:last]
    if not shown.size:  # an empty recording has no rows of any width
        return
    loudest = float(image.decibels.max())
    end = (first + shown.shape[1]) / image.frames_per_second
    axes.imshow(
        shown,
        cmap="Greys",
        vmin=loudest - SPECTROGRAM_RANGE,
        vmax=loudest + 20.0,  # the notes stay darker
        aspect="auto",
        origin="lower",
        extent=(first / image.frames_per_second, end, low - 0.5, high - 0.5),
        interpolation="bilinear",
        zorder=0.2,
    )


def _name(label: str) -> str:
    """Name a chord for matplotlib, where a dollar sign would begin a formula."""
    return chord_name(label).replace("$", r"\$")


def _draw_notes(
    axes: Axes,
    notes: Sequence[Note],
    span: tuple[float, float],
    by_velocity: bool = False,
    by_family: bool = False,
    **style: Any,
) -> None:
    from matplotlib.collections import PolyCollection

    shown = [note for note in notes if note.onset < span[1] and note.offset > span[0]]
    if not shown:
        return
    x0, x1 = np.array([note.onset for note in shown]), np.array([note.offset for note in shown])
    x1 = np.maximum(x1, x0 + 0.02 * max(1.0, (span[1] - span[0]) / SINGLE_ROW_SECONDS))  # or it could not be seen
    y = np.array([note.pitch for note in shown])
    corners = [[x0, y - 0.42], [x1, y - 0.42], [x1, y + 0.42], [x0, y + 0.42]]
    polygons = np.stack([np.stack(corner, -1) for corner in corners], 1)  # (n, 4, 2)
    boxes = PolyCollection(list(polygons), zorder=2, **style)
    if by_velocity:
        velocities = np.array([note.velocity for note in shown], float)
        if by_family:
            strengths = (0.35 + 0.65 * velocities / 127).tolist()
            colours = [(colour_of(note), strength) for note, strength in zip(shown, strengths, strict=True)]
            boxes.set_facecolor(colours)
        else:
            boxes.set_array(velocities)
            boxes.set_cmap("viridis_r")
            boxes.set_clim(0, 127)
        boxes.set_edgecolor("#FFFFFF80")
        boxes.set_linewidth(0.3)
    axes.add_collection(boxes)


def _draw_keyboard(axes: Axes, span: tuple[float, float], pitches: tuple[int, int]) -> None:
    """Draw the keys left of the notes, every C named."""
    from matplotlib.patches import Rectangle

    width = 0.011 * (span[1] - span[0])
    for pitch in range(pitches[0], pitches[1] + 1):
        colour = INK if pitch % 12 in BLACK_KEYS else "white"
        key = Rectangle((span[0] - width, pitch - 0.5), width, 1, fc=colour, ec="#C9CED6", lw=0.4, clip_on=False)
        axes.add_patch(key)
        if pitch % 12 == 0:
            axes.text(
                span[0] - 1.3 * width, pitch, f"C{pitch // 12 - 1}", fontsize=6.5, ha="right", va="center", color=INK
            )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 2), 60)
    return f"{int(minutes)}:{rest:04.1f}".removesuffix(".0")


def compare(reference: Sequence[Note], estimate: Sequence[Note]) -> tuple[list[Note], list[Note], list[Note]]:
    """Tell hits (as estimated), misses and extras apart: onsets within 50 ms, the same pitch."""
    matched = match_notes(reference, estimate)
    found, heard = {i for i, _ in matched}, {j for _, j in matched}
    return (
        [estimate[j] for j in sorted(heard)],
        [note for i, note in enumerate(reference) if i not in found],
        [note for j, note in enumerate(estimate) if j not in heard],
    )


def _legend(figure: Figure, height: float) -> None:
    from matplotlib.patches import Patch

    kinds = [
        Patch(facecolor=HIT, edgecolor=HIT, label="hit"),
        Patch(facecolor="none", edgecolor=MISS, linewidth=1.2, label="missed"),
        Patch(facecolor="#F4E3EC", edgecolor=EXTRA, hatch="//////", label="extra"),
    ]
    figure.legend(
        handles=kinds, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.02 / height), ncols=3, frameon=False, fontsize=8
    )
