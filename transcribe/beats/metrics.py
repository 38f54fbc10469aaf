"""mir_eval's metrics of beats, downbeats and keys over recordings.

Beats count as found within 70 ms, and not in the first five seconds (mir_eval's conventions, which are MIREX').
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from transcribe.beats.datasets import read_beats, read_keys
from transcribe.datasets import LeftOut, Piece
from transcribe.engine.task import Listener, Progress
from transcribe.errors import InputError
from transcribe.events import Key, Metre, Transcription
from transcribe.formats.reading import Numbers, decode, read_bytes
from transcribe.report.statistics import interval
from transcribe.report.summary import counted
from transcribe.report.tables import PlainReport, Table
from transcribe.score.analysis import metre
from transcribe.theory.keys import signature, usual
from transcribe.theory.metres import is_compound, parse_metre

METRICS = {
    "beats": "beats, F1",
    "cmlt": "beats, CMLt",
    "amlt": "beats, AMLt",
    "downbeats": "downbeats, F1",
    "metre": "metre, exactly",
    "metre_class": "metre, its class",
    "tempo": "tempo, within 4 %",
    "tempo_octaves": "tempo, or half or twice",
    "key": "key, exactly",
    "key_weighted": "key, weighted",
    "signature": "key signature",
}
CONVENTIONS = (
    "beats within 70 ms, the first 5 s left out; CMLt and AMLt are mir_eval's; a metre is that of most of the time, "
    "its class whether bars have two, three or another number of beats, and beats two or three parts; a tempo is the "
    "median one; keys where a .key file tells the truth, signatures where the beats' file does: those of most of the "
    "time; means over recordings, and 95 % of 2,000 means of as many drawn with replacement"
)
_TEMPO_TOLERANCE = 0.04


@dataclass(frozen=True)
class BeatReport(PlainReport):
    """Figures of every recording by its name, their means, and the means' intervals, by the names of :data:`METRICS`.

    ``groups`` are means by composer, where the recordings' names begin with one; with the number of recordings.
    """

    pieces: Mapping[str, Mapping[str, float]]
    means: Mapping[str, float]
    conventions: str = CONVENTIONS
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def tables(self) -> Iterator[Table | str]:
        """Lay out the means, and how many recordings each is over."""
        rows = []
        for name, value in self.means.items():
            count = sum(name in scores for scores in self.pieces.values())
            low, high = self.intervals.get(name, (value, value))
            rows.append((METRICS[name], f"{value:.4f}", f"{low:.3f} – {high:.3f}", str(count)))
        yield Table(("", "score", "95 %", "recordings"), tuple(rows), counted(len(self.pieces), "recording"), strong=1)
        if self.groups:
            names = [name for name in ("beats", "downbeats", "metre_class", "tempo") if name in self.means]
            lines = [
                (
                    group,
                    *(f"{means[name]:.3f}" if name in means else "" for name in names),
                    f"{means['recordings']:.0f}",
                )
                for group, means in self.groups.items()
            ]
            yield Table(("composer", *(METRICS[name] for name in names), "recordings"), tuple(lines))
        yield f"conventions: {self.conventions}"


def score_beats(truth: Transcription, found: Transcription) -> dict[str, float]:
    """Compare the beats, and the keys where the truth has one.

    Where there are beats and none was found the score is 0, as does a key that isn't told.
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


def score_rhythm(truth: Transcription, found: Transcription) -> dict[str, float]:
    """Compare continuity, tempo, metre and key signature, wherever the truth has them."""
    import mir_eval.beat

    scores: dict[str, float] = {}
    reference, estimate = (mir_eval.beat.trim_beats(np.array(t.beats, float)) for t in (truth, found))
    if len(reference) > 1:
        some = len(estimate) > 1
        _, cmlt, _, amlt = mir_eval.beat.continuity(reference, estimate) if some else (0.0, 0.0, 0.0, 0.0)
        ratio = float(np.median(np.diff(reference)) / np.median(np.diff(estimate))) if some else 0.0
        scores |= {"cmlt": float(cmlt), "amlt": float(amlt), "tempo": float(_near(ratio, 1.0))}
        scores["tempo_octaves"] = float(any(_near(ratio, level) for level in (0.5, 1.0, 2.0)))
    if len(truth.downbeats) > 1:
        n_beats, n_found = metre(truth.beats, truth.downbeats), metre(found.beats, found.downbeats)
        true, told = _of_most(truth.metres), _of_most(found.metres)
        same = _class(n_beats) == _class(n_found)
        if true is None:  # beats are counted, no more
            scores |= {"metre": float(n_beats == n_found), "metre_class": float(same)}
        else:
            compound = parse_metre(true)[0] == 3 * n_beats
            divided = told is not None and compound == is_compound(told)
            scores |= {"metre": float(true == told), "metre_class": float(same and divided)}
    if truth.keys:
        sharps = signature(_of_most(truth.keys) or "")[0]
        told = found.key
        scores["signature"] = float(told is not None and (signature(told)[0] - sharps) % 12 == 0)
    return scores


def _near(ratio: float, wanted: float) -> bool:
    return abs(ratio / wanted - 1) <= _TEMPO_TOLERANCE


def _class(n_beats: int) -> int:
    return {4: 2, 8: 2, 12: 2, 6: 3, 9: 3}.get(n_beats, n_beats)


def _of_most(spans: Sequence[Metre | Key]) -> str | None:
    """Find the label that is valid for most of the time."""
    seconds: dict[str, float] = {}
    for span in spans:
        seconds[span.label] = seconds.get(span.label, 0.0) + span.offset - span.onset
    return max(seconds, key=lambda label: seconds[label]) if seconds else None


def read_truth(piece: Piece) -> Transcription:
    """Read a recording's beats, and its key from a ``.key`` beside it: lines of onset s, offset s and key.

    Raises
    ------
    InputError
        If they can't be read.
    """
    beats = read_beats(piece.labels, even=False)
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
        beats=beats.beats,
        downbeats=beats.downbeats,
        key=max(spans, key=lambda key: spans[key]) if spans else None,
        keys=() if piece.labels.suffix.lower() in (".json", ".mid", ".midi") else read_keys(piece.labels),
        metres=beats.metres,
    )


def evaluate_beats(
    pieces: Sequence[Piece], transcriber: Listener[object], progress: Progress | None = None
) -> BeatReport:
    """Listen to every recording, and compare what was found with the truth; what can't be read is left out, and named.

    Raises
    ------
    InputError
        If no recording can be read with its labels.
    """
    scores = {}
    left_out = LeftOut()
    for number, piece in enumerate(pieces, 1):
        with left_out.noted(piece.name):
            truth, found = read_truth(piece), transcriber.transcribe_file(piece.audio)
            scores[piece.name] = score_beats(truth, found) | score_rhythm(truth, found)
        if progress is not None:
            progress(number, len(pieces))
    left_out.check(len(scores))
    known = {name: [own[name] for own in scores.values() if name in own] for name in METRICS}
    means = {name: float(np.mean(values)) for name, values in known.items() if values}
    intervals = {name: interval(values) for name, values in known.items() if values}
    return BeatReport(scores, means, intervals=intervals, groups=_by_composer(scores), left_out=tuple(left_out))


def _by_composer(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Take means over the recordings whose names begin alike, up to a slash or two underscores; none if some do not."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for name, own in scores.items():
        composer, *rest = re.split(r"/|__", name)
        if not rest:
            return {}
        found.setdefault(composer, []).append(own)
    return {
        composer: {"recordings": float(len(group))}
        | {name: float(np.mean(known)) for name in METRICS if (known := [own[name] for own in group if name in own])}
        for composer, group in sorted(found.items())
    }
