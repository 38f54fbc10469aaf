"""The search for the notes network: designs trained for the same time on the same excerpts, as rows of a table.

    python -m train.notes.designs --train pairs:renders-train --valid pairs:renders-valid --report pairs:real \
        --minutes 8
    python -m train.notes.designs ... --designs contexts

``contexts`` is another question: how much a frame needs to see, 10, 20 or 60 frames, before, around or after it; asked
of the design that is shared over pitch, as one slice a window takes too long to learn anything. Every design has the
heads of :class:`transcribe.engine.trunk.NotesNetwork` and is decoded alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from train import fit, loop
from train.cache import prepare
from train.calibration import predict
from train.fit import dataset
from train.notes import export
from train.notes.excerpts import Excerpts, choose_excerpts
from train.notes.task import load, losses, read_labels
from transcribe.engine.devices import choose_device
from transcribe.engine.features import N_PITCHES, FeatureConfig
from transcribe.engine.task import Model
from transcribe.engine.trunk import TrunkConfig
from transcribe.notes.datasets import DATASETS
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.metrics import evaluate
from transcribe.notes.network import NotesLogits, NotesNetwork
from transcribe.notes.task import NOTES, NotesModel
from transcribe.transcriber import Transcriber


def _to_logits(heads: Tensor) -> NotesLogits:
    """(B, T, 4 * 88 + 1) -> logits."""
    onset, frame, offset, velocity = heads[..., :-1].view(*heads.shape[:-1], 4, N_PITCHES).unbind(-2)
    return NotesLogits(onset, frame, offset, velocity, heads[..., -1])


class SliceNetwork(nn.Module):
    """One slice a window, the design this project started from.

    Two pairs of 3 x 3 convolutions with max pooling, two dense layers of 352, sigmoids. In training it answers for
    every ``every``-th slice only: neighbours teach little that is new.
    """

    every = 16

    def __init__(self, features: FeatureConfig, before: int = 10, after: int = 9, channels: int = 16) -> None:
        super().__init__()
        self.before, self.after, self.border = before, after, max(before, after)
        pooled = 2 * channels * ((before + after + 1) // 4) * (features.n_mels // 4)
        self.convolutions = nn.Sequential(
            *self._pair(1, channels), nn.MaxPool2d(2), *self._pair(channels, 2 * channels), nn.MaxPool2d(2)
        )
        self.dense = nn.Sequential(
            nn.Linear(pooled, 352), nn.ReLU(), nn.Linear(352, 352), nn.ReLU(), nn.Linear(352, 4 * N_PITCHES + 1)
        )

    @staticmethod
    def _pair(n_in: int, n_out: int) -> list[nn.Module]:
        first, second = (nn.Conv2d(n, n_out, 3, padding=1, bias=False) for n in (n_in, n_out))
        return [first, nn.BatchNorm2d(n_out), nn.ReLU(), second, nn.BatchNorm2d(n_out), nn.ReLU()]

    def forward(self, log_mel: Tensor) -> NotesLogits:
        """(B, T, n_mels) -> logits, of every frame but in training."""
        padded = nn.functional.pad(log_mel, (0, 0, self.before, self.after))
        windows = padded.unfold(1, self.before + self.after + 1, self.every if self.training else 1)
        n_batch, n_slices, n_mels, n_frames = windows.shape
        x = self.convolutions(windows.transpose(2, 3).reshape(n_batch * n_slices, 1, n_frames, n_mels))
        return _to_logits(self.dense(x.flatten(1)).view(n_batch, n_slices, -1))


class FlatNetwork(nn.Module):
    """Convolutions over the spectrogram, one dense layer over all bands, dilated convolutions along time.

    The family of Onsets & Frames, with convolutions in place of its recurrent layers.
    """

    def __init__(self, features: FeatureConfig, channels: int = 256, dilations: tuple[int, ...] = (1, 2, 4, 8)) -> None:
        super().__init__()
        self.border = 2 * sum(dilations) + 3
        layers: list[nn.Module] = []
        for n_in, n_out, pool in ((1, 24, 1), (24, 24, 2), (24, 48, 2)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
            layers += [nn.MaxPool2d((1, pool))]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Linear(48 * (features.n_mels // 4), channels), nn.ReLU())
        self.time = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, 5, padding=2 * dilation, dilation=dilation, bias=False),
                nn.BatchNorm1d(channels),
                nn.ReLU(),
            )
            for dilation in dilations
        )
        self.heads = nn.Linear(channels, 4 * N_PITCHES + 1)

    def forward(self, log_mel: Tensor) -> NotesLogits:
        """(B, T, n_mels) -> logits."""
        x = self.convolutions(log_mel.unsqueeze(1)).transpose(1, 2).flatten(2)
        x = self.dense(x).transpose(1, 2)
        for block in self.time:
            x = x + block(x)
        return _to_logits(self.heads(x.transpose(1, 2)))


DESIGNS: dict[str, Callable[[FeatureConfig], nn.Module]] = {
    "one slice a window": SliceNetwork,
    "all bands to one layer": FlatNetwork,
    "shared over pitch": lambda f: NotesNetwork(f, TrunkConfig(48, 48, 12, (1, 2, 4, 8), stride=1)),
    "shared, two frames a step": lambda f: NotesNetwork(f, TrunkConfig()),
    "shared, two frames a step, deeper": lambda f: NotesNetwork(f, TrunkConfig(dilations=(1, 2, 4, 8, 1, 2))),
    "shared, four frames a step, small": lambda f: NotesNetwork(f, TrunkConfig(32, 16, 8, (1, 2, 4), stride=4)),
}


class _Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Say nothing of the other pitches."""
        return x.new_zeros(1)


class LimitedContext(nn.Module):
    """The design shared over pitch, small, that sees so many frames and nothing beyond, before or after its own.

    What it sees more of it sees through more blocks; ``dilations`` give 3 + 2 * their sum frames to each side.
    """

    def __init__(self, features: FeatureConfig, dilations: tuple[int, ...], place: str) -> None:
        super().__init__()
        self.network = NotesNetwork(features, TrunkConfig(24, 16, 8, dilations, stride=1))
        self.network.trunk.context = _Nothing()  # type: ignore[assignment]
        self.reach, self.place = 3 + 2 * sum(dilations), place
        self.border = 2 * self.reach
        self.silence = features.silence

    def forward(self, log_mel: Tensor) -> NotesLogits:
        """(B, T, n_mels) -> logits of as many frames."""
        n_frames = log_mel.shape[1]
        # Moved in time, what lies around is what came before, or what comes after.
        before, after = {"before": (self.reach, 0), "around": (0, 0), "after": (0, self.reach)}[self.place]
        moved = nn.functional.pad(log_mel, (0, 0, before, after), value=self.silence)
        return cast(NotesLogits, self.network(moved[:, after : after + n_frames]))


# About so many frames in all -> dilations of the blocks.
CONTEXTS = {
    f"{n} {place}": partial(LimitedContext, dilations=dilations, place=place)
    for n, dilations in ((10, (1,)), (20, (1, 2)), (60, (1, 1, 4, 8)))
    for place in ("before", "around", "after")
}
DESIGNS |= CONTEXTS


def losses_where_it_answers(network: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Compute the losses at the frames that the network answers for in training."""
    log_mel, target = batch
    every: int = getattr(network, "every", 1)
    return losses(network, (log_mel, target[:, :, ::every]))


def multiply_adds(network: nn.Module, features: FeatureConfig) -> float:
    """Count the multiply-adds a second of audio, in millions."""
    seconds = 4
    frames = round(seconds * features.grid.frames_per_second)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, frames, features.n_mels))
    return float(counter.get_total_flops()) / 2 / seconds / 1e6


def cpu_seconds(network: nn.Module, features: FeatureConfig, n_frames: int = 600) -> float:
    """Measure the CPU seconds a minute of audio that the network alone takes."""
    log_mel = torch.zeros(1, n_frames, features.n_mels)
    with torch.inference_mode():
        network(log_mel)
        began = time.process_time()
        for _ in range(5):
            network(log_mel)
    return (time.process_time() - began) / 5 * 60 / (n_frames / features.grid.frames_per_second)


def steps_within(
    seconds: float,
    network: nn.Module,
    batches: Excerpts,
    options: argparse.Namespace,
    losses: loop.Losses = losses_where_it_answers,
) -> int:
    """Time a few steps on a copy of the loop, after the compiler's work, and say how many fit.

    On a CPU by the processor's time on all threads, so that what else runs beside makes no difference.
    """
    optimizer = getattr(options, "optimizer", "adamw")
    config = loop.LoopConfig(steps=12, precision=options.precision, compile=options.compile, optimizer=optimizer)
    on_cpu = batches.device.type == "cpu"
    moments = []

    def timed(step: int, rank: int) -> tuple[Tensor, ...]:
        moments.append(time.process_time() / torch.get_num_threads() if on_cpu else time.monotonic())
        return batches(step, rank)

    state = {key: value.clone() for key, value in network.state_dict().items()}
    loop.train(network, timed, losses, config, folder=None, device=batches.device)
    network.load_state_dict(state)
    return max(1, int(seconds / ((moments[-1] - moments[2]) / (len(moments) - 3))))


def main() -> None:
    """Train every design for the same time; print a row for each as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=dataset(*DATASETS), nargs="+", required=True, help="data sets, name:folder")
    parser.add_argument("--valid", type=dataset(*DATASETS), required=True, help="its threshold is chosen here")
    parser.add_argument("--report", type=dataset(*DATASETS), nargs="*", default=[], help="only reported")
    parser.add_argument("--minutes", type=float, default=8.0, help="training time of each design")
    parser.add_argument("--every", type=int, default=1, help="listen to every such piece only")
    rivals = [name for name in DESIGNS if name not in CONTEXTS]
    parser.add_argument("--designs", nargs="+", choices=[*DESIGNS, "contexts"], default=rivals, metavar="NAME")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--batch", type=int, default=6)
    fit.add_seconds(parser, 5.12)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    features, device = FeatureConfig(), torch.device(choose_device(options.device))
    pieces = [piece for name, folder in options.train for piece in load(name, folder, "train")]
    prepared = prepare(pieces, options.cache, read_labels)
    n_frames = fit.n_frames(options, features.grid.frames_per_second)
    batches = choose_excerpts(prepared, features, options.batch, n_frames, 0, device)
    (valid, *reported) = [
        load(name, folder, "validation")[:: options.every] for name, folder in (options.valid, *options.report)
    ]
    reports = [(folder.name, pieces) for (_, folder), pieces in zip(options.report, reported, strict=True)]
    titles = ["parameters", "steps", "10⁶ multiply-adds / s", "CPU s / min", "threshold", "renders"]
    print("| design | " + " | ".join(titles + [title for title, _ in reports]) + " |")
    print("|---" * (1 + len(titles) + len(reports)) + "|")
    for name in CONTEXTS if options.designs == ["contexts"] else options.designs:
        torch.manual_seed(0)
        network = DESIGNS[name](features)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = steps_within(60 * options.minutes, network, batches, options)
        # The average forgets its beginning even in the slowest design's few hundred steps.
        config = loop.LoopConfig(
            steps=steps, warmup=100, average=0.99, precision=options.precision, compile=options.compile
        )
        averaged = loop.train(network, batches, losses_where_it_answers, config, folder=None, device=device)
        model: NotesModel = Model(NOTES, name, averaged.cpu(), features, DecodingConfig())
        predicted = predict(Transcriber(tasks=("notes",), model=model), valid, export.read_reference)
        tuned = export.tune(predicted, DecodingConfig(onset_threshold=0.4))
        transcriber = Transcriber(tasks=("notes",), model=replace(model, decoding=tuned))
        figures = [evaluate("pairs", pieces, transcriber) for pieces in (valid, *(pieces for _, pieces in reports))]
        cells = [
            f"{sum(p.numel() for p in averaged.parameters()):,}",
            f"{steps}",
            f"{multiply_adds(averaged, features):.0f}",
            f"{cpu_seconds(averaged, features):.2f}",
            f"{transcriber.decoding.onset_threshold:.2f}",
            *(f"{report.means['note'].f1:.3f}" for report in figures),
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
