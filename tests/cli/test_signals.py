from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import PITCHAI, Call, one_line
from tests.conftest import EXAMPLE
from tests.signals import RATE
from transcribe.cli import signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
SIGNALS = pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PITCHAI, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell that runs the tests in the background has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@SIGNALS
def test_interrupted_in_the_middle(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "long.wav", np.zeros(RATE * 3600, np.int16), RATE)
    process = start(tmp_path / "a.wav", tmp_path / "long.wav", "-q")
    assert process.stdout is not None
    assert process.stdout.readline()  # the first is done: now it works on the second
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert one_line(err.decode())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mid", "a.wav", "long.wav"]


# Called as the program is, until a module is imported: a signal comes in the middle of that.
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from transcribe.__main__ import run

class Interruption:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {sent})

sys.meta_path.insert(0, Interruption())
sys.argv = ["pitchai", {recording!r}, "-o", {result!r}]
run()
"""


@SIGNALS
@pytest.mark.parametrize("module", ["typer", "transcribe.cli.main", "onnxruntime"])
def test_interrupted_while_modules_are_imported(tmp_path: Path, sent: int, code: int, module: str) -> None:
    program = INTERRUPTED.format(module=module, sent=int(sent), recording=str(EXAMPLE), result=str(tmp_path / "a.mid"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == f"pitchai: {'interrupted' if code == 130 else 'terminated'}\n"
    assert not list(tmp_path.iterdir())


# What the C library calls when Python has ended.
ENDING = """
import ctypes, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
library = ctypes.CDLL(None)
library.__cxa_atexit(getattr(library, "raise"), ctypes.c_void_p({sent}), None)
from transcribe.__main__ import run
sys.argv = ["pitchai", "--version"]
run()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's name of atexit")
@SIGNALS
def test_a_signal_while_python_ends_changes_nothing(sent: int, code: int) -> None:
    program = ENDING.format(sent=int(sent))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pitchai ")


def test_signals_are_handled_before_anything_takes_time() -> None:
    program = "import sys; before = set(sys.modules); import transcribe.__main__; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("transcribe")}
    assert ours == {"transcribe", "transcribe.__main__", "transcribe.cli", "transcribe.cli.signals"}
    assert not {"typing", "re", "dataclasses", "inspect", "threading", "contextlib"} & set(done.stdout.split())


@SIGNALS
def test_what_a_library_makes_of_a_signal_is_not_its_own_error(
    call: Call, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals, code: int
) -> None:
    def library() -> None:
        try:
            os.kill(os.getpid(), sent)
            time.sleep(1)  # the handler runs here
        except SystemExit:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("transcribe.formats.schema.schema", library)
    assert call("schema")[0] == code


@SIGNALS
def test_an_interruption_inside_a_decoder_is_obeyed_after_it(sent: signal.Signals, code: int) -> None:
    def vio_read() -> None:  # as soundfile's callback is called
        signals.on_signal(sent, sys._getframe())

    vio_read()  # raises nothing: it would be lost
    with pytest.raises(SystemExit) as ended:
        signals.watched(None)(1.0, None)
    assert ended.value.code == code
    signals.received.clear()
    signals.watched(None)(1.0, None)
    with pytest.raises(SystemExit) as ended:
        signals.on_signal(sent, sys._getframe())
    assert ended.value.code == code
    signals.received.clear()
