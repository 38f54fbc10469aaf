"""Where notes are sent as MIDI: a port of the system, one that others can see, or a file of MIDI's raw bytes.

A path (with a slash in it) is a raw device such as ``/dev/snd/midiC1D0`` or a named pipe; anything else names a port:
one that is there, or a virtual one of that name. Whatever was begun is ended, also when the program is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from transcribe.errors import OutputError, UsageError, import_optional
from transcribe.live.tracker import Event, Kind

_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0
_PEDAL, _ALL_NOTES_OFF = 64, 123
# Bytes that wait for a reader of a pipe who doesn't come.
_MOST_WAITING = 1 << 16


class Wire(Protocol):
    """Takes MIDI messages."""

    def send(self, message: bytes) -> None:
        """Send a message; never waits."""

    def close(self) -> None:
        """Let go of the port."""


class MidiOut:
    """Sends events, and remembers what sounds so that nothing is left hanging."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._sounding: set[int] = set()
        self._pedal = False

    def send(self, events: Iterable[Event]) -> None:
        """Send events as they are; a note that sounds is ended before it begins anew."""
        for event in events:
            if event.kind is Kind.NOTE_ON:
                if event.pitch in self._sounding:
                    self._wire.send(bytes([_NOTE_OFF, event.pitch, 64]))
                self._sounding.add(event.pitch)
                self._wire.send(bytes([_NOTE_ON, event.pitch, event.velocity]))
            elif event.kind is Kind.NOTE_OFF:
                if event.pitch in self._sounding:
                    self._sounding.discard(event.pitch)
                    self._wire.send(bytes([_NOTE_OFF, event.pitch, 64]))
            else:
                self._pedal = event.kind is Kind.PEDAL_DOWN
                self._wire.send(bytes([_CONTROL, _PEDAL, 127 if self._pedal else 0]))

    def close(self) -> None:
        """End what sounds and let go of the port."""
        for pitch in sorted(self._sounding):
            self._wire.send(bytes([_NOTE_OFF, pitch, 64]))
        self._sounding.clear()
        self._wire.send(bytes([_CONTROL, _PEDAL, 0]))
        self._wire.send(bytes([_CONTROL, _ALL_NOTES_OFF, 0]))
        self._wire.close()


class RawWire:
    """A file of raw MIDI: a device or a pipe. What a pipe's reader doesn't fetch waits, up to a bound.

    Raises
    ------
    OutputError
        If it can't be opened, or is an ordinary file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._waiting = b""
        try:
            kind = Path(path).stat().st_mode
            if not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind)):
                raise OutputError(f"{path}: is neither a MIDI device nor a named pipe; -o writes files")
            # A pipe that is open for reading too needs no reader yet.
            flags = os.O_RDWR if stat.S_ISFIFO(kind) else os.O_WRONLY
            self._descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise OutputError(f"{path}: can't be opened for MIDI: {error.strerror}") from None

    def send(self, message: bytes) -> None:
        """Write a message, after those that wait."""
        self._waiting = (self._waiting + message)[-_MOST_WAITING:]
        try:
            self._waiting = self._waiting[os.write(self._descriptor, self._waiting) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise OutputError(f"{self.path}: takes no more MIDI: {error.strerror}") from None

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class PortWire:
    """A port of the system: the one whose name begins so, or a new virtual one that other programs can see.

    Raises
    ------
    UsageError
        If mido or python-rtmidi isn't installed, or the system has no MIDI.
    """

    def __init__(self, name: str) -> None:
        mido = import_optional("mido", "MIDI ports need mido and python-rtmidi", "live")
        import_optional("rtmidi", "MIDI ports need python-rtmidi", "live")
        self._message: Any = mido.Message.from_bytes
        try:
            known = [port for port in mido.get_output_names() if port.startswith(name)]
            self._port: Any = mido.open_output(known[0]) if known else mido.open_output(name, virtual=True)
        except Exception as error:  # rtmidi's errors are of several kinds
            reason = " ".join(str(error).split())[:120]
            raise UsageError(f"no MIDI port {name!r} can be had here: {reason}; a named pipe's path does too") from None

    def send(self, message: bytes) -> None:
        """Send a message."""
        self._port.send(self._message(list(message)))

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def open_wire(name: str) -> Wire:
    """Open what a name stands for: a path with a slash, or a port."""
    return RawWire(name) if os.sep in name or "/" in name else PortWire(name)
