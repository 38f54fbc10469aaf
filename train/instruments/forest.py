"""A random forest on MFCCs, to put beside the instruments network, and to show what a dishonest split is worth.

    python -m train.instruments.forest --train solos:runs/solos-train --valid solos:runs/solos-valid

A clip is the mean and the standard deviation of its 40 cepstral coefficients (or the first 12). Split by instrument,
the forest is judged on sounds of ``--valid``, which no clip of ``--train`` shares; split by note, on every fifth clip
of ``--train`` itself, after the other four. Needs scikit-learn, and imbalanced-learn for ``--balance smote``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.fit import dataset
from train.instruments.inputs import N_MFCC, cosines
from train.instruments.mixtures import LAYOUTS, Clip, load
from transcribe.engine.features import FeatureConfig

FEW = 12


def coefficients(clip: Clip) -> np.ndarray:
    """Mean of the cepstral coefficients over a clip, then their standard deviation, (2 * 40,)."""
    log_mel = clip.prepared.span(0, clip.prepared.n_frames).astype(np.float32)
    found = log_mel @ cosines(FeatureConfig().n_mels, N_MFCC)
    return np.concatenate([found.mean(0), found.std(0)])


def table(clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n_clips, 80) and names (n_clips,)."""
    return np.stack([coefficients(clip) for clip in clips]), np.array([clip.name for clip in clips])


def first(features: np.ndarray, n_mfcc: int) -> np.ndarray:
    """Keep the first coefficients, their means and their deviations."""
    return np.concatenate([features[:, :n_mfcc], features[:, N_MFCC : N_MFCC + n_mfcc]], axis=1)


def fitted(features: np.ndarray, names: np.ndarray, balance: str, seed: int = 0) -> Any:
    """Grow a forest of 300 trees, the names balanced by weights or by SMOTE."""
    from sklearn.ensemble import RandomForestClassifier

    if balance == "smote":
        from imblearn.over_sampling import SMOTE

        rarest = int(np.min(np.unique(names, return_counts=True)[1]))
        features, names = SMOTE(k_neighbors=max(1, min(5, rarest - 1)), random_state=seed).fit_resample(features, names)
    weights = "balanced" if balance == "weights" else None
    return RandomForestClassifier(300, class_weight=weights, random_state=seed, n_jobs=-1).fit(features, names)


def main(arguments: list[str] | None = None) -> None:
    """Print accuracies and the importances of the coefficients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=dataset(*LAYOUTS), nargs="+", required=True)
    parser.add_argument(
        "--valid", type=dataset(*LAYOUTS), nargs="+", required=True, help="other instruments of the same names"
    )
    parser.add_argument("--balance", choices=("weights", "smote", "none"), default="weights")
    parser.add_argument("--cache", type=Path, default=Path("runs/features"))
    options = parser.parse_args(arguments)
    features, names = table([clip for layout, folder in options.train for clip in load(layout, folder, options.cache)])
    others, truth = table([clip for layout, folder in options.valid for clip in load(layout, folder, options.cache)])
    known = np.isin(truth, names)
    fifth = np.arange(len(names)) % 5 == 0
    print("| coefficients | split by instrument | split by note |")
    print("|---|---|---|")
    for n_mfcc in (FEW, N_MFCC):
        honest = fitted(first(features, n_mfcc), names, options.balance)
        leaking = fitted(first(features[~fifth], n_mfcc), names[~fifth], options.balance)
        scores = [
            honest.score(first(others[known], n_mfcc), truth[known]),
            leaking.score(first(features[fifth], n_mfcc), names[fifth]),
        ]
        print(f"| {n_mfcc} | " + " | ".join(f"{score:.3f}" for score in scores) + " |", flush=True)
    by_coefficient = honest.feature_importances_.reshape(2, N_MFCC).sum(0)
    print(
        f"the first {FEW} of {N_MFCC} coefficients have {by_coefficient[:FEW].sum():.0%} of the importance; the most:"
    )
    for place in np.argsort(-by_coefficient)[:5]:
        print(f"  {place}: {by_coefficient[place]:.3f}")


if __name__ == "__main__":
    main()
