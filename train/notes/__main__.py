"""Train the notes network.

    python -m train.notes --train pairs:renders-train --valid pairs:renders-valid --run runs/notes
    python -m train.notes --train maestro:maestro-v3.0.0 --valid maestro:maestro-v3.0.0 --run runs/maestro

Data sets are those of ``pitchai eval``, as ``name:folder``; training takes their ``train`` split and validation their
``validation`` split (``pairs`` has none: all of it). Features are computed once and kept in ``--cache``. A run that was
stopped goes on where it was when the same command is called again; ``torchrun --nproc-per-node N -m train.notes ...``
uses N GPUs. ``--export notes-2`` tunes the thresholds on the validation set and writes weights and model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from train import loop
from train.cache import prepare
from train.notes import export
from train.notes.excerpts import choose_excerpts
from train.notes.export import dataset, load
from train.notes.grow import grow
from train.synthesis.performances import from_transcription
from transcribe.engine.devices import choose_device
from transcribe.engine.features import FeatureConfig
from transcribe.engine.trunk import TrunkConfig
from transcribe.engine.weights import build, load_tensors, read_header
from transcribe.formats.midi_reader import PEDAL_CONTROL
from transcribe.notes.datasets import read_labels as notes_of
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.metrics import evaluate, mean_scores
from transcribe.notes.network import NotesLogits, NotesNetwork
from transcribe.transcriber import Transcriber


def losses(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Binary cross-entropy of every head, the velocity's at onsets only, the pedal's where it is known.

    Sums over pitches, means over time and excerpts.
    """
    log_mel, target = batch
    logits: NotesLogits = network(log_mel)
    onset, frame, offset, velocity, weight, pedal = target.unbind(1)

    def entropy(values: Tensor, truth: Tensor, scale: Tensor | None = None) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(values.float(), truth, scale, reduction="sum")

    n_slices = target.shape[0] * target.shape[2]
    known = (pedal[..., 0] >= 0).float()
    return {
        # A slice near an onset weighs three times as much: they are rare, and what a listener hears first.
        "onset": entropy(logits.onset, onset, 1 + 2 * onset) / n_slices,
        "frame": 0.5 * entropy(logits.frame, frame) / n_slices,
        "offset": 0.5 * entropy(logits.offset, offset) / n_slices,
        # Its entropy is nearly all the truth's own: what can be won is small, and would drown without the weight.
        "velocity": 15 * entropy(logits.velocity, velocity, weight) / weight.sum().clamp(min=1),
        "pedal": 0.3 * entropy(logits.pedal, pedal[..., 0].clamp(min=0), known) / n_slices,
    }


class Distilled:
    """The losses against what a teacher hears, mixed with the labels.

    Labels say nothing about what can't be heard: a key let go under the pedal, a note below the noise. A teacher's
    probabilities do (Hinton et al. 2015).

    Parameters
    ----------
    teacher
        Hears the very batch that the network is given.
    share
        Of the teacher in the targets, 0-1.
    """

    def __init__(self, teacher: nn.Module, share: float) -> None:
        self.teacher, self.share = teacher, share

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Compute :func:`losses` against mixed targets."""
        log_mel, target = batch
        with torch.no_grad():
            heard: NotesLogits = self.teacher(log_mel)
            mixed = target.clone()
            for row, logits in enumerate((heard.onset, heard.frame, heard.offset, heard.velocity)):
                mixed[:, row].lerp_(logits.float().sigmoid(), self.share)
            pedal = target[:, 5]
            known = pedal.lerp(heard.pedal.float().sigmoid().unsqueeze(-1), self.share)
            mixed[:, 5] = torch.where(pedal < 0, pedal, known)
        return losses(network, (log_mel, mixed))


def load_network(path: Path, features: FeatureConfig) -> NotesNetwork:
    """Load the network of a weights file, or the averaged one of a run, as it was trained.

    Folded together, it would hear ends of excerpts wrongly.
    """
    if path.is_dir():
        network = export.load_run(path)
    else:
        network = NotesNetwork(features, build(TrunkConfig, read_header(path.read_bytes())["network"]))
        network.load_state_dict(load_tensors(path), strict=True)
    return network.eval().requires_grad_(False)


def read_labels(path: Path) -> dict[str, np.ndarray]:
    """Read ``notes`` (n, 4), onset and offset in s, pitch, velocity (0 where unknown), and ``pedals`` (m, 2) in s.

    Where the labels say nothing about the pedal, there are no ``pedals``.
    """
    performance = from_transcription(notes_of(path))
    arrays = {"notes": performance.notes}
    if _tells_pedal(path) and performance.pedals is not None:
        arrays["pedals"] = performance.pedals
    return arrays


def _tells_pedal(labels: Path) -> bool:
    """Whether the labels say anything about the pedal: MIDI with at least one CC64."""
    if labels.suffix.lower() not in (".mid", ".midi"):
        return False
    import mido

    messages = (message for track in mido.MidiFile(labels).tracks for message in track)
    return any(message.type == "control_change" and message.control == PEDAL_CONTROL for message in messages)


def main(arguments: list[str] | None = None) -> None:
    """Prepare, train, validate, export."""
    options = _parse(arguments)
    rank, device = loop.start_process_group(torch.device(choose_device(options.device)))
    features = FeatureConfig()
    config = TrunkConfig(
        options.channels, options.stem_channels, options.mix_channels, tuple(options.dilations), options.stride
    )
    torch.manual_seed(options.seed)
    network = _begin(options.init_from, features, config)
    pieces = {
        use: [piece for name, folder in sets for piece in load(name, folder, split)]
        for use, sets, split in (("train", options.train, "train"), ("valid", options.valid, "validation"))
    }
    if rank == 0:
        prepare(pieces["train"], options.cache, read_labels, features)
    loop.wait_for_all()
    prepared = prepare(pieces["train"], options.cache, read_labels, features)
    try:
        batches = choose_excerpts(
            prepared, features, options.batch, options.frames, options.seed, device, options.recordings
        )
    except ValueError as error:
        sys.exit(f"train.notes: {error}; see --train")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion: loop.Losses = losses
    if options.teacher is not None:
        teacher = load_network(options.teacher, features).to(device)
        # Compiled like the network that it teaches; under autocast it hears in the same precision.
        criterion = Distilled(
            torch.compile(teacher) if options.compile else teacher,  # type: ignore[arg-type]
            options.teacher_share,
        )
    some = pieces["valid"][:: max(1, len(pieces["valid"]) // options.valid_pieces)]

    def validate(averaged: nn.Module) -> dict[str, float]:
        assert isinstance(averaged, NotesNetwork)
        model = export.to_model(averaged, features, DecodingConfig(onset_threshold=0.4), str(device))
        report = evaluate("pairs", some, Transcriber(tasks=("notes",), model=model))
        # One without notes is all right or all wrong: a few of those would drown the rest.
        sounding = [piece for piece in report.pieces if piece.n_reference]
        return {f"valid/{metric}": score.f1 for metric, score in mean_scores(sounding).items()}

    if rank == 0:
        options.run.mkdir(parents=True, exist_ok=True)
        (options.run / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    averaged = loop.train(
        network,
        batches,
        criterion,
        loop.chosen(options),
        options.run,
        validate,
        device,
    )
    if options.export and rank == 0:
        assert isinstance(averaged, NotesNetwork)
        loaded = export.Training(
            {name: ["train"] for name, _ in options.train if name != "pairs"},
            options.licence,
            f"python -m train.notes {shlex.join(sys.argv[1:] if arguments is None else arguments)}",
        )
        export.export(averaged, features, options.export, loaded, pieces["valid"], folder=options.weights)


def _begin(smaller: Path | None, features: FeatureConfig, config: TrunkConfig) -> NotesNetwork:
    """Make the network: from nothing, from weights, or grown from those of a smaller one."""
    if smaller is None:
        return NotesNetwork(features, config)
    network = load_network(smaller, features).requires_grad_(True)
    if network.config == config:
        return network
    try:
        grown = grow(network, features, config)
    except ValueError as error:
        sys.exit(f"train.notes: {error}; see --init-from and the sizes")
    print(f"grown from {network.config}", file=sys.stderr)
    return grown


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=dataset, nargs="+", required=True, help="data sets, name:folder")
    parser.add_argument("--valid", type=dataset, nargs="+", required=True)
    parser.add_argument("--init-from", type=Path, help="weights or run to start from, of this size or smaller")
    parser.add_argument("--teacher", type=Path, help="weights or run to learn from, beside the labels")
    parser.add_argument("--teacher-share", type=float, default=0.7, help="of the targets, 0-1")
    parser.add_argument("--export", help="name of the weights to write, such as notes-2")
    parser.add_argument("--licence", default=export.UNKNOWN_TERMS, help="terms of the weights, for the card")
    parser.add_argument("--weights", type=Path, default=export.WEIGHTS, help="folder to export to")
    loop.add_options(parser, loop.LoopConfig(optimizer="muon"), batch=6)
    parser.add_argument("--frames", type=int, default=256, help="frames an excerpt")
    parser.add_argument(
        "--recordings", choices=("auto", "card", "disk"), default="auto", help="where their features lie in training"
    )
    size = TrunkConfig()
    parser.add_argument("--channels", type=int, default=size.channels)
    parser.add_argument("--stem-channels", type=int, default=size.stem_channels)
    parser.add_argument("--mix-channels", type=int, default=size.mix_channels)
    parser.add_argument("--dilations", type=int, nargs="+", default=list(size.dilations))
    parser.add_argument("--stride", type=int, default=size.stride, help="frames a step of the trunk")
    parser.add_argument("--valid-pieces", type=int, default=12)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
