"""Calibrate a trained instruments network on validation data; write its weights, graph, manifest and card.

It is calibrated on three kinds at once, each weighing alike: single clips, mixtures of clips, and bands.

A slope and a bias for each vocabulary, by maximum likelihood, are folded into the last layer, so that what has a
confidence of 0.8 is right 8 times out of 10.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from train.calibration import fit_logistic
from train.card import Making, reliability_lines, table, write_card, write_weights
from train.instruments.bands import Band
from train.instruments.mixtures import MIXED, SINGLE, Clip, Mixtures, Spectra
from train.onnx import add_graph
from transcribe.datasets import Piece
from transcribe.engine.features import FeatureConfig
from transcribe.engine.weights import header_of, parse_model, to_bytes
from transcribe.instruments.decoder import FAMILIES, TagDecodingConfig
from transcribe.instruments.metrics import TagReport, evaluate_instruments
from transcribe.instruments.network import InstrumentsNetwork
from transcribe.instruments.task import INSTRUMENTS
from transcribe.report.statistics import calibration_error, reliability_table
from transcribe.transcriber import Transcriber

VOCABULARIES = {"families": slice(0, len(FAMILIES)), "instruments": slice(len(FAMILIES), None)}


def logits_and_truth(
    network: InstrumentsNetwork, clips: Sequence[Clip], bands: Sequence[Band], n_batches: int, seed: int
) -> list[np.ndarray]:
    """Listen to random clips alone, mixtures of them and bands in turn: logits and targets, (n, labels) each."""
    cpu = torch.device("cpu")
    kinds = [Mixtures(clips, Spectra(), 16, 256, seed, cpu, sizes) for sizes in (SINGLE, MIXED)]
    kinds += [Mixtures((), Spectra(), 16, 256, seed, cpu, MIXED, bands=bands)] if bands else []
    rows = []
    for number in range(n_batches):
        log_mel, target = kinds[number % len(kinds)](number)
        with torch.inference_mode():
            logits = network(log_mel)
        rows.append(
            (torch.cat([logits.families, logits.instruments], -1).flatten(0, 1).numpy(), target.flatten(0, 1).numpy())
        )
    return [np.concatenate(part) for part in zip(*rows, strict=True)]


def calibrate(network: InstrumentsNetwork, clips: Sequence[Clip], bands: Sequence[Band], n_batches: int = 18) -> None:
    """Fit slope and bias of the logits of each vocabulary, and fold them into the last layer."""
    logits, truth = logits_and_truth(network, clips, bands, n_batches, seed=1)
    for part in VOCABULARIES.values():
        known = truth[:, part] >= 0
        bias, slope = fit_logistic(logits[:, part][known][:, None], truth[:, part][known])
        with torch.no_grad():
            assert network.heads.bias is not None
            network.heads.weight[part] *= float(slope)
            network.heads.bias[part] *= float(slope)
            network.heads.bias[part] += float(bias)


def reliability(
    network: InstrumentsNetwork, clips: Sequence[Clip], bands: Sequence[Band], n_batches: int = 18
) -> dict[str, list[tuple[float, float, int]]]:
    """Tabulate what was said and what was right, on other excerpts than those of the calibration."""
    logits, truth = logits_and_truth(network, clips, bands, n_batches, seed=2)
    tables = {}
    for name, part in VOCABULARIES.items():
        known = truth[:, part] >= 0
        said = 1 / (1 + np.exp(-logits[:, part][known].astype(np.float64)))
        tables[name] = reliability_table(said, truth[:, part][known].astype(np.float64))
    return tables


def export(
    network: InstrumentsNetwork,
    making: Making,
    valid: Sequence[Clip],
    bands: Sequence[Band] = (),
    reports: Sequence[tuple[str, Sequence[Piece]]] = (),
) -> None:
    """Calibrate on ``valid`` and ``bands``, then write weights, graph, card and the line in the manifest."""
    calibrate(network, valid, bands)
    header = header_of(INSTRUMENTS, network.config, TagDecodingConfig(), FeatureConfig(), made=making.header())
    content = to_bytes(network.state_dict(), header)
    write_weights(content, "instruments", making)
    add_graph(making.folder, making.name)
    transcriber = Transcriber(tasks=("instruments",), model=parse_model(INSTRUMENTS, content, making.name))
    figures = [(title, evaluate_instruments(clips, transcriber)) for title, clips in reports]
    confidence = ["On single clips, mixtures and bands of the validation that the calibration wasn't fitted on:"]
    for vocabulary, bins in reliability(network, valid, bands).items():
        confidence += ["", f"{vocabulary}, expected calibration error {calibration_error(bins):.3f}:", ""]
        confidence += reliability_lines(bins, "steps")
    write_card(making, network, _figures(figures), {"Confidence": confidence})
    for title, report in figures:
        print(title, report.accuracy, report.confusion)


def _figures(figures: Sequence[tuple[str, TagReport]]) -> list[str]:
    rows = []
    for title, r in figures:
        values = (r.accuracy, r.exact, r.micro_f1, r.macro_f1, r.lrap)
        rows.append((title, str(r.n_clips), *(f"{value:.3f}" for value in values)))
    columns = ("data", "clips", "accuracy", "all labels right", "micro F1", "macro F1", "LRAP")
    conventions = [f"Conventions: {figures[0][1].conventions}.", ""] if figures else []
    return [*conventions, *table(columns, rows)]
