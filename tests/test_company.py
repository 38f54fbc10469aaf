"""Families of notes, weighed by what is heard as a whole: numbers by hand."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.notes.test_ensemble import ENSEMBLE, ensemble
from transcribe.company import listener, overheard, weighed
from transcribe.engine.features import FeatureConfig
from transcribe.engine.task import Model, WindowModel
from transcribe.instruments import decoder as tags
from transcribe.instruments.task import INSTRUMENTS
from transcribe.notes.decoder import DecodingConfig
from transcribe.notes.ensemble import EnsembleActivations
from transcribe.notes.task import NOTES
from transcribe.theory.families import FAMILIES

GRID = FeatureConfig().grid
STRINGS, REED = (FAMILIES.index(name) for name in ("strings", "reed"))
NETWORK: Any = SimpleNamespace()
ANY: WindowModel = Model(NOTES, "any-1", NETWORK, FeatureConfig(), ENSEMBLE)
PIANO: WindowModel = Model(NOTES, "piano-1", NETWORK, FeatureConfig(), DecodingConfig())
LISTENER: WindowModel = Model(INSTRUMENTS, "instruments-1", NETWORK, FeatureConfig(), tags.TagDecodingConfig())


def doubtful(n_frames: int) -> EnsembleActivations:
    """Strings rather than reeds, but hardly."""
    found = ensemble((), n_frames)
    found.family[...] = 1e-6
    found.family[..., STRINGS], found.family[..., REED] = 0.55, 0.45
    return found


def steps(n_steps: int, family: str, sure: float = 0.9, stride: int = 10) -> tags.TagActivations:
    families = np.full((n_steps, len(tags.FAMILIES)), 0.05, np.float32)
    families[:, tags.FAMILIES.index(family)] = sure
    return tags.TagActivations(families, np.zeros((n_steps, len(tags.INSTRUMENTS)), np.float32), GRID, stride)


def likeliest(*blocks: Any, heard: Iterator[Any]) -> list[int]:
    return [int(k) for block in weighed(iter(blocks), heard) for k in block.family[:, 40].argmax(1)]


def test_what_is_heard_settles_what_is_doubtful() -> None:
    # Two steps of ten frames each: reeds, then strings.
    heard = [steps(1, "reed"), steps(1, "string")]
    assert likeliest(doubtful(20), heard=iter(heard)) == [REED] * 10 + [STRINGS] * 10
    (block,) = weighed(iter([doubtful(20)]), iter(heard))
    assert block.family.sum(-1) == pytest.approx(1.0, abs=1e-5)
    assert np.isclose(block.family[0, 40, REED] / block.family[0, 40, STRINGS], 0.45 / 0.55 * (0.9 / 0.05) ** 0.3)


def test_what_is_sure_stays() -> None:
    sure = doubtful(10)
    sure.family[..., STRINGS], sure.family[..., REED] = 0.95, 0.05
    assert likeliest(sure, heard=iter([steps(1, "reed")])) == [STRINGS] * 10


@pytest.mark.parametrize("cuts", [(20,), (7, 13), (1,) * 20])
def test_blocks_may_be_cut_anywhere(cuts: tuple[int, ...]) -> None:
    blocks = [doubtful(n) for n in cuts]
    for heard in ([steps(1, "reed"), steps(1, "string")], [steps(1, "reed", stride=10), steps(3, "string", stride=10)]):
        assert likeliest(*blocks, heard=iter(heard)) == [REED] * 10 + [STRINGS] * 10


def test_no_more_is_taken_than_is_needed_and_the_last_step_holds() -> None:
    heard = iter([steps(1, "reed") for _ in range(5)])
    next(weighed(iter([doubtful(10)]), heard))
    assert len(list(heard)) == 4
    assert likeliest(doubtful(30), heard=iter([steps(1, "reed")])) == [REED] * 30
    assert likeliest(doubtful(3), heard=iter(())) == [STRINGS] * 3


def test_notes_are_weighed_where_both_listen() -> None:
    def streams() -> list[Iterator[Any]]:
        return [iter([doubtful(10)]), iter([steps(1, "reed"), steps(1, "reed")])]

    for model, family in ((ANY, REED), (PIANO, STRINGS)):
        notes, heard = streams()
        assert int(next(overheard(model, notes, heard)).family[0, 40].argmax()) == family
    alone = overheard(ANY, streams()[0], None)
    assert [int(block.family[0, 40].argmax()) for block in alone] == [STRINGS]
    assert [listener(models) for models in ([ANY, LISTENER], [ANY])] == [1, None]
