"""Train the genre weights on GTZAN's table of 57 features, with the artist-filtered split.

    python -m train.genre.table --data genre-gtzan-features --export genre-1

Each classifier is fitted to the training list and scored on the validation list; the best is fitted to both and, once,
scored on the test list, beside the untuned classifiers of the literature. ``--data`` holds ``features_30_sec.csv`` and
the lists ``*_filtered.txt``. Only the discriminant analysis can be exported: it is what has won (its figures stand in
the model card).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train import recipes
from train.calibration import temperature_of
from train.card import Making, write_weights
from train.card import table as lines_of
from train.fit import add_export_options
from transcribe.engine.weights import header_of, to_bytes
from transcribe.errors import InputError
from transcribe.genre.datasets import read_lists
from transcribe.genre.decoder import GenreDecodingConfig
from transcribe.genre.features import COLUMNS
from transcribe.genre.network import GenreConfig, GenreNetwork
from transcribe.genre.task import GENRE

SHRINKAGE = 0.15


def read_table(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read the table's rows by split: features (n, 57), labels (n,).

    Raises
    ------
    InputError
        If the table or a list is missing, or is something else.
    """
    path = folder / "features_30_sec.csv"
    splits = read_lists(folder)
    if not splits:
        raise InputError(
            f"{folder}: the lists train_filtered.txt, valid_filtered.txt and test_filtered.txt are missing"
        )
    rows: dict[str, list[tuple[list[float], str]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                split = splits.get(Path(row["filename"]).stem)
                if split:
                    rows.setdefault(split, []).append(([float(row[column]) for column in COLUMNS], row["label"]))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not the table of 57 features: {' '.join(repr(error).split())[:120]}") from None
    return {
        split: (np.array([values for values, _ in found]), np.array([label for _, label in found]))
        for split, found in rows.items()
    }


def classifiers() -> dict[str, Callable[[], Any]]:
    """List what is tried; the first two as they come, untuned."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.gaussian_process import GaussianProcessClassifier
    from sklearn.gaussian_process.kernels import RBF
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PowerTransformer, StandardScaler
    from sklearn.svm import SVC

    def normal(classifier: Any) -> Any:
        return make_pipeline(PowerTransformer(), classifier)

    def analysis(shrinkage: float | str) -> Any:
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage)

    return {
        "support vectors, untuned": lambda: make_pipeline(StandardScaler(), SVC()),
        "random forest, untuned": lambda: RandomForestClassifier(random_state=0),
        "support vectors, C 3, gamma 0.01": lambda: normal(SVC(C=3, gamma=0.01)),
        "extremely random trees, 1,000": lambda: ExtraTreesClassifier(1000, min_samples_leaf=2, random_state=0),
        "boosted trees, 80 of 6 leaves": lambda: HistGradientBoostingClassifier(
            max_iter=80, learning_rate=0.06, max_leaf_nodes=6, l2_regularization=1.0
        ),
        "logistic regression, C 0.03": lambda: normal(LogisticRegression(C=0.03, max_iter=2000)),
        "two layers of 64": lambda: normal(MLPClassifier((64,), alpha=3, max_iter=300, random_state=0)),
        "Gaussian process": lambda: normal(GaussianProcessClassifier(RBF(10.0), optimizer=None)),
        "discriminant analysis, shrunken by itself": lambda: normal(analysis("auto")),
        f"discriminant analysis, shrunken by {SHRINKAGE}": lambda: normal(analysis(SHRINKAGE)),
    }


def interval(n_right: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the exact binomial interval (Clopper & Pearson 1934) of a share."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, n_right, n - n_right + 1)) if n_right else 0.0
    high = float(beta.ppf(1 - tail, n_right + 1, n - n_right)) if n_right < n else 1.0
    return low, high


def mcnemar(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Compute the exact two-sided p of McNemar's test: are those that one alone gets right as likely of either."""
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    n, k = only_ours + only_theirs, min(only_ours, only_theirs)
    return float(min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n))


def network_of(fitted: Any) -> GenreNetwork:
    """Turn a fitted power transform and discriminant analysis into the network that computes the same."""
    transform, analysis = fitted[0], fitted[1]
    labels = tuple(str(label) for label in analysis.classes_)
    network = GenreNetwork(GenreConfig("table", "table", labels))
    values = {
        "exponents": transform.lambdas_,
        "means": transform._scaler.mean_,
        "scales": transform._scaler.scale_,
        "heads.weight": analysis.coef_,
        "heads.bias": analysis.intercept_,
    }
    network.judge.load_state_dict({key: torch.from_numpy(np.asarray(v)).float() for key, v in values.items()})
    return network.eval()


def main(arguments: list[str] | None = None) -> None:
    """Compare, choose, report once, export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    add_export_options(parser)
    for options in recipes.parsed(parser, arguments, Path(__file__).parent):
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Fit every classifier, choose by the validation list, report on the test list once, export."""
    table = read_table(options.data)
    (train, train_labels), (valid, valid_labels) = table["train"], table["validation"]
    known = classifiers()
    scores = {}
    print("| classifier | validation |\n|---|---|")
    for name, make in known.items():
        scores[name] = float(make().fit(train, train_labels).score(valid, valid_labels))
        print(f"| {name} | {scores[name]:.3f} |", flush=True)
    best = max(scores, key=lambda name: scores[name])
    print(f"\nchosen: {best}; fitted to training and validation, on the test list:")
    both = np.concatenate([train, valid]), np.concatenate([train_labels, valid_labels])
    test, test_labels = table["test"]
    fitted = known[best]().fit(*both)
    right = fitted.predict(test) == test_labels
    low, high = interval(int(right.sum()), len(right))
    lines = [f"accuracy {right.mean():.3f} of {len(right)} recordings, 95 % interval {low:.3f}-{high:.3f}"]
    for rival in list(known)[:2]:
        theirs = known[rival]().fit(train, train_labels).predict(test) == test_labels
        more = known[rival]().fit(*both).predict(test) == test_labels
        lines.append(
            f"{rival}: {theirs.mean():.3f} (p {mcnemar(right, theirs):.4f}); fitted to both lists {more.mean():.3f} "
            f"(p {mcnemar(right, more):.4f})"
        )
    print("\n".join(lines))
    if options.export is None:
        return
    if not best.startswith("discriminant"):
        raise SystemExit(f"{best} can't be exported: write its network first")
    # Calibrated where it wasn't fitted, then fitted to all.
    held_out = known[best]().fit(train, train_labels)
    classes = list(held_out[1].classes_)
    right_classes = np.array([classes.index(label) for label in valid_labels])
    temperature = temperature_of(held_out.decision_function(valid), right_classes)
    network = network_of(fitted)
    with torch.inference_mode():
        logits = network(torch.from_numpy(test).float()).numpy()
    assert np.mean(np.array(classes)[logits.argmax(1)] == test_labels) == right.mean()
    decoding = GenreDecodingConfig(temperature=round(temperature, 3))
    scaled = np.exp(logits / temperature - (logits / temperature).max(1, keepdims=True))
    confident = (scaled / scaled.sum(1, keepdims=True)).max(1) >= decoding.threshold
    lines.append(
        f"confidence 0.5 and more for {confident.mean():.3f} of them, {right[confident].mean():.3f} of these right"
    )
    print(lines[-1])
    making = Making.of(options, f"python -m train.genre.table --data {options.data} --export {options.export}")
    header = header_of(GENRE, network.config, decoding, made=making.header())
    write_weights(to_bytes(dict(network.state_dict()), header, half=False), "genre", making)
    opening = making.text.strip() or f"# {making.name}"
    figures = lines_of(("classifier", "validation"), [(name, f"{score:.3f}") for name, score in scores.items()])
    card = [opening, "", "## Figures", "", *figures, "", "On the test list, once:", "", *(f"- {x}" for x in lines)]
    (making.folder / f"{making.name}.md").write_text("\n".join(card) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
