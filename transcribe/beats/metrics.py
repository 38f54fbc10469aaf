"""mir_eval's metrics of beats, downbeats and keys over recordings.

Beats count as found within 70 ms, and not in the first five seconds (mir_eval's conventions, which are MIREX').
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from transcribe.beats.datasets import read_beats
from transcribe.datasets import Piece
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError
from transcribe.events import Transcription
from transcribe.formats.reading import Numbers, decode, read_bytes
from transcribe.report.tables import Table
from transcribe.theory.keys import signature, usual

METRICS = {
    "beats": "beats, F1",
    "downbeats": "downbeats, F1",
    "key": "key, exactly",
    "key_weighted": "key, weighted",
}
CONVENTIONS = (
    "beats within 70 ms, the first 5 s left out; keys where a .key file tells the truth: that of the longest section; "
    "means over recordings"
)


@dataclass(frozen=True)
class BeatReport:
    """Figures of every recording by its name, and their means, by the names of :data:`METRICS`."""

    pieces: Mapping[str, Mapping[str, float]]
    means: Mapping[str, float]
    conventions: str = CONVENTIONS

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    @property
    def confusion(self) -> Mapping[str, Mapping[str, int]]:
        """Nothing: beats have no labels to be confused."""
        return {}

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain values."""
        return asdict(self)

    def tables(self) -> Iterator[Table | str]:
        """Lay out the means, and how many recordings each is over."""
        rows = (
            (METRICS[name], f"{value:.4f}", str(sum(name in scores for scores in self.pieces.values())))
            for name, value in self.means.items()
        )
        yield Table(("", "score", "recordings"), tuple(rows), f"{len(self.pieces)} recordings", strong=1)
        yield f"conventions: {self.conventions}"


def score_beats(truth: Transcription, found: Transcription) -> dict[str, float]:
    """Compare the beats, and the keys where the truth has one.

    Beats that nobody found among beats that are there score 0, as does a key that isn't told.
    """
    import mir_eval.beat
    import mir_eval.key

    scores = {}
    for name in ("beats", "downbeats"):
        reference, estimate = (mir_eval.beat.trim_beats(np.array(getattr(t, name), float)) for t in (truth, found))
        if len(reference):
            scores[name] = float(mir_eval.beat.f_measure(reference, estimate)) if len(estimate) else 0.0
    if truth.key is not None:
        true, told = usual(truth.key), "X" if found.key is None else usual(found.key)
        scores["key"] = float(true == told)
        scores["key_weighted"] = float(mir_eval.key.weighted_score(true, told))
    return scores


def read_truth(piece: Piece) -> Transcription:
    """Read a recording's ``.beats``, and its key from a ``.key`` beside it: lines of onset s, offset s and key.

    Raises
    ------
    InputError
        If they can't be read.
    """
    beats = read_beats(piece.labels)
    path = piece.labels.with_suffix(".key")
    spans: dict[str, float] = {}
    number = Numbers()
    try:
        for line in decode(read_bytes(path)).splitlines() if path.is_file() else ():
            onset, offset, key = line.split("\t")
            signature(key)
            spans[key] = spans.get(key, 0.0) + number(offset) - number(onset)
    except ValueError as error:
        raise InputError(f"{path}: no lines of onset, offset and key, with tabs between them: {error}") from None
    return Transcription(
        beats=beats.beats, downbeats=beats.downbeats, key=max(spans, key=lambda key: spans[key]) if spans else None
    )


def evaluate_beats(
    pieces: Sequence[Piece], transcriber: Listener[object], progress: Progress | None = None
) -> BeatReport:
    """Listen to every recording, and compare what was found with the truth.

    Raises
    ------
    InputError
        If a recording or its labels can't be read.
    """
    scores = {}
    for number, piece in enumerate(pieces, 1):
        scores[piece.name] = score_beats(read_truth(piece), transcriber.transcribe_file(piece.audio))
        if progress is not None:
            progress(number, len(pieces))
    known = {name: [own[name] for own in scores.values() if name in own] for name in METRICS}
    return BeatReport(scores, {name: float(np.mean(values)) for name, values in known.items() if values})
