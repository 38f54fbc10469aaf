"""Everything heard as one JAMS document (version 0.3), the field's format of annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from transcribe.events import Transcription
from transcribe.formats.beats import numbered


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
        annotations.append(
            _annotation(
                transcription,
                "note_midi",
                [(n.onset, n.offset, float(n.pitch), n.confidence) for n in transcription.notes],
            )
        )
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
