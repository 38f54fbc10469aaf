from __future__ import annotations

import json

from tests.cli.conftest import Call
from tests.conftest import needs_torch


@needs_torch
def test_doctor_finds_all_well(call: Call) -> None:
    code, out, _ = call("doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert set(report) == {"program", "packages", "devices", "decoders", "weights"}
    assert "checked" in report["weights"]["notes-medium-8"]
    assert "FAULTY" not in out
    code, out, _ = call("doctor")
    assert "onnxruntime" in out
    assert "[train]" in out  # what extras bring, where it is installed
