"""What a network predicts on a validation set, and how its confidence is made to be right as often as it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from train.progress import Progress
from transcribe.audio.reader import AudioReader
from transcribe.datasets import Piece
from transcribe.errors import InputError
from transcribe.transcriber import Transcriber

R = TypeVar("R")


@dataclass(frozen=True)
class Predicted(Generic[R]):
    """A recording's reference, and the activations that a network gives for it, block by block."""

    name: str
    reference: R
    activations: list[Any]
    duration: float


def predict(
    transcriber: Transcriber, pieces: Sequence[Piece], read_reference: Callable[[Piece, float], R]
) -> list[Predicted[R]]:
    """Run a network once over every piece, so that its decoder can be tuned without it.

    What can't be read is named on stderr and left out.

    Parameters
    ----------
    transcriber
        With the network.
    pieces
        To predict.
    read_reference
        (piece, its duration in s) -> what is true of it.
    """
    predicted = []
    done = Progress(pieces, "predicting", len(pieces))
    for piece in done:
        try:
            with AudioReader(piece.audio, transcriber.sample_rate) as reader:
                activations = list(transcriber.activations(reader.blocks()))
                duration = reader.duration or sum(block.seconds for block in activations)
            reference = read_reference(piece, duration)
        except InputError as error:
            done.say(f"left out: {error}")
            continue
        predicted.append(Predicted(piece.name, reference, activations, duration))
    return predicted


def fit_logistic(features: np.ndarray, truth: np.ndarray, ridge: float = 1e-3) -> np.ndarray:
    """Fit a logistic regression by Newton's method.

    Parameters
    ----------
    features
        Shape (n, k).
    truth
        0 or 1, shape (n,).

    Returns
    -------
    np.ndarray
        The bias and the k coefficients.
    """
    x = np.column_stack([np.ones(len(features)), features])
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (probability - truth) + ridge * weights
        hessian = (x * (probability * (1 - probability))[:, None]).T @ x + ridge * np.eye(len(weights))
        weights -= np.linalg.solve(hessian, gradient)
    return weights


def fit_shares(features: np.ndarray, shares: np.ndarray, weights: np.ndarray, ridge: float = 2.0) -> np.ndarray:
    """Fit a logistic regression of shares (n,), 0-1, each as sure as its weight, on standardised features (n, k).

    Returns
    -------
    np.ndarray
        The bias and the k coefficients, of the features as they are; ``ridge`` draws the coefficients to 0.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-9
    x = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    penalty = np.diag([1e-6, *(ridge for _ in range(features.shape[1]))])
    found = np.zeros(x.shape[1])
    for _ in range(50):
        expected = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        gradient = x.T @ ((expected - shares) * weights) + penalty @ found
        found -= np.linalg.solve((x * (expected * (1 - expected) * weights)[:, None]).T @ x + penalty, gradient)
    slopes = found[1:] / spread
    return np.array([found[0] - slopes @ mean, *slopes])


def temperature_of(logits: np.ndarray, right: np.ndarray) -> float:
    """Find what logits must be divided by for the likeliest probabilities of the true classes (indices (n,))."""

    def surprise(temperature: float) -> float:
        scaled = logits / temperature
        scaled = scaled - scaled.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(right)), right]))

    candidates = np.geomspace(0.25, 8, 121)
    return float(candidates[int(np.argmin([surprise(float(t)) for t in candidates]))])
