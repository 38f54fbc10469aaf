from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.signals import RATE, strum
from train import loop
from train.chords import heard
from train.chords import task as chords
from train.chords.labels import read_labels
from transcribe.chords.decoder import NONE, class_of
from transcribe.chords.network import N_INPUTS, ChordsConfig, ChordsNetwork
from transcribe.chords.task import CHORDS
from transcribe.engine.features import LOWEST_PITCH, N_PITCHES, FeatureConfig
from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.task import Source
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import header_of, load_model, to_bytes
from transcribe.errors import UsageError, WeightsError
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.network import NotesNetwork
from transcribe.notes.task import NOTES
from transcribe.theory.chords import parse
from transcribe.transcriber import Transcriber

TINY = ["--channels", "4", "--stem-channels", "4", "--mix-channels", "2", "--dilations", "1", "2"]
SMALL = ChordsConfig(4, 4, 2, (1, 2), width=8, reach=(1,))
VOICINGS = {"C": [48, 52, 55, 60], "Am": [45, 52, 57, 60], "G_maj": [43, 50, 55, 59]}


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    for number in range(2):
        sound = [strum(pitches, 2.0) for pitches in VOICINGS.values()]
        soundfile.write(folder / f"{number}.wav", np.concatenate([np.zeros(RATE), *sound]), RATE)
        (folder / f"{number}.lab").write_text("0 1 N\n1 3 C:maj\n3 5 A:min\n5 7 G:maj/3\n")
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name, pitches in VOICINGS.items():
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(2):
            soundfile.write(tmp_path / "clips" / name / f"{number}.wav", strum(pitches, 1.0), RATE)
    return tmp_path / "clips"


def run(tmp_path: Path, *arguments: object) -> None:
    shared = ["--run", tmp_path / "run", "--cache", tmp_path / "cache", "--batch", 2, "--seconds", 2.4, *TINY]
    chords.main([str(argument) for argument in (*arguments, *shared)])


def test_targets_by_hand(tmp_path: Path) -> None:
    lab = tmp_path / "a.lab"
    lab.write_text("0 0.1 N\n0.1 0.4 C:maj/3\n0.4 1 X\n")
    labels = read_labels(lab)
    drawn = chords.targets(labels, 0, 8, SMALL, 0.02)
    # Steps of 80 ms have their middles at 0.03, 0.11, 0.19 …
    c = class_of(parse("C:maj"))
    assert drawn[0].tolist() == [NONE, c, c, c, c, -1, -1, -1]
    assert drawn[1].tolist() == [-1, 4, 4, 4, 4, -1, -1, -1]
    assert chords.targets(labels, 5, 2, SMALL, 0.02)[0].tolist() == [c, c]


def test_a_run_exports_weights_that_are_used(songs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    run(tmp_path, "--train", songs, "--valid", songs, "--steps", 3, "--validate-every", 2, "--valid-pieces", 1,
        "--export", "chords-9", "--weights", weights)  # fmt: skip
    model = load_model(CHORDS, str(weights / "chords-9.safetensors"))
    assert model.network.changes.exp().sum(1).numpy() == pytest.approx(np.ones(NONE + 1), abs=2e-2)
    card = (weights / "chords-9.md").read_text()
    assert re.search(r"\| validation \| 2 \| (0|1)\.\d{3}", card)
    with pytest.raises(WeightsError, match="task"):
        load_model(NOTES, str(weights / "chords-9.safetensors"))


@pytest.mark.parametrize("options", [["--features", "chroma"], ["--normalised"], ["--task", "majmin"]])
def test_options_for_comparison(songs: Path, tmp_path: Path, options: list[str]) -> None:
    run(tmp_path, "--train", songs, "--valid", "--steps", 1, *options)
    network = loop.load_run(tmp_path / "run", chords.bare)
    assert network.config.front == ("chroma" if "chroma" in options else "mel")
    assert network.config.normalised == ("--normalised" in options)


def test_clips_are_told_apart_among_those_asked_for(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--train", clips, "--task", "clips", "--labels", "C,Am", "--test", clips, "--steps", 1)
    out = capsys.readouterr().out
    assert "of 4 clips right" in out
    assert "C:maj" in out
    assert "G:maj" not in out


def test_it_starts_from_a_notes_networks_trunk_frozen_at_first(tmp_path: Path) -> None:
    features = FeatureConfig()
    torch.manual_seed(0)
    notes = NotesNetwork(features, TrunkConfig(4, 4, 2, (1, 2), 4))
    path = tmp_path / "notes.safetensors"
    path.write_bytes(to_bytes(notes.state_dict(), header_of(NOTES, notes.config, DecodingConfig(), features)))
    network = ChordsNetwork(features, SMALL)
    chords.initialise(network, path)
    ours, theirs = (net.trunk.stem.state_dict()["0.weight"] for net in (network, notes))
    assert torch.allclose(ours, theirs, atol=1e-3)
    with pytest.raises(UsageError, match="another size"):
        chords.initialise(ChordsNetwork(features, ChordsConfig(8, 4, 2, (1, 2))), path)

    frozen = chords.unfreezing(network, every=10)
    names = {id(parameter): name for name, parameter in network.trunk.named_parameters()}
    free = []
    for step in (0, 10, 20, 30, 40):
        parts = [p.parameters() if isinstance(p, torch.nn.Module) else [p] for p in frozen(step)]
        free.append(set(names.values()) - {names[id(parameter)] for part in parts for parameter in part})
    assert free[0] == set()
    assert all(a < b for a, b in itertools.pairwise(free))
    assert free[-1] == {name for name, _ in network.trunk.named_parameters()}


def rows_of(pitches: list[int], n_frames: int, rest: float = 0.01) -> np.ndarray:
    """What a notes network hears of keys that are struck and held."""
    rows = np.full((n_frames, 2, N_PITCHES), rest, np.float32)
    for pitch in pitches:
        rows[0, 0, pitch - LOWEST_PITCH] = rows[:, 1, pitch - LOWEST_PITCH] = 0.9
    return rows.reshape(n_frames, N_INPUTS)


def test_an_excerpt_in_another_key_and_with_stops() -> None:
    rows = rows_of([45, 52, 60], 400)
    a, c = (class_of(parse(label)) for label in ("A:min", "C:min"))
    assert np.array_equal(heard.moved(rows, 3)[:, 24 + 3 : 88], rows_of([48, 55, 63], 400)[:, 24 + 3 : 88])
    assert np.array_equal(heard.moved(heard.moved(rows, -5), 5)[:, 5:88], rows[:, 5:88])
    assert heard.moved_target(np.array([[a, NONE, -1], [9, -1, -1]]), 3).tolist() == [[c, NONE, -1], [0, -1, -1]]
    n_stopped = 0
    for seed in range(20):
        found, target = heard.varied(rows, np.array([[a] * 100, [9] * 100]), 0.02, np.random.default_rng(seed))
        assert 0 <= found.min() <= found.max() <= 1
        silent = ~found.reshape(100, 4, -1).any((1, 2))
        assert np.array_equal(target[0] == NONE, silent)
        assert np.array_equal(target[1] == -1, silent)
        n_stopped += int(silent.any())
    assert 2 < n_stopped < 12


def test_what_is_heard_in_another_key_is_called_so_and_the_lowest_key_is_known() -> None:
    torch.manual_seed(0)
    network = ChordsNetwork(FeatureConfig(), ChordsConfig(width=8, reach=(1,), front="notes")).eval()
    assert network.n_inputs == N_INPUTS
    keys = network._keys(torch.from_numpy(rows_of([45, 52, 60], 8)[None]))
    lowest = keys[0, 3, 4]
    assert int(lowest.argmax()) == 45 - LOWEST_PITCH
    assert lowest[52 - LOWEST_PITCH] < 0.1
    assert keys[0, 2].max() <= 1  # the logarithmic axis
    with torch.inference_mode():
        here, there = (network(torch.from_numpy(rows_of(pitches, 80, 0.0)[None])) for pitches in ([48, 55], [50, 57]))
    assert torch.allclose(here.chord[..., : 10 * 15], there.chord[..., 2 * 15 : 12 * 15], atol=1e-4)
    assert torch.allclose(here.bass[..., :10], there.bass[..., 2:], atol=1e-4)


def test_a_network_learns_from_what_is_heard_and_follows(songs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    run(tmp_path, "--train", songs, "--valid", songs, "--steps", 2, "--features", "notes", "--heard", "small",
        "--width", 8, "--reach", 1, "--validate-every", 0, "--export", "chords-9", "--weights", weights)  # fmt: skip
    model = load_model(CHORDS, str(weights / "chords-9.safetensors"))
    assert CHORDS.follows(model.header) == (Source("notes", "any"),)
    graph = OnnxNetwork((weights / "chords-9.onnx").read_bytes())
    rows = rows_of([45, 52, 60], 160)
    with torch.inference_mode():
        expected = model.network(torch.from_numpy(rows[None])).activations()
    for ours, theirs in zip(graph(rows), expected, strict=True):
        np.testing.assert_allclose(ours, theirs[0], atol=1e-5)
    both = Transcriber(tasks=("notes", "chords"), model="small", device="cpu")
    both.followers = [model]
    both.window_models = both.window_models[:1]
    result = both.transcribe_file(songs / "0.wav")
    assert result.models["chords"] == "chords-9"
    assert result.chords[-1].offset == result.duration


def test_folding_keeps_the_answer() -> None:
    torch.manual_seed(0)
    network = ChordsNetwork(FeatureConfig(), SMALL)
    with torch.no_grad():
        for parameter in network.trunk.context.time[-1].parameters():
            parameter.zero_()  # hears further than the border
    steps = network.border // SMALL.stride
    log_mel = torch.randn(2, 80 + 2 * network.border, 229)
    network.train()
    network(log_mel)
    network.eval()
    with torch.inference_mode():
        before = network(log_mel)
        after = network.fused()(log_mel)
    inside = slice(steps, -steps)  # at the ends there are other zeros, which no window answers for
    assert torch.allclose(before.chord[:, inside], after.chord[:, inside], atol=1e-4)
    assert torch.allclose(before.bass[:, inside], after.bass[:, inside], atol=1e-4)
