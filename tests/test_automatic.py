"""The model is chosen by who plays; the networks are stubs that know the answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.notes.test_ensemble import ENSEMBLE, TRUTH, played
from transcribe import Transcriber, UsageError, automatic
from transcribe.cli.main import main as cli
from transcribe.engine.features import FeatureConfig
from transcribe.engine.inference import Outputs
from transcribe.engine.task import Activations, Model, WindowModel
from transcribe.engine.tuning import Tunings
from transcribe.engine.weights import Entry, manifest
from transcribe.instruments import decoder as tags
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.decoder import Activations as NoteActivations
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.ensemble import EnsembleDecodingConfig
from transcribe.notes.task import NOTES
from transcribe.theory.families import FAMILIES

FEATURES = FeatureConfig()
RATE = FEATURES.sample_rate
NETWORK = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device="cpu")]))
PIANO = Model(NOTES, "piano-1", NETWORK, FEATURES, DecodingConfig(onset_threshold=0.5, frame_threshold=0.5))
ANY = Model(NOTES, "any-1", NETWORK, FEATURES, ENSEMBLE)
LISTENER = Model(INSTRUMENTS, "instruments-1", NETWORK, FEATURES, tags.TagDecodingConfig())


class Networks:
    """Stands in for inference: hears ``families`` in turn, a block of 60 frames each; counts what is taken of whom."""

    def __init__(self, *families: str) -> None:
        self.families = families
        self.taken: list[str] = []
        self.n_samples = 0

    def __call__(self, blocks: Iterable[np.ndarray], /, *models: WindowModel, tunings: Tunings) -> Outputs:
        self.n_samples = sum(map(len, blocks))
        return [self.stream(model) for model in models]

    def stream(self, model: WindowModel) -> Iterator[Activations]:
        for family in self.families:
            self.taken.append(model.name)
            heard = played()
            if model.task is INSTRUMENTS:
                scores = np.full((60, len(tags.FAMILIES)), 0.1, np.float32)
                scores[:, tags.FAMILIES.index(family)] = 0.9
                yield tags.TagActivations(scores, np.zeros((60, len(tags.INSTRUMENTS)), np.float32), FEATURES.grid, 1)
            elif isinstance(model.decoding, EnsembleDecodingConfig):
                if family == "keyboard":
                    heard.family[...] = np.arange(len(FAMILIES)) == FAMILIES.index("piano")
                yield heard
            else:
                names = ("onset", "frame", "offset", "velocity", "pedal", "grid")
                yield NoteActivations(**{name: getattr(heard, name) for name in names})


@pytest.fixture(autouse=True)
def _stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = automatic.Automatic(PIANO, ANY, LISTENER)
    monkeypatch.setattr("transcribe.transcriber.load_automatic", lambda *_: found)


def transcriber(networks: Networks, *tasks: str) -> Transcriber:
    return Transcriber(tasks=tasks or ("notes",), model="auto", infer=networks, device="cpu")


SAMPLES = np.full(RATE, 0.1)


def test_a_piano_alone_is_heard_by_its_own_network() -> None:
    networks = Networks("keyboard", "keyboard")
    result = transcriber(networks).transcribe_audio(SAMPLES, RATE)
    assert result.models["notes"] == "piano-1"
    assert result.settings["auto"] == "piano-1: a piano plays alone (something else is likelier in 0% of the sound)"
    assert len(result.notes) == 2 * len(TRUTH)
    assert {note.instrument for note in result.notes} == {None}
    assert (result.drums, result.novelty) == ((), 0.0)
    assert set(networks.taken) == {"piano-1", "instruments-1"}


@pytest.mark.parametrize(("keyboards", "strings", "is_piano"), [(19, 1, True), (10, 10, False)])
def test_both_networks_are_believed(keyboards: int, strings: int, is_piano: bool) -> None:
    """A piano may have a string's share of the sound, if the notes are a piano's; of a minute more are than of all."""
    networks = Networks(*["keyboard"] * keyboards, *["string"] * strings)
    result = transcriber(networks).transcribe_audio(SAMPLES, RATE)
    assert result.models["notes"] == ("piano-1" if is_piano else "any-1")
    assert result.piano_alone is is_piano
    assert result.piano_share is not None


def test_the_share_of_a_piano_is_counted_by_onsets() -> None:
    heard = played()
    heard.family[...] = 0.0
    heard.family[..., FAMILIES.index("piano")] = 0.75
    heard.family[..., FAMILIES.index("flute")] = 0.25
    assert automatic.piano_share([heard, heard]) == pytest.approx(0.75)
    heard.onset[...] = 0.2  # nothing begins for sure
    assert automatic.piano_share([heard]) is None
    assert automatic.piano_share([]) is None


def test_all_else_is_heard_by_that_of_any_instruments() -> None:
    networks = Networks("keyboard", "string")
    result = transcriber(networks).transcribe_audio(SAMPLES, RATE)
    assert result.models["notes"] == "any-1"
    heard = "something else is likelier in 50% of the sound, a piano in 78% of the first notes"
    assert result.settings["auto"] == f"any-1: no piano plays alone ({heard})"
    assert {note.instrument for note in result.notes} == {"piano", "bass", "voice"}
    assert len(result.drums) == 4
    assert set(networks.taken) == {"any-1", "instruments-1"}
    assert result.settings["drum_thresholds"] == ENSEMBLE.drum_thresholds
    assert not any("piano alone" in warning for warning in result.warnings)


def test_who_only_wants_notes_gets_no_instruments_and_who_wants_them_does() -> None:
    networks = Networks("string")
    monkeyed = replace(LISTENER, decoding=tags.TagDecodingConfig(vocabulary="families"))
    alone = transcriber(networks)
    assert alone.transcribe_audio(SAMPLES, RATE).instruments == ()
    both = Transcriber(tasks=("notes",), model="auto", infer=networks, device="cpu")
    both.tasks.append(INSTRUMENTS)
    both.window_models[-1] = monkeyed
    both._automatic = replace(both._automatic, listener=monkeyed)  # type: ignore[type-var]
    assert [tag.label for tag in both.transcribe_audio(SAMPLES, RATE).instruments] == ["string"]


def test_no_more_is_listened_to_ahead_than_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automatic, "AHEAD_SECONDS", 2.0)
    networks = Networks(*["keyboard"] * 5)  # 1.2 s each
    transcriber(networks).transcribe_audio(SAMPLES, RATE)
    assert networks.taken[:3] == ["instruments-1", "instruments-1", "piano-1"]
    assert networks.taken.count("instruments-1") == networks.taken.count("piano-1") == 5


def test_where_nothing_is_heard_it_is_the_pianos() -> None:
    result = transcriber(Networks()).transcribe_audio(np.zeros(0), RATE)
    assert result.models["notes"] == "piano-1"
    assert result.settings["auto"] == "piano-1: nothing is heard that tells who plays"


def test_settings_are_those_of_both() -> None:
    networks = Networks("string")
    one = Transcriber(tasks=("notes",), model="auto", infer=networks, device="cpu", min_pitch=100)
    assert one.transcribe_audio(SAMPLES, RATE).notes == ()


@pytest.mark.parametrize(("family", "instruments"), [("keyboard", {None}), ("reed", {"piano", "bass", "voice"})])
def test_activations_are_decoded_by_whoever_made_them(family: str, instruments: set[str | None]) -> None:
    one = transcriber(Networks(family))
    result = one.decode(one.activations([SAMPLES.astype(np.float32)]))
    assert {note.instrument for note in result.notes} == instruments


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    path, pipe = tmp_path / "a.wav", tmp_path / "pipe"
    soundfile.write(path, SAMPLES, RATE)
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()), daemon=True)
    writer.start()
    networks = Networks("string")
    assert transcriber(networks).transcribe_file(pipe).models["notes"] == "any-1"
    writer.join(10)
    assert networks.n_samples == RATE


def test_the_manifest_decides_what_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert automatic.is_wanted("notes", None)
    assert automatic.is_wanted("notes", "auto")
    assert not automatic.is_wanted("notes", "small")
    assert not automatic.is_wanted("chords", "auto")
    piano = Entry("piano-1", "notes", "a", "0", "CC BY 4.0", size="small", default=True)
    monkeypatch.setattr(automatic, "manifest", lambda: {"piano-1": piano})
    assert not automatic.is_wanted("notes", None)
    assert automatic.is_wanted("notes", "auto")


def test_without_a_model_of_any_instruments_there_is_nothing_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    shipped = {name: entry for name, entry in manifest().items() if entry.size != "any"}
    monkeypatch.setattr(automatic, "manifest", lambda: shipped)
    with pytest.raises(UsageError, match="no model of any instruments is installed"):
        Transcriber(tasks=("notes",), model="auto")


def test_the_command_says_which_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES, RATE)
    networks = Networks("reed")
    monkeypatch.setattr(
        "transcribe.transcriber.infer_together",
        lambda blocks, *models, tunings, threads: networks(blocks, *models, tunings=tunings),
    )
    options = ["--model", "auto", "--no-chords", "--no-instruments", "-o", str(tmp_path / "a.mid")]
    assert cli([str(tmp_path / "a.wav"), *options]) == 0
    said = capsys.readouterr().err
    assert "a.wav: heard by any-1: no piano plays alone (something else is likelier in 100% of the sound)" in said
    networks.families = ("keyboard",)
    assert cli([str(tmp_path / "a.wav"), *options, "--overwrite"]) == 0
    assert "heard by" not in capsys.readouterr().err
