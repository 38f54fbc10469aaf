from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe.engine.features import FrameGrid
from transcribe.errors import UsageError
from transcribe.events import Transcription
from transcribe.formats.npz import to_npz
from transcribe.formats.table import FORMATS
from transcribe.notes.decoder import Activations

GRID = FrameGrid(16_000, 320)
NAMES = ("onset", "frame", "offset", "velocity", "pedal")


def block(n_frames: int, seed: int) -> Activations:
    rng = np.random.default_rng(seed)
    onset, frame, offset, velocity = (rng.uniform(0, 1, (n_frames, 88)).astype(np.float32) for _ in range(4))
    return Activations(onset, frame, offset, velocity, rng.uniform(0, 1, n_frames).astype(np.float32), GRID)


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_activations_in_activations_out(lengths: list[int]) -> None:
    blocks = [block(n, seed) for seed, n in enumerate(lengths)]
    with np.load(io.BytesIO(to_npz(blocks)), allow_pickle=False) as found:
        for name in NAMES:
            whole = np.concatenate([getattr(one, name) for one in blocks])
            assert found[name].shape == whole.shape
            np.testing.assert_allclose(found[name], whole, atol=1e-3)
        assert found["frames_per_second"] == 50
        assert found["lowest_pitch"] == 21


def test_nothing_heard() -> None:
    with np.load(io.BytesIO(to_npz([])), allow_pickle=False) as found:
        assert set(found) == {"frames_per_second", "lowest_pitch"}
    with pytest.raises(UsageError, match="while listening"):
        FORMATS["npz"].write(Transcription())
