from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transcribe.errors import OutputError, UsageError
from transcribe.live.ports import MidiOut, RawWire, open_wire
from transcribe.live.tracker import Event, Kind

# Reads raw MIDI until all notes off, then prints the bytes.
READER = """
import sys
heard = b""
with open(sys.argv[1], "rb", buffering=0) as pipe:
    while not heard.endswith(bytes([0xB0, 123, 0])):
        heard += pipe.read(64)
print(heard.hex())
"""
TOLD = [
    Event(Kind.NOTE_ON, 0.1, 60, 80),
    Event(Kind.PEDAL_DOWN, 0.2),
    Event(Kind.NOTE_ON, 0.3, 64, 90),
    Event(Kind.NOTE_OFF, 0.4, 60),
    Event(Kind.NOTE_ON, 0.5, 64, 70),  # struck again
    Event(Kind.NOTE_OFF, 0.6, 72),  # never begun
]
SENT = "903c50b0407f90405a803c40804040904046804040b04000b07b00"


class Kept:
    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def send(self, message: bytes) -> None:
        self.sent += message

    def close(self) -> None:
        self.closed = True


def test_whatever_begins_is_ended() -> None:
    wire = Kept()
    out = MidiOut(wire)
    out.send(TOLD)
    out.close()
    assert wire.sent.hex() == SENT
    assert wire.closed


def test_another_process_reads_the_notes(tmp_path: Path) -> None:
    pipe = tmp_path / "midi"
    os.mkfifo(pipe)
    out = MidiOut(open_wire(str(pipe)))
    out.send(TOLD[:2])  # before anybody reads
    with subprocess.Popen([sys.executable, "-c", READER, str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        out.send(TOLD[2:])
        # Once nobody has it open any more what a pipe holds is gone: the reader must be there by now.
        time.sleep(1.0)
        out.close()
        heard, _ = reader.communicate(timeout=20)
    assert heard.strip() == SENT


def test_a_pipe_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    pipe = tmp_path / "midi"
    os.mkfifo(pipe)
    wire = RawWire(str(pipe))
    for _ in range(100_000):
        wire.send(bytes([0x90, 60, 80]))
    wire.close()


def test_what_is_no_port_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(OutputError, match="neither a MIDI device nor a named pipe"):
        open_wire(str(file))
    with pytest.raises(OutputError, match="can't be opened"):
        open_wire(str(tmp_path / "nowhere"))


def test_the_systems_ports_are_read_by_another_process() -> None:
    mido = pytest.importorskip("mido")
    pytest.importorskip("rtmidi")
    name = f"pitchai test {os.getpid()}"
    try:
        wire = open_wire(name)
    except UsageError as error:
        pytest.skip(f"no MIDI here: {error}")
    program = (
        "import mido, sys\n"
        f"name = next(n for n in mido.get_input_names() if {name!r} in n)\n"
        "with mido.open_input(name) as port:\n"
        "    print('ready', flush=True)\n"
        "    heard = b''\n"
        "    for message in port:\n"
        "        heard += bytes(message.bytes())\n"
        "        if heard.endswith(bytes([0xB0, 123, 0])):\n"
        "            break\n"
        "print(heard.hex())\n"
    )
    assert mido
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        out = MidiOut(wire)
        out.send(TOLD)
        out.close()
        heard, _ = reader.communicate(timeout=20)
    assert heard.strip() == SENT


def test_without_midi_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    with pytest.raises(UsageError, match=r"pip install 'pitchai\[live\]'"):
        open_wire("pitchai")
