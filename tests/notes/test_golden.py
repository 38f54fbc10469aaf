"""Activations → notes → MIDI: the very notes and bytes, so that no version changes them unnoticed.

``golden/activations.npz`` is what notes-medium-8 gives for the first three seconds of ``examples/waltz.flac``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transcribe.engine.features import FrameGrid
from transcribe.events import Transcription
from transcribe.formats.midi import to_midi
from transcribe.notes.decoder import Activations, DecodingConfig, decode

GOLDEN = Path(__file__).parent / "golden"
CONFIG = DecodingConfig(
    onset_threshold=0.55,
    frame_threshold=0.4,
    pedal_threshold=0.35,
    confidence=(-0.2, 2.8, 0.3),
    offset_weight=45.0,
    velocity_curve=(0.018, 0.004, -0.001),
)


def decoded() -> Transcription:
    with np.load(GOLDEN / "activations.npz", allow_pickle=False) as stored:
        arrays = {name: values.astype(np.float32) for name, values in stored.items()}
    notes, pedals = decode(Activations(**arrays, grid=FrameGrid(16_000, 320)), CONFIG)
    return Transcription(notes=tuple(notes), pedals=tuple(pedals), duration=3.0)


def table(result: Transcription) -> str:
    lines = [f"{n.onset:.4f}\t{n.offset:.4f}\t{n.pitch}\t{n.velocity}\t{n.confidence:.3f}\n" for n in result.notes]
    return "".join(lines + [f"{p.onset:.4f}\t{p.offset:.4f}\tpedal\n" for p in result.pedals])


def test_activations_give_these_notes() -> None:
    assert table(decoded()) == (GOLDEN / "notes.tsv").read_text()


def test_notes_give_these_bytes() -> None:
    assert to_midi(decoded()) == (GOLDEN / "notes.mid").read_bytes()
