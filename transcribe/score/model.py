"""The score network as it is shipped, and what it tells of notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from transcribe.engine.onnx_backend import OnnxNetwork
from transcribe.engine.weights import REINSTALL, default_name, manifest, verified_bytes
from transcribe.errors import WeightsError
from transcribe.events import Metre, Note
from transcribe.score.features import LENGTHS, PHASES, bars_of, note_features, note_rows

TASK = "score"
# So many notes are read at a time, and so many more on either side.
_BLOCK, _BORDER = 4096, 128

# float32 (n, N_FEATURES) -> logarithms of probabilities of phases and lengths, (n, PHASES), (n, LENGTHS); the
# probability of the right hand, (n,)
Network = Callable[[np.ndarray], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Told:
    """What the network tells of every note.

    Attributes
    ----------
    phases
        Logarithms of probabilities of where in its beat it lies, (n_notes, PHASES).
    lengths
        Of how many beats it lasts, (n_notes, LENGTHS).
    right
        How likely the right hand plays it, (n_notes,).
    quarters
        Of the beat in which it begins, (n_notes,).
    """

    phases: np.ndarray
    lengths: np.ndarray
    right: np.ndarray
    quarters: np.ndarray


def tell(
    notes: Sequence[Note],
    beats: Sequence[float],
    downbeats: Sequence[float],
    metres: Sequence[Metre] = (),
    compound: bool = False,
    network: Network | None = None,
) -> Told:
    """Ask the network about notes.

    Parameters
    ----------
    notes
        Ordered by onset.
    beats, downbeats, metres
        As :func:`transcribe.score.placing.place_notes` wants them.
    compound
        Whether beats divide in three, where there are no metres.
    network
        The default one where None.

    Raises
    ------
    WeightsError
        If the weights can't be loaded.
    """
    bars = bars_of(beats, downbeats, metres, compound)
    rows = note_rows(notes)
    if not len(rows):
        return Told(np.zeros((0, len(PHASES))), np.zeros((0, len(LENGTHS))), np.zeros(0), np.zeros(0))
    features = note_features(rows, bars)
    network = network or default_network()
    blocks = []
    for first in range(0, len(rows), _BLOCK):
        low = max(0, first - _BORDER)
        answers = network(features[low : first + _BLOCK + _BORDER])
        blocks.append([answer[first - low : first - low + _BLOCK] for answer in answers])
    phases, lengths, right = (np.concatenate(parts).astype(float) for parts in zip(*blocks, strict=True))
    cell = np.clip(np.searchsorted(bars.beats, rows[:, 0] + 1e-9) - 1, 0, len(bars.beats) - 1)
    return Told(phases, lengths, right, bars.quarters[cell])


@cache
def default_network() -> Network:
    """Load the network that the manifest names.

    Raises
    ------
    WeightsError
        If the file is missing or damaged.
    """
    entry = next(entry for entry in manifest().values() if entry.name == default_name(TASK))
    try:
        return OnnxNetwork(verified_bytes(entry.graph, entry.graph_sha256))
    except ValueError as error:
        raise WeightsError(f"{entry.graph}: {error}; {REINSTALL}") from None
