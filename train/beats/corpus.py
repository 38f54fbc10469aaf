"""Music with known beats, from annotated performances and from scores, in one form and one file.

    python -m train.beats.corpus --asap asap-performances --annotations asap-scores --maps maps-synth-train \
        --rhythm maps-rhythm/beats --pop909 pop909 --free free --heard runs/heard \
        --keep-out nasap-score-truth maps-real-dev --out corpus.npz

A score is held as a performance without expression: notes in the seconds of its own tempo marks, and its beats in
seconds too. :mod:`train.beats.performer` plays it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from transcribe.formats.table import read_transcription
from transcribe.notes.datasets import read_labels

DRUM_CHANNEL = 9
# Drum sets on keys of General MIDI (and Roland's TD-11): kick, snare and toms, cymbals.
_KICK, _SNARE = {35, 36}, {37, 38, 39, 40, 41, 43, 45, 47, 48, 50, 58}
# The source of what our own network heard; the music is that of another source.
HEARD = "heard"
SPLITS = ("train", "valid", "test")
# Composers whose pieces of ASAP are for validation alone.
_VALID_COMPOSERS = {"balakirev", "debussy", "glinka", "brahms"}


@dataclass
class Rhythm:
    """Notes with their beats.

    Attributes
    ----------
    notes
        float32 (n, 4): onset s, offset s, pitch, velocity, ordered by onset.
    beats
        float64 (m,): seconds.
    downbeat
        bool (m,).
    metre
        int8 (m,): beats of the bar; 0 where unknown.
    triple
        int8 (m,): 1 where the beat divides in three by its metre, 0 in two, -1 where unknown.
    score
        Whether it wants a performer.
    drums
        float32 (k, 3): onset s, 0 kick, 1 snare or tom, 2 cymbal, and velocity; the network never reads them, but
        a transcriber hears notes where they sound.
    """

    name: str
    source: str
    split: str
    notes: np.ndarray
    beats: np.ndarray
    downbeat: np.ndarray
    metre: np.ndarray
    triple: np.ndarray
    score: bool = False
    drums: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))


def beat_unit(numerator: int, denominator: int) -> tuple[float, int, bool]:
    """How musicians count a metre: quarters a beat, beats a bar, and whether a beat divides in three.

    >>> beat_unit(6, 8)
    (1.5, 2, True)
    """
    triple = numerator % 3 == 0 and numerator > 3
    part = 4 / denominator
    return (3 * part, numerator // 3, True) if triple else (part, numerator, False)


def from_lines(lines: Iterable[tuple[float, bool, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Beats of an annotation: (seconds, whether a bar begins, the metre where it changes, as ``6/8``).

    Returns
    -------
    tuple
        Beats, downbeat, metre (as counted in the bars) and triple, as in :class:`Rhythm`.
    """
    beats: list[float] = []
    downbeat, triple, current = [], [], -1
    for time, first, metre in lines:
        if metre:
            current = int(beat_unit(*map(int, metre.split("/")))[2])
        if beats and time - beats[-1] < 0.05:
            continue
        beats.append(time)
        downbeat.append(first)
        triple.append(current)
    bars = np.array(downbeat, bool)
    return np.array(beats), bars, counted(bars), np.array(triple, np.int8)


def counted(downbeat: np.ndarray) -> np.ndarray:
    """Beats of the bar that every beat is in, int8; 0 before the first downbeat and after the last."""
    metre = np.zeros(len(downbeat), np.int8)
    starts = np.flatnonzero(downbeat)
    for start, stop in itertools.pairwise(starts):
        metre[start:stop] = min(int(stop - start), 127)
    return metre


def read_notes(path: Path) -> np.ndarray:
    """Read the notes of a performance: a MIDI file or a table."""
    heard = read_labels(path) if path.suffix == ".tsv" else read_transcription(path)
    notes = [(n.onset, n.offset, n.pitch, n.velocity) for n in heard.notes]
    return np.array(sorted(notes), np.float32).reshape(-1, 4)


def asap(performances: Path, annotations: Path) -> Iterator[Rhythm]:
    """Read the performances of ASAP that have annotations."""
    for folder in sorted(p for p in annotations.iterdir() if p.is_dir()):
        for path in sorted(folder.glob("*.annotations.txt")):
            midi = performances / f"{folder.name}__{path.name.removesuffix('.annotations.txt')}.mid"
            if path.name.startswith("score") or not midi.exists():
                continue
            lines = []
            for line in path.read_text().splitlines():
                time, _, label = line.split("\t")[:3]
                kind, metre = [*label.split(","), ""][:2]
                lines.append((float(time), kind.startswith("db"), metre))
            yield Rhythm(midi.stem, "asap", _split(folder.name), read_notes(midi), *from_lines(lines))


def maps(recordings: Path, beats: Path) -> Iterator[Rhythm]:
    """Read the software pianos of MAPS that A-MAPS annotates."""
    for path in sorted(recordings.glob("*.tsv")):
        annotation = beats / path.name
        if not annotation.exists():
            continue
        lines = []
        for line in annotation.read_text().splitlines():
            if not line.startswith("#"):
                time, kind, metre, *_ = [*line.split("\t"), ""]
                lines.append((float(time), kind == "db", metre))
        title = path.stem.removeprefix("MAPS_MUS-").rsplit("_", 1)[0]
        notes = np.loadtxt(path, ndmin=2).astype(np.float32)
        yield Rhythm(
            path.stem, "maps", _split(title), notes[np.argsort(notes[:, 0], kind="stable")], *from_lines(lines)
        )


def pop909(folder: Path) -> Iterator[Rhythm]:
    """Read songs: of nine the second is for tests (:func:`train.synthesis.trials.songs`), the fifth for validation."""
    for number, path in enumerate(sorted(folder.glob("*.mid"))):
        rows = np.loadtxt(folder / f"{path.stem}_beat_midi.txt")
        downbeat = rows[:, 2] > 0
        split = {1: "test", 4: "valid"}.get(number % 9, "train")
        triple = np.where(counted(downbeat) == 4, 0, -1).astype(np.int8)
        yield Rhythm(path.stem, "pop909", split, read_notes(path), rows[:, 0], downbeat, counted(downbeat), triple)


def heard(pieces: Iterable[Rhythm], folder: Path) -> Iterator[Rhythm]:
    """Give what :mod:`train.beats.heard` wrote the beats of the music; it is on the side of the split that it is on."""
    found = {path.stem: path for path in sorted(folder.glob("*/*.json"))}
    for piece in pieces:
        if piece.name in found:
            notes = read_notes(found[piece.name])
            beats = piece.beats <= notes[:, 1].max(initial=0.0) + 1.0
            arrays = {name: getattr(piece, name)[beats] for name in ("beats", "downbeat", "metre", "triple")}
            yield replace(piece, source=HEARD, notes=notes, drums=piece.drums[:0], **arrays)


def scores(folder: Path, source: str) -> Iterator[Rhythm]:
    """Scores, and what was sequenced by tempo marks, as MIDI files; those without a metre are left out."""
    for path in sorted(folder.rglob("*.mid")):
        try:
            piece = read_score(path, source)
        except (OSError, ValueError, KeyError, IndexError, EOFError):
            continue
        if piece is not None:
            yield piece


def read_score(path: Path, source: str) -> Rhythm | None:
    """Read one; None if it has no metre or few notes, or if nobody can tell where its bars begin."""
    import mido

    midi = mido.MidiFile(path, clip=True)
    ticks = midi.ticks_per_beat
    tempi, metres, notes, drums = [(0.0, 0.5)], [], [], []
    for track in midi.tracks:
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "set_tempo":
                tempi.append((now / ticks, message.tempo / 1e6))
            elif message.type == "time_signature":
                metres.append((now / ticks, message.numerator, message.denominator))
            elif message.type == "note_on" and message.velocity:
                if message.channel == DRUM_CHANNEL:
                    kind = 0 if message.note in _KICK else 1 if message.note in _SNARE else 2
                    drums.append((now / ticks, kind, message.velocity))
                else:
                    sounding[message.channel, message.note] = now / ticks, message.velocity
            elif message.type in ("note_on", "note_off"):
                begun = sounding.pop((message.channel, message.note), None)
                if begun is not None:
                    notes.append((begun[0], now / ticks, message.note, begun[1]))
    metres = sorted({metre[0]: metre for metre in metres}.values())
    if not metres or metres[0][0] > 0.1 or len(notes) + len(drums) < 30:
        return None
    metres[0] = (0.0, *metres[0][1:])
    table = np.array(sorted(notes), float).reshape(-1, 4)
    # A part doubled by another is one note.
    _, first = np.unique(np.round(table[:, [0, 2]] * 48), axis=0, return_index=True)
    table = table[np.sort(first)]
    end = max(table[:, 1].max(initial=0), max((d[0] for d in drums), default=0))
    played = source in ("piano-midi-de", "groove", "freedoom")
    shift = 0.0 if played else pickup(table, metres[0][1:], metres[1][0] if len(metres) > 1 else end)
    if shift is None:
        return None
    places, downbeat, metre, triple = _grid(metres, end, shift)
    tempi.sort()
    starts, lengths = np.array([t[0] for t in tempi]), np.array([t[1] for t in tempi])
    seconds = np.concatenate([[0], np.cumsum(np.diff(starts) * lengths[:-1])])

    def at(quarters: np.ndarray) -> np.ndarray:
        index = np.clip(np.searchsorted(starts, quarters, side="right") - 1, 0, None)
        return np.asarray(seconds[index] + (quarters - starts[index]) * lengths[index])

    table[:, 0], table[:, 1] = at(table[:, 0]), at(table[:, 1])
    hits = np.array(sorted(drums), float).reshape(-1, 3)
    hits[:, 0] = at(hits[:, 0])
    return Rhythm(
        path.stem, source, "train", table.astype(np.float32), at(places), downbeat, metre, triple,
        score=not played, drums=hits.astype(np.float32),
    )  # fmt: skip


def _grid(
    metres: list[tuple[float, int, int]], end: float, shift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Beats in quarters up to ``end``; the first bar is ``shift`` quarters long where that isn't 0."""
    places, downbeat, metre, triple = [], [], [], []
    for i, (start, numerator, denominator) in enumerate(metres):
        unit, n_beats, three = beat_unit(numerator, denominator)
        stop = metres[i + 1][0] if i + 1 < len(metres) else end + 1e-3
        place, number = start, 0
        if i == 0 and shift:
            number = n_beats - int(shift / unit + 1e-6)
            place = start + shift % unit if shift % unit > 1e-6 else start
            number %= n_beats
        while place < stop - 1e-3:
            places.append(place)
            downbeat.append(number % n_beats == 0)
            metre.append(n_beats)
            triple.append(three)
            place += unit
            number += 1
    return np.array(places), np.array(downbeat, bool), np.array(metre, np.int8), np.array(triple, np.int8)


def pickup(notes: np.ndarray, metre: tuple[int, int], end: float) -> float | None:
    """Tell how long the first bar of a score is, in quarters; 0 for a whole one, None where nobody can tell.

    MIDI files of scores say no word of it. Long and low notes begin on the beats, and on the first ones most of all.
    """
    unit, n_beats, _ = beat_unit(*metre)
    step = unit / 3 if beat_unit(*metre)[2] else unit / 2
    bar = unit * n_beats
    notes = notes[notes[:, 0] < end]
    weight = np.minimum((notes[:, 1] - notes[:, 0]) / unit, 2) * np.where(notes[:, 2] < 55, 1.5, 1.0)
    slots = round(bar / step)
    exact = np.abs(notes[:, 0] / step - np.round(notes[:, 0] / step)) < 0.02
    mass = np.bincount((np.round(notes[:, 0] / step).astype(int) % slots)[exact], weight[exact], slots)
    if not mass.sum():
        return None
    on_beat = np.zeros(slots)
    on_beat[:: round(unit / step)] = 1
    pattern = on_beat.copy()
    pattern[0] += 1
    if n_beats == 4:
        pattern[slots // 2] += 0.5
    fit = np.array([(np.roll(pattern, shift) * mass).sum() for shift in range(slots)]) / mass.sum()
    fit[0] *= 1.08  # most scores begin with a whole bar
    best, second = np.sort(fit)[::-1][:2] if slots > 1 else (fit[0], 0.0)
    return float(np.argmax(fit) * step) if best > 1.04 * second else None


def _split(piece: str) -> str:
    """Train or valid: by composer, and every twelfth of the other pieces."""
    words = re.split(r"[_\-]+", piece.lower())
    if _VALID_COMPOSERS & set(words[:1]):
        return "valid"
    return "valid" if hashlib.sha256(piece.encode()).digest()[0] % 14 == 0 else "train"


def fingerprint(notes: np.ndarray, length: int = 12) -> set[int]:
    """Hashes of all runs of upper notes of a piece, the same in every tempo and key."""
    if len(notes) < length + 2:
        return set()
    groups = np.concatenate([[0], np.cumsum(np.diff(notes[:, 0]) > 0.035)])
    top = np.full(groups[-1] + 1, 0)
    np.maximum.at(top, groups, notes[:, 2].astype(int))
    steps = np.diff(top)
    runs = np.lib.stride_tricks.sliding_window_view(steps, length)
    runs = runs[(runs != 0).sum(1) > length // 2]
    return {hash(run.tobytes()) for run in runs.astype(np.int8)}


def without(pieces: list[Rhythm], kept_out: list[np.ndarray], share: float = 0.04) -> tuple[list[Rhythm], list[str]]:
    """Leave out training pieces that share runs of notes with music kept out, or with the other splits."""
    marks = [fingerprint(notes) for notes in kept_out]
    marks += [fingerprint(p.notes) for p in pieces if p.split != "train"]
    forbidden = set[int]().union(*marks)
    kept, dropped = [], []
    for piece in pieces:
        own = fingerprint(piece.notes) if piece.split == "train" else set()
        if own and len(own & forbidden) / len(own) > share:
            dropped.append(f"{piece.source}/{piece.name} {len(own & forbidden) / len(own):.2f}")
        else:
            kept.append(piece)
    return kept, dropped


_ARRAYS = ("notes", "beats", "downbeat", "metre", "triple", "drums")


def save(pieces: list[Rhythm], path: Path) -> None:
    """Write a corpus as one npz: arrays end to end, and the number of rows of each piece."""
    content = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in _ARRAYS}
    content |= {f"n_{name}": np.array([len(getattr(p, name)) for p in pieces]) for name in _ARRAYS}
    content |= {name: np.array([getattr(p, name) for p in pieces]) for name in ("name", "source", "split", "score")}
    np.savez_compressed(path, **content)  # type: ignore[arg-type]


def load(path: Path) -> list[Rhythm]:
    """Read what :func:`save` wrote."""
    with np.load(path) as content:
        held = {name: content[name] for name in content.files}
    edges = {name: np.concatenate([[0], np.cumsum(held[f"n_{name}"])]) for name in _ARRAYS}
    return [
        Rhythm(
            str(held["name"][i]), str(held["source"][i]), str(held["split"][i]), score=bool(held["score"][i]),
            **{name: held[name][edges[name][i] : edges[name][i + 1]] for name in _ARRAYS},
        )
        for i in range(len(held["name"]))
    ]  # fmt: skip


_FREE = (
    "piano-midi-de", "mutopia", "openscore-lieder", "openscore-quartets", "openscore-orchestra", "openhymnal",
    "irish-cre", "polish-scores", "freedoom", "groove",
)  # fmt: skip


def main() -> None:
    """Write a corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asap", type=Path, required=True, help="folder of performances")
    parser.add_argument("--annotations", type=Path, required=True, help="folder of a folder a piece")
    parser.add_argument("--maps", type=Path, required=True, help="folder of notes as .tsv")
    parser.add_argument("--rhythm", type=Path, required=True, help="A-MAPS' folder of beats as .tsv")
    parser.add_argument("--pop909", type=Path, required=True)
    parser.add_argument("--free", type=Path, required=True, help="folder of sets of scores: " + ", ".join(_FREE))
    parser.add_argument("--heard", type=Path, help="folder that train.beats.heard wrote")
    parser.add_argument("--keep-out", type=Path, nargs="*", default=[], help="folders of .mid or .tsv never trained on")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pieces = [*asap(options.asap, options.annotations), *maps(options.maps, options.rhythm), *pop909(options.pop909)]
    for source in _FREE:
        pieces += scores(options.free / source, source)
    save(pieces, options.out)  # all of it, if what follows fails
    paths = [p for folder in options.keep_out for p in [*folder.rglob("*.mid"), *folder.glob("MAPS*.tsv")]]
    pieces, dropped = without(pieces, [read_notes(path) for path in paths])
    if options.heard:
        pieces += list(heard(pieces, options.heard))
    save(pieces, options.out)
    with options.out.with_suffix(".csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [p.source, p.split, p.name, f"{p.beats[-1] / 60:.1f}"] for p in pieces if len(p.beats)
        )
    options.out.with_suffix(".dropped.txt").write_text("\n".join(dropped) + "\n")
    for source in sorted({p.source for p in pieces}):
        print(source, *(f"{s} {sum(p.source == source and p.split == s for p in pieces)}" for s in SPLITS))


if __name__ == "__main__":
    main()
