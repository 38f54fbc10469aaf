"""Random events for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from transcribe.events import Note, Pedal, Transcription


@st.composite
def notes(draw: st.DrawFn, max_size: int = 30) -> tuple[Note, ...]:
    """Notes of the keyboard, sorted; those of one pitch don't overlap."""
    found = []
    for pitch in draw(st.lists(st.integers(21, 108), max_size=max_size // 3, unique=True)):
        time = 0.0
        for _ in range(draw(st.integers(1, 3))):
            onset = time + draw(st.floats(0.01, 5))
            offset = onset + draw(st.floats(0.05, 3))
            velocity, confidence = draw(st.integers(1, 127)), draw(st.floats(0, 1))
            found.append(Note(round(onset, 4), pitch, round(offset, 4), velocity, round(confidence, 3)))
            time = offset
    return tuple(sorted(found))


@st.composite
def transcriptions(draw: st.DrawFn) -> Transcription:
    """Notes and pedal; spans of the pedal don't touch."""
    time, pedals = 0.0, []
    for _ in range(draw(st.integers(0, 4))):
        onset = time + draw(st.floats(0.01, 3))
        time = onset + draw(st.floats(0.01, 3))
        pedals.append(Pedal(round(onset, 4), round(time, 4)))
    found = draw(notes())
    duration = max([note.offset for note in found] + [pedal.offset for pedal in pedals], default=0.0)
    return Transcription(notes=found, pedals=tuple(pedals), duration=duration, tuning=draw(st.integers(-55, 50)))
