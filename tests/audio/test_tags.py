"""Titles and composers that recordings tell, and those that don't."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transcribe.audio.tags import Tags, one_line, read_tags


@pytest.mark.parametrize("suffix", ["flac", "opus", "mp3", "m4a"])
def test_tags_are_read(tmp_path: Path, suffix: str) -> None:
    import av

    path = tmp_path / f"song.{suffix}"
    with av.open(str(path), "w") as container:
        codec = {"flac": "flac", "opus": "libopus", "mp3": "mp3", "m4a": "aac"}[suffix]
        stream: Any = container.add_stream(codec, rate=48000)
        tagged = stream if suffix == "opus" else container
        tagged.metadata.update({"title": "A  waltz", "composer": "N. N."})
        samples = np.zeros((1, 48000), np.float32)
        kind = "fltp" if suffix in ("mp3", "m4a") else "s16"
        frame = av.AudioFrame.from_ndarray(samples.astype("i2") if kind == "s16" else samples, kind, "mono")
        frame.sample_rate = 48000
        fifo = av.AudioFifo()
        fifo.write(frame)
        while (part := fifo.read(1024)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    assert read_tags(path) == Tags("A waltz", "N. N.")


def test_what_has_no_tags_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    assert read_tags(tmp_path / "text.wav") == read_tags(tmp_path / "none.wav") == Tags()


def test_a_line_holds_what_can_be_printed() -> None:
    assert one_line("a\n\tb\0 \udc80c") == "a b c"
    assert len(one_line("x" * 1000)) == 200
