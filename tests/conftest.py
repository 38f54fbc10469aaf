from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.events import Note, Transcription
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.task import NOTES, NotesModel
from transcribe.report import sonify

# Busy machines are no reason to fail, and a failure must come back.
settings.register_profile("pitchai", deadline=None, derandomize=True)
settings.load_profile("pitchai")

ROOT = Path(__file__).parent.parent

# Tests' networks are tiny: more threads only wait for one another, most of all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A CPU needs no torch, and torch is gigabytes: where it isn't installed, the tests without it run.
HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch isn't installed")
_OF_TORCH = r"(import|from) (torch|train|transcribe\.\w+\.(\w*network|trunk|torch_backend))\b"
_OF_TESTS = re.compile(r"^from (tests[.\w]*) import", re.MULTILINE)


def imports_torch(path: Path, at_once: bool = False) -> bool:
    """Whether a test does, anywhere, or a file of the tests that it imports does ``at_once``, as it is imported."""
    source = path.read_text(encoding="utf-8")
    if re.search(rf"^{'' if at_once else ' *'}{_OF_TORCH}", source, re.MULTILINE):
        return True
    others = (ROOT / f"{name.replace('.', '/')}.py" for name in _OF_TESTS.findall(source))
    return any(other.is_file() and imports_torch(other, at_once=True) for other in others)


if not HAS_TORCH:
    collect_ignore = [str(path) for path in Path(__file__).parent.rglob("test_*.py") if imports_torch(path)]
EXAMPLE = ROOT / "examples" / "waltz.flac"

FIVE_NOTES = [
    Note(0.50, 60, 1.00, 80),
    Note(1.00, 64, 1.50, 90),
    Note(1.50, 67, 2.00, 70),
    Note(2.00, 60, 2.90, 100),
    Note(2.00, 72, 2.90, 60),
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Three seconds of five notes on a sampled piano: what isn't one is warned of."""
    path = tmp_path / "song.wav"
    song = Transcription(notes=tuple(FIVE_NOTES), duration=3.0)
    soundfile.write(path, sonify.synthesise(song)[: 3 * sonify.SAMPLE_RATE], sonify.SAMPLE_RATE)
    return path


@pytest.fixture(scope="session")
def tiny_model() -> NotesModel:
    """A network with random weights, small enough to be quick."""
    torch = pytest.importorskip("torch")
    from transcribe.engine.trunk import TrunkConfig
    from transcribe.notes.network import NotesNetwork

    torch.manual_seed(0)
    features, config = FeatureConfig(), TrunkConfig(channels=4, stem_channels=4, mix_channels=2, dilations=(1, 2))
    network = NotesNetwork(features, config)
    content = to_bytes(network.state_dict(), header_of(NOTES, config, DecodingConfig(onset_threshold=0.5), features))
    return parse_model(NOTES, content, "tiny")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of the cluster last: Ray's threads stay, and processes can't be forked beside them."""
    items.sort(key=lambda item: item.path.name == "test_cluster.py")
