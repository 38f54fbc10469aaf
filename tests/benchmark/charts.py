"""Whether charts have the chords where they belong: songs of POP909 played by a band, heard by the whole tool.

    python -m tests.benchmark.charts --songs POP909 --soundfont sf_GMbank.sf2 --work runs/charts [--model any]

A song's piano, melody and chords (``_chord_midi.txt``) are given to a band of General MIDI with a bass and drums that
know the bars (``_beat_midi.txt``), and rendered as a whole, in its own key and tempo, into the folder ``--work``, where
results are kept too. The sound font and the songs should be ones that training never had: ``--split beats`` has twelve
songs that the beat network never had, ``chords`` twelve that the chord network never had (none is unknown to both),
``valid`` twelve of either's validation songs, to choose by. POP909's bar lines were found by a program and lie a beat
off in some songs: those are left out in which a tenth of the true chords begins on weak beats.

A true chord begins where the root or the kind of triad (major, minor) changes; rests between chords don't count. Of
every true chord, from the first bar line on, it is asked:

placed
    Does the chart have a chord with this root that begins at its true place? The bar that it stands in must begin and
    end where the true bar does, within a quarter of a beat, and the chord must come after the same share of the bar, so
    that two beats of 6/8 are as right as six eighths.
change
    The same of any chord: its name may be wrong.
level
    Is it placed, or would it be if bars were written half as long or twice as long? Whether a slow song has bars of
    four beats or of two, or of four that are twice as fast, is a matter of taste, and one can play from either.
spelling
    Of the chords that are placed, is the root spelled as the song's true key spells it? (POP909 writes all keys with
    flats; what is meant is the usual key, C sharp minor for D flat minor, and six sharps are as good as six flats.)

``extra`` is the share of the chart's chords that begin where no true one does. What isn't placed is put down to the
first of these: ``tempo`` (twice or half as many beats in this bar), ``beats`` (another number of them, or none where
the chord begins), ``phase`` (the beats are right and the bar lines are not), ``missed`` (no chord with this root was
heard to begin within a beat), ``snapped`` (it was, but stands elsewhere).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from train.synthesis.arrangements import Part, arranged
from train.synthesis.songs import Notes, Song, read_song
from train.synthesis.sounds import CLOSED_HIHAT, KICK, SAMPLE_RATE, SNARE, synthesise
from transcribe.beats.analysis import analysed
from transcribe.chords.decoder import simplified
from transcribe.events import Key, Transcription
from transcribe.files import load
from transcribe.score.beats import BeatGrid
from transcribe.score.chart import Places, make_chart
from transcribe.theory.chords import parse
from transcribe.theory.keys import usual
from transcribe.theory.spelling import root_in_key
from transcribe.transcriber import Transcriber

N_SONGS = 12
# Songs by the remainder of their number by nine: train.beats.corpus and train.synthesis.songs.
SPLITS = {"beats": (2,), "chords": (8,), "valid": (5, 4)}
FAULTS = ("tempo", "beats", "phase", "missed", "snapped")
# How far lines may lie from the true ones, and how far changes from the true ones are looked for, in beats.
NEAR, AROUND = 0.25, 1.0
# Bar lines in which more chords begin on other beats than the first and the middle one can't be trusted.
MOST_WEAK = 0.1
# Keys of six flats, and of as many sharps.
TWINS = {"F# major": "Gb major", "Eb minor": "D# minor"}


@dataclass(frozen=True)
class Truth:
    """A song: chords in order (onset s, label), its ``beats`` in seconds, which of them begin bars, and its keys."""

    chords: tuple[tuple[float, str], ...]
    beats: np.ndarray
    downbeat: np.ndarray
    keys: tuple[Key, ...]

    @property
    def lines(self) -> np.ndarray:
        """The numbers of the beats that begin bars, and where one would after the last."""
        found = np.flatnonzero(self.downbeat)
        return np.append(found, 2 * found[-1] - found[-2])


def songs_of(folder: Path, split: str) -> list[Path]:
    """Choose twelve songs for every remainder of a split, all over the folder."""
    paths = sorted(folder.glob("[0-9][0-9][0-9].mid"))
    found = []
    for rest in SPLITS[split]:
        part = [path for path in paths if int(path.stem) % 9 == rest and weak_share(read_truth(path)) < MOST_WEAK]
        found += part[:: max(1, len(part) // N_SONGS)][:N_SONGS]
    return found


def weak_share(truth: Truth) -> float:
    """Count the share of chords that begin neither with a bar nor in its middle."""
    places = np.round(BeatGrid(truth.beats.tolist()).to_beats(np.array([onset for onset, _ in truth.chords])))
    lines = truth.lines
    bars = np.searchsorted(lines, places, side="right") - 1
    inside = [(place, k) for place, k in zip(places, bars, strict=True) if 0 <= k < len(lines) - 1]
    return float(np.mean([2 * (place - lines[k]) % (lines[k + 1] - lines[k]) > 0 for place, k in inside]))


def read_truth(midi: Path) -> Truth:
    """Read what is true of a song of POP909."""
    rows = np.loadtxt(midi.with_name(f"{midi.stem}_beat_midi.txt"))
    keys = []
    for line in midi.with_name(f"{midi.stem}_key_audio.txt").read_text().splitlines():
        onset, offset, name = line.split()
        label = name.replace(":maj", " major").replace(":min", " minor")
        keys.append(Key(float(onset), float(offset), usual(label)))
    chords = []
    for line in midi.with_name(f"{midi.stem}_chord_midi.txt").read_text().splitlines():
        onset, _, name = line.split()
        chords.append((float(onset), name))
    return Truth(merged(chords), rows[:, 0], rows[:, 2] > 0, tuple(keys))


def merged(chords: Sequence[tuple[float, str]]) -> tuple[tuple[float, str], ...]:
    """Keep the chords whose root or kind of triad is another than before; rests go."""
    found: list[tuple[float, str]] = []
    before = ""
    for onset, label in chords:
        kind = triad(label)
        if kind not in (before, "N"):
            found.append((onset, label))
        before = kind
    return tuple(found)


def triad(label: str) -> str:
    """Name the root, as a number, and the kind of triad: what two chords have in common that count as one."""
    chord = simplified(parse(label), "majmin")
    return "N" if chord.root is None else f"{chord.root}:{chord.quality}"


def band(song: Song, downbeat: np.ndarray, rng: np.random.Generator) -> list[Part]:
    """Give a song to a band whose drums know the bars: kick on one, three and after three, snare on two and four."""
    parts = [part for part in arranged(song, rng, alone_share=0.0) if part[0] >= 0]
    drums: Notes = []
    place = 0
    lengths = np.diff(np.flatnonzero(downbeat))
    length = int(np.bincount(lengths).argmax())
    kicks, snares = ((0, 2), (1, 3)) if length == 4 else ((0,), (length // 2,))
    for (beat, after), first in zip(pairwise(song.beats), downbeat, strict=False):
        place = 0 if first else place + 1
        struck = [KICK] * (place in kicks) + [SNARE] * (place in snares) + [CLOSED_HIHAT]
        drums += [(beat, beat + 0.2, drum, int(rng.normal(90, 8))) for drum in struck]
        half = (beat + after) / 2
        struck = [KICK] * (length == 4 and place == 2) + [CLOSED_HIHAT]
        drums += [(half, half + 0.2, drum, int(rng.normal(65, 8))) for drum in struck]
    return [*parts, (-1, drums, 0.8)]


def render(midi: Path, soundfont: Path, out: Path) -> None:
    """Play a song, a little unevenly."""
    import pretty_midi

    rng = np.random.default_rng(int(midi.stem))
    score = pretty_midi.PrettyMIDI(resolution=960)
    for program, notes, loudness in band(read_song(midi), read_truth(midi).downbeat, rng):
        score.instruments.append(pretty_midi.Instrument(max(program, 0), is_drum=program < 0))
        for on, off, pitch, velocity in notes:
            start, loud = max(0.0, on + rng.normal(0, 0.006)), int(np.clip(velocity * loudness, 1, 127))
            score.instruments[-1].notes.append(pretty_midi.Note(loud, pitch, start, max(off, start + 0.05)))
    samples = synthesise(soundfont, score)
    soundfile.write(out, samples * 0.7 / np.abs(samples).max(), SAMPLE_RATE, subtype="PCM_16")


@dataclass(frozen=True)
class Cell:
    """A chord of a chart: when its bar begins and ends, after which share of it the chord comes, and its label."""

    onset: float
    offset: float
    share: float
    label: str


def cells_of(heard: Transcription) -> list[Cell]:
    """List the chords that begin somewhere in a chart."""
    chart = make_chart(heard)
    if chart is None:
        return []
    bars = [*chart.lead_in, *(bar for section in chart.sections for bar in section.bars)]
    grid = BeatGrid(heard.beats)
    number = Places(heard).lines[0] - sum(map(len, chart.lead_in))
    found, before = [], "N"
    for bar in bars:
        onset, offset = grid.to_seconds(np.array([number, number + len(bar)])).tolist()
        for place, label in enumerate(bar):
            if label not in (before, "N"):
                found.append(Cell(onset, offset, place / len(bar), label))
            before = label
        number += len(bar)
    kinds = ["", *(triad(cell.label) for cell in found)]
    return [cell for cell, (a, b) in zip(found, pairwise(kinds), strict=True) if a != b]


@dataclass
class Figures:
    """What a song's chart has right, and what is wrong with it."""

    n_chords: int = 0
    placed: int = 0
    change: int = 0
    level: int = 0
    spelled: int = 0
    n_cells: int = 0
    extra: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Count another song's too."""
        for name in ("n_chords", "placed", "change", "level", "spelled", "n_cells", "extra"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults = self.faults + other.faults

    def row(self) -> list[str]:
        """Write it as a row of the table."""
        n = max(self.n_chords, 1)
        shares = (
            self.placed / n,
            self.change / n,
            self.level / n,
            self.spelled / max(self.placed, 1),
            self.extra / max(self.n_cells, 1),
        )
        return [*(f"{share:.3f}" for share in shares), *(f"{self.faults[f] / n:.3f}" for f in FAULTS)]


def judge(heard: Transcription, truth: Truth) -> Figures:
    """Compare a song's chart with what is true."""
    cells, lines, found = cells_of(heard), truth.lines, Figures()
    grid = BeatGrid(truth.beats.tolist())
    beats = grid.to_beats(np.array(heard.beats)) if heard.beats else np.zeros(0)
    bars = grid.to_beats(np.array([[cell.onset, cell.offset] for cell in cells])).reshape(-1, 2)
    raw = [(float(grid.to_beats(np.array(c.onset))), parse(c.label).root) for c in heard.chords]
    hit: set[int] = set()
    for onset, label in truth.chords:
        place = int(np.round(grid.to_beats(np.array(onset))))
        bar = int(np.searchsorted(lines, place, side="right")) - 1
        if bar < 0 or bar + 1 == len(lines):
            continue
        found.n_chords += 1
        line, after, root = int(lines[bar]), int(lines[bar + 1]), parse(label).root
        share = (place - line) / (after - line)
        here = [
            i
            for i, cell in enumerate(cells)
            if max(abs(bars[i] - [line, after])) < NEAR and abs(cell.share - share) < 1e-6
        ]
        hit |= set(here)
        spans = levels(lines, bar)
        found.level += any(
            parse(cell.label).root == root
            and abs(first + cell.share * (last - first) - place) < NEAR
            and any(max(abs(first - a), abs(last - b)) < NEAR for a, b in spans)
            for cell, (first, last) in zip(cells, bars, strict=True)
        )
        found.change += bool(here)
        named = [cells[i].label for i in here if parse(cells[i].label).root == root]
        if named:
            found.placed += 1
            found.spelled += is_spelled(named[0], onset, truth.keys)
            continue
        inside = int(np.count_nonzero((beats >= line - NEAR) & (beats < after - NEAR)))
        near = [other for time, other in raw if abs(time - place) < AROUND]
        if inside in (2 * (after - line), (after - line) / 2):
            fault = "tempo"
        elif inside != after - line or np.abs(beats - place).min(initial=np.inf) > NEAR:
            fault = "beats"
        elif not any(abs(first - line) < NEAR and abs(last - after) < NEAR for first, last in bars_of(heard, grid)):
            fault = "phase"
        else:
            fault = "snapped" if root in near else "missed"
        found.faults[fault] += 1
    found.n_cells, found.extra = len(cells), len(cells) - len(hit)
    return found


def levels(lines: np.ndarray, bar: int) -> list[tuple[float, float]]:
    """List a bar, its halves, and the two bars that it may be a half of, by where they begin and end."""
    line, after = lines[bar], lines[bar + 1]
    found = [(line, after), (line, (line + after) / 2), ((line + after) / 2, after)]
    found += [(lines[k], lines[k + 2]) for k in (bar - 1, bar) if 0 <= k < len(lines) - 2]
    return found


def bars_of(heard: Transcription, grid: BeatGrid) -> list[tuple[float, float]]:
    """List where bars begin and end, in true beats."""
    return list(pairwise(grid.to_beats(np.array(heard.downbeats)).tolist()))


def is_spelled(label: str, onset: float, keys: Sequence[Key]) -> bool:
    """Whether a chord's root is spelled by the key of its time; by any where none is known."""
    if not keys:
        return True
    key = next((k for k in reversed(keys) if k.onset <= onset), keys[0])
    twins = {key.label, TWINS.get(key.label, key.label)}
    return label.partition(":")[0].partition("/")[0] in {root_in_key(parse(label), twin) for twin in twins}


def heard_in(midi: Path, work: Path, soundfont: Path, transcriber: Transcriber, name: str) -> Transcription:
    """Render a song and transcribe it, unless that was done before."""
    sound, result = work / f"{midi.stem}.flac", work / f"{midi.stem}-{name}.json"
    if not sound.exists():
        render(midi, soundfont, sound)
    if not result.exists():
        transcriber.transcribe_file(sound).save(result)
    return load(result)


def main() -> None:
    """Print a table, a row a song."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, required=True, help="folder of POP909")
    parser.add_argument("--soundfont", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for renders and results")
    parser.add_argument("--split", choices=tuple(SPLITS), default="beats")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--anew", action="store_true", help="find the beats of kept results anew")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    transcriber = Transcriber(
        tasks=("notes", "beats", "chords", "instruments"), model=options.model, threads=options.threads
    )
    table = Table("song", "placed", "change", "level", "spelling", "extra", *FAULTS)
    total = Figures()
    for midi in songs_of(options.songs, options.split):
        heard = heard_in(midi, options.work, options.soundfont, transcriber, options.model)
        if options.anew:
            heard = analysed(replace(heard, beats=(), downbeats=(), beat_confidences=(), metres=(), tempo=None))
        figures = judge(heard, read_truth(midi))
        total.add(figures)
        table.add_row(midi.stem, *figures.row())
    table.add_row("all", *total.row())
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
