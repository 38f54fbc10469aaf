"""The score network as it is shipped, and what it tells of notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transcribe.events import Metre, Note
from transcribe.score.features import LENGTHS, PHASES, bars_of, note_features, note_rows
from transcribe.score.shipped import Network, default_network, read

TASK = "score"


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
    answers = read(network or default_network(TASK), features)
    phases, lengths, right = (answer.astype(float) for answer in answers)
    cell = np.clip(np.searchsorted(bars.beats, rows[:, 0] + 1e-9) - 1, 0, len(bars.beats) - 1)
    return Told(phases, lengths, right, bars.quarters[cell])
