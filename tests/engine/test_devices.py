from __future__ import annotations

import pytest
import torch

from transcribe.engine.devices import choose_device, choose_precision, device_of, n_threads
from transcribe.engine.weights import load_model
from transcribe.errors import UsageError
from transcribe.notes.task import NOTES


def test_threads() -> None:
    assert 1 <= n_threads() <= 8
    assert n_threads(5) == 5


def test_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda")
    with pytest.raises(UsageError, match="quantum"):
        choose_device("quantum")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="no CUDA GPU"):
        choose_device("cuda")


def test_precisions() -> None:
    assert choose_precision("float32") == "float32"
    assert choose_precision("auto") == "float32"
    with pytest.raises(UsageError, match="no precision 'half'"):
        choose_precision("half")


def test_a_network_lies_where_it_runs() -> None:
    assert device_of(load_model(NOTES, "small").network) == "cpu"
    assert device_of(torch.nn.Linear(1, 1)) == "cpu"
    assert device_of(torch.nn.Linear(1, 1, device="meta")) == "meta"
