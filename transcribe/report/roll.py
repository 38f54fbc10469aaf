"""Pictures of a transcription: a piano roll in rows, as a page of music has them, below its title and a key.

Velocity is colour (viridis, as on the page: even in print and to every eye) and how thick a note is; where instruments
are known, they are the colour, and velocity is how strong it is. Bars are numbered above the notes; the drums, the
pedal and the chords stand below them. Beside a reference, hits are blue, misses hollow and orange, extras hatched and
purple, so that no meaning rests on colour alone.
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
from transcribe.score.numbering import numbered
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
SEMITONE_INCHES = 0.062
LANE = 3.0  # semitones that the pedal takes below the notes
CHORD_LANE = 4.8  # and the chords, whose names stand in two lines where they are close
MARGIN, HEAD = 0.55, 0.5  # inches below every row, and above the first
LEFT, WIDTH = 0.06, 0.925  # of the picture's width
DPI = 120
# Longer music has longer rows: 270 inches are 32,400 pixels, about what viewers show, and 190 MB to draw on.
MOST_ROWS, MOST_INCHES = 120, 270.0
BLACK_KEYS = (1, 3, 6, 8, 10)
# Those of the page in its light theme.
HIT, MISS, EXTRA, PEDAL, INK = "#0072B2", "#A85F00", "#A3366F", "#56606B", "#222222"
PALE, LINE, BEAT_LINE = "#F4E3EC", "#C9CED6", "#E4E7EB"
# How much of viridis there is, the loudest dark: the palest tenth would not be seen on white.
_PALEST = 0.85
_LONGEST_TITLE = 70
_MOST_LINES = 200  # of beats or bars in a row
_LETTER = 0.062  # inches that a letter of a chord takes


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
    lanes = LANE * bool(transcription.pedals) + CHORD_LANE * bool(transcription.chords)
    height = (high - low + 1 + lanes + DRUM_LANE * bool(transcription.drums)) * SEMITONE_INCHES
    seconds = max(duration, 1.0) if duration <= SINGLE_ROW_SECONDS else ROW_SECONDS
    n_rows, most = math.ceil(duration / seconds), min(MOST_ROWS, int(MOST_INCHES / (height + MARGIN)))
    if n_rows > most:
        seconds, n_rows = duration / most, most
    show = scene.spectrogram and scene.recording is not None
    image = _spectrogram(scene, math.ceil(seconds / SINGLE_ROW_SECONDS)) if show else None
    compared = None if reference is None else compare(reference.notes, transcription.notes)
    figure = Figure(figsize=(INCHES, n_rows * (height + MARGIN) + HEAD), facecolor="white")
    total = figure.get_figheight()
    for row in range(n_rows):
        bottom = total - HEAD - (row + 1) * (height + MARGIN) + MARGIN * 0.8
        start, end = row * seconds, (row + 1) * seconds
        if n_rows > 1 and row == n_rows - 1:  # no longer than the music is
            end = max(duration, start + 0.1 * seconds)
        axes = figure.add_axes((LEFT, bottom / total, WIDTH * (end - start) / seconds, height / total))
        if image is not None:
            _draw_spectrogram(axes, image, (start, end), (low, high))
        _draw_row(axes, transcription, compared, (start, end), (low, high), image is None)
    _draw_head(figure, scene, families_in(transcription, reference), bool(transcription.notes), total)
    return figure


def _draw_head(figure: Figure, scene: Scene, families: list[str], coloured: bool, height: float) -> None:
    """Write the title, and what the colours mean, above a picture that is ``height`` inches high."""
    title = scene.title if len(scene.title) <= _LONGEST_TITLE else f"{scene.title[: _LONGEST_TITLE - 1]}…"
    figure.text(
        LEFT, 1 - 0.12 / height, _plain_text(title), fontsize=11, fontweight="bold", va="top", color=INK, wrap=False
    )
    if scene.reference is not None:
        _legend(figure, height)
    elif families:
        add_legend(figure, families, height)
    elif coloured:
        _velocity_key(figure, height)


def _velocity_key(figure: Figure, height: float) -> None:
    """Draw the colours of velocities, from soft to loud, as thick as notes are."""
    axes = figure.add_axes((LEFT + WIDTH - 0.2, 1 - 0.3 / height, 0.2, 0.16 / height))
    steps = np.arange(1, 128, 6)
    axes.bar(steps, _thickness(steps), 6, bottom=-_thickness(steps) / 2, color=_colours(steps), align="edge", lw=0)
    axes.set_xlim(-34, 185)
    axes.set_ylim(-0.5, 0.5)
    for x, text, side in ((-4, "soft 1", "right"), (140, "127 loud", "left")):
        axes.text(x, 0, text, fontsize=7.5, ha=side, va="center", color=INK, clip_on=False)
    axes.set_axis_off()
    axes.set_label("key")


def _colours(velocities: np.ndarray) -> np.ndarray:
    """Choose the page's colours of velocities: (n, 4)."""
    from matplotlib import colormaps

    return np.asarray(colormaps["viridis"](_PALEST * (1 - velocities / 127)))


def _thickness(velocities: np.ndarray) -> np.ndarray:
    """How much of a semitone's height notes take, as on the page."""
    return np.asarray(0.45 + 0.5 * velocities / 127)


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
    """Find what is played, and a semitone on either side; an octave at least."""
    pitches = [note.pitch for note in notes] or [60]
    low, high = min(pitches) - 1, max(pitches) + 1
    missing = max(0, 12 - (high - low))
    return low - missing // 2, high + missing - missing // 2


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
            axes.axhline(pitch - 0.5, color=LINE, lw=0.6, zorder=0.5)
    if compared is None:
        _draw_notes(axes, transcription.notes, span, by_velocity=True, by_family=bool(families_in(transcription)))
    else:
        hits, misses, extras = compared
        _draw_notes(axes, hits, span, facecolor=HIT, edgecolor=HIT)
        _draw_notes(axes, misses, span, facecolor="none", edgecolor=MISS, linewidth=1.2)
        _draw_notes(axes, extras, span, facecolor=PALE, edgecolor=EXTRA, hatch="//////")
    floor = low - 0.5
    if transcription.drums:
        floor -= DRUM_LANE
        draw_drums(axes, transcription.drums, span, floor, INK)
    if transcription.chords:
        floor -= CHORD_LANE
        _draw_chords(axes, transcription, span, floor)
    if transcription.pedals:
        floor -= LANE
        spans = [(p.onset, p.offset - p.onset) for p in transcription.pedals if p.onset < end and p.offset > start]
        axes.broken_barh(spans, (floor + 0.7, LANE - 1.4), facecolor=PEDAL, lw=0)
        axes.text(start, floor + LANE / 2, "Ped. ", fontsize=6, style="italic", ha="right", va="center", color=INK)
    _draw_bars(axes, transcription, span, high)
    _draw_keyboard(axes, span, pitches)
    axes.set_xlim(start, end)
    axes.set_ylim(floor, high + 0.5)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=2, labelsize=7, colors=INK)
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10], integer=end - start > 5))
    axes.xaxis.set_major_formatter(lambda value, _: _clock(value))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)


def _seconds_of(axes: Axes, span: tuple[float, float], inches: float) -> float:
    """How many seconds of a row so many inches are."""
    width = axes.get_position().width * INCHES
    return inches / width * (span[1] - span[0])


def _draw_chords(axes: Axes, transcription: Transcription, span: tuple[float, float], floor: float) -> None:
    """Name the chords below the notes, in two lines where names are close; what has no room in either isn't named."""
    start, end = span
    free = [-math.inf, -math.inf]  # from where each line is
    for chord in transcription.chords:
        if not (chord.onset < end and chord.offset > start):
            continue
        x, name = max(chord.onset, start), _name(chord.label)
        axes.plot([x, x], [floor, floor + CHORD_LANE], color=LINE, lw=0.6, zorder=0.5)
        line = 0 if free[0] <= x else 1 if free[1] <= x else None
        if line is None:
            continue
        free[line] = x + _seconds_of(axes, span, _LETTER * (len(name) + 1.5))
        y = floor + CHORD_LANE * (0.75 - 0.5 * line)
        if free[line] <= end or x == start:
            axes.text(x, y, f" {name}", fontsize=6.5, va="center", color=INK, clip_on=True)
        else:  # there is no room on the right: it ends where the row does
            axes.text(end, y, name, fontsize=6.5, va="center", ha="right", color=INK, clip_on=True)


def _draw_bars(axes: Axes, transcription: Transcription, span: tuple[float, float], high: int) -> None:
    """Draw lines where beats and bars begin, and number the bars above the notes as far as there is room."""
    start, end = span
    bars = [(time, bar) for time, bar, number in numbered(transcription) if number == 1 and start <= time < end]
    beats = [beat for beat in transcription.beats if start <= beat < end]
    if len(beats) <= _MOST_LINES:
        for beat in beats:
            axes.axvline(beat, color=BEAT_LINE, lw=0.5, zorder=0.3)
    free = -math.inf
    for time, bar in bars if len(bars) <= _MOST_LINES else ():
        axes.axvline(time, color="#A9B1BB", lw=0.8, zorder=0.6)
        if time >= free:
            axes.text(time, high + 0.7, str(bar), fontsize=6, ha="center", va="bottom", color=PEDAL)
            free = time + _seconds_of(axes, span, 0.3)


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
    return _plain_text(chord_name(label))


def _plain_text(text: str) -> str:
    """Write text for matplotlib, where a dollar sign would begin a formula, without what no font can show."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown.replace("$", r"\$")


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
    velocities = np.array([note.velocity for note in shown], float)
    half = _thickness(velocities) / 2 if by_velocity and not by_family else np.full(len(shown), 0.42)
    corners = [[x0, y - half], [x1, y - half], [x1, y + half], [x0, y + half]]
    polygons = np.stack([np.stack(corner, -1) for corner in corners], 1)  # (n, 4, 2)
    boxes = PolyCollection(list(polygons), zorder=2, **style)
    if by_velocity:
        if by_family:
            strengths = (0.35 + 0.65 * velocities / 127).tolist()
            colours = [(colour_of(note), strength) for note, strength in zip(shown, strengths, strict=True)]
            boxes.set_facecolor(colours)
        else:
            boxes.set_facecolor(_colours(velocities).tolist())
        boxes.set_edgecolor("#FFFFFF80")
        boxes.set_linewidth(0.3)
    axes.add_collection(boxes)


def _draw_keyboard(axes: Axes, span: tuple[float, float], pitches: tuple[int, int]) -> None:
    """Draw the keys left of the notes, every C named."""
    from matplotlib.patches import Rectangle

    width = 0.011 * (span[1] - span[0])
    for pitch in range(pitches[0], pitches[1] + 1):
        colour = INK if pitch % 12 in BLACK_KEYS else "white"
        key = Rectangle((span[0] - width, pitch - 0.5), width, 1, fc=colour, ec=LINE, lw=0.4, clip_on=False)
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
        Patch(facecolor=PALE, edgecolor=EXTRA, hatch="//////", label="extra"),
    ]
    figure.legend(
        handles=kinds, loc="upper right", bbox_to_anchor=(0.985, 1 - 0.02 / height), ncols=3, frameon=False, fontsize=8
    )
