"""Everything heard as one JAMS document (version 0.3), the field's format of annotations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence

from transcribe.errors import InputError
from transcribe.events import Chord, Key, Note, Tag, Transcription
from transcribe.formats.beats import tempo_of
from transcribe.formats.format import checked
from transcribe.formats.reading import check_count
from transcribe.score.numbering import numbered

# The velocity of notes where a document tells none.
_VELOCITY = 64


def to_jams(transcription: Transcription) -> bytes:
    """Write a JAMS document (version 0.3).

    Its annotations are ``chord``, ``note_midi``, ``tag_open`` (instruments), ``beat`` and ``key_mode``, if any.
    """
    annotations = []
    if transcription.chords or not (transcription.notes or transcription.instruments):
        annotations.append(
            _annotation(
                transcription, "chord", [(c.onset, c.offset, c.label, c.confidence) for c in transcription.chords]
            )
        )
    if transcription.notes:
        notes = [(n.onset, n.offset, float(n.pitch), n.confidence) for n in transcription.notes]
        # No namespace of notes has velocities.
        velocities = {"velocities": [note.velocity for note in transcription.notes]}
        annotations.append({**_annotation(transcription, "note_midi", notes), "sandbox": velocities})
    if transcription.instruments:
        tags = [(t.onset, t.offset, t.label, t.probability) for t in transcription.instruments]
        annotations.append(_annotation(transcription, "tag_open", tags))
    if transcription.beats:
        confidence = transcription.beat_confidence or 0.0
        beats = [(time, time, float(number), confidence) for time, _, number in numbered(transcription)]
        annotations.append(_annotation(transcription, "beat", beats))
    if transcription.keys:
        keys = [(k.onset, k.offset, k.label.replace(" ", ":"), 1.0) for k in transcription.keys]
        annotations.append(_annotation(transcription, "key_mode", keys))
    unknown = dict.fromkeys(("title", "artist", "release"), "")
    metadata = {**unknown, "duration": transcription.duration, "identifiers": {}, "jams_version": "0.3.4"}
    document = {"annotations": annotations, "file_metadata": metadata, "sandbox": {}}
    return (json.dumps(document, indent=1) + "\n").encode()


def _annotation(
    transcription: Transcription, namespace: str, events: Sequence[tuple[float, float, str | float, float]]
) -> dict[str, object]:
    from transcribe import __version__

    unknown = dict.fromkeys(("version", "corpus", "annotation_rules", "validation"), "")
    tools = " ".join(("pitchai", __version__, *transcription.models.values()))
    return {
        "namespace": namespace,
        "data": [
            {"time": onset, "duration": offset - onset, "value": value, "confidence": confidence}
            for onset, offset, value, confidence in events
        ],
        "annotation_metadata": {
            **unknown,
            "curator": {"name": "", "email": ""},
            "annotator": {},
            "annotation_tools": tools,
            "data_source": "program",
        },
        "sandbox": {},
        "time": 0,
        "duration": transcription.duration,
    }


def from_jams(content: bytes) -> Transcription:
    """Read a JAMS document: of every kind of annotation that :func:`to_jams` writes, or their kin, the first.

    Raises
    ------
    InputError
        If it is something else.
    """
    check_count(content.count(b"{") + content.count(b"["))  # each takes memory, whatever it holds
    try:
        document = json.loads(content)
        found: dict[str, Mapping[str, object]] = {}
        for annotation in document["annotations"]:
            found.setdefault(_KINDS.get(annotation["namespace"], ""), annotation)
        result = _read(document, {kind: list(_events(one)) for kind, one in found.items() if kind}, found)
        return checked(result)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"not a JAMS document: {' '.join(str(error).split())}") from None


_KINDS = {
    "note_midi": "notes", "note_hz": "frequencies", "chord": "chords", "chord_harte": "chords", "beat": "beats",
    "key_mode": "keys", "tag_open": "instruments",
}  # fmt: skip


def _read(
    document: Mapping[str, object],
    events: Mapping[str, list[tuple[float, float, object, float]]],
    annotations: Mapping[str, Mapping[str, object]],
) -> Transcription:
    notes = [(a, b, float(str(pitch)), c) for a, b, pitch, c in events.get("notes", ())]
    if not notes:
        hertz = [(a, b, float(str(value)), c) for a, b, value, c in events.get("frequencies", ())]
        notes = [(a, b, 69 + 12 * math.log2(value / 440), c) for a, b, value, c in hertz]
    velocities = _velocities(annotations.get("notes", {}), len(notes))
    beats = sorted((a, value == 1) for a, _, value, _ in events.get("beats", ()))
    metadata = document.get("file_metadata")
    known = metadata.get("duration") if isinstance(metadata, Mapping) else None
    ends = [b for kind in events.values() for _, b, _, _ in kind]
    times = tuple(time for time, _ in beats)
    keys = sorted(Key(a, b, _key(str(value))) for a, b, value, _ in events.get("keys", ()))
    return Transcription(
        notes=tuple(
            sorted(Note(a, round(pitch), b, v, c) for (a, b, pitch, c), v in zip(notes, velocities, strict=True))
        ),
        chords=tuple(sorted(Chord(a, b, str(value), c) for a, b, value, c in events.get("chords", ()))),
        instruments=tuple(Tag(a, b, str(value), c) for a, b, value, c in events.get("instruments", ())),
        key=max(keys, key=lambda key: key.offset - key.onset).label if keys else None,
        keys=tuple(keys),
        beats=times,
        downbeats=tuple(time for time, first in beats if first),
        tempo=tempo_of(times),
        duration=max([0.0 if known is None else float(str(known)), *ends]),
    )


def _velocities(annotation: Mapping[str, object], n_notes: int) -> Sequence[int]:
    sandbox = annotation.get("sandbox")
    told = sandbox.get("velocities") if isinstance(sandbox, Mapping) else None
    return told if isinstance(told, list) and len(told) == n_notes else [_VELOCITY] * n_notes


def _key(label: str) -> str:
    """``Eb:major`` as ``Eb major``; a tonic alone is major."""
    tonic, _, mode = label.partition(":")
    return f"{tonic} {mode or 'major'}"


def _events(annotation: Mapping[str, object]) -> Iterator[tuple[float, float, object, float]]:
    """Yield onset, offset, value and confidence; the oldest documents have a column where others have a row."""
    data: object = annotation["data"]
    if isinstance(data, Mapping):
        data = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    if not isinstance(data, list):
        raise ValueError("an annotation's data are no list")
    for event in data:
        onset, confidence = float(event["time"]), event.get("confidence")
        yield onset, onset + float(event["duration"]), event["value"], 1.0 if confidence is None else float(confidence)
