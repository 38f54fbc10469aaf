from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from transcribe.cli.live_screen import Screen
from transcribe.live.session import Health
from transcribe.live.tracker import Event, Kind, Score


def drawn(session: Any, width: int) -> list[str]:
    console = Console(width=width, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as captured:
        console.print(Screen().picture(session, width))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [40, 100])
def test_keyboard_chord_and_level_are_drawn(width: int) -> None:
    score = Score()
    score.add([Event(Kind.NOTE_ON, 1.0, pitch, 80) for pitch in (60, 64, 67)])
    score.add([Event(Kind.PEDAL_DOWN, 1.0)])
    engine = SimpleNamespace(sent=score, score=score, time=61.5, latency=120)
    health = Health(lost=2.0, n_gaps=1, n_clipped=3, level=-30.0, words=["too loud"])
    lines = drawn(SimpleNamespace(engine=engine, health=health), width)
    assert sum("▀" in line for line in lines) == 24
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for words in (
        "1:01.5",
        "chord C ",
        "pedal",
        "120 ms",
        "level ████████████",
        "clipped: 3",
        "lost: 2.0 s",
        "too loud",
    ):
        assert words in text
