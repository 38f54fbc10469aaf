"""Decoding in a forked process: what crashes a decoder's C library kills that process, and is an error here.

A fork costs milliseconds, and the child has all modules that the parent has loaded. Of a parent's threads it has none,
but the locks that they hold at that moment, for ever: only a program that knows its threads should do this, as the
command line does. Systems other than Linux have no fork, or libraries that don't bear it; there and where there can be
no further process the parent decodes.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any, NoReturn

import numpy as np

from transcribe.audio.decoding import Decoder, NotDecodableError, crash


def open_isolated(file: IO[bytes], block_values: int) -> IsolatedDecoder | Decoder:
    """Open a decoder in a process of its own, or in this one where there can be no other.

    Raises
    ------
    NotDecodableError
        As :class:`transcribe.audio.decoding.Decoder`, and if the decoder crashes.
    """
    if sys.platform != "linux":
        return Decoder(file, block_values)
    ours, theirs = Pipe(duplex=False)
    try:
        process = _forked(ours, theirs, file, block_values)
    except OSError:
        ours.close()
        return Decoder(file, block_values)
    finally:
        theirs.close()  # so that the child's end is known when it dies
    return IsolatedDecoder(process, ours)


class IsolatedDecoder:
    """A :class:`transcribe.audio.decoding.Decoder` in a child process, with the same attributes and methods."""

    def __init__(self, process: int, pipe: Connection) -> None:
        self._process: int | None = process
        self._pipe = pipe
        try:
            self.sample_rate, self.duration, self.remarks = self._received()
        except BaseException:
            self.close()
            raise

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield float32 (n_frames, n_channels), whose number of channels may change.

        Raises
        ------
        NotDecodableError
            If nothing at all can be decoded, or the decoder crashes.
        """
        while isinstance(block := self._received(), np.ndarray):
            yield block
        self.remarks = block

    def close(self) -> None:
        """End the child."""
        self._pipe.close()
        if self._process is not None:
            os.kill(self._process, signal.SIGKILL)
            self._wait()

    def _received(self) -> Any:
        try:
            message = self._pipe.recv()
        except EOFError:
            raise crash(self._wait()) from None
        if isinstance(message, Exception):
            raise message
        return message

    def _wait(self) -> int:
        """Wait for the child's end; give its exit code, which is negative where a signal has killed it."""
        assert self._process is not None
        process, self._process = self._process, None
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _forked(ours: Connection, theirs: Connection, file: IO[bytes], block_values: int) -> int:
    """Begin the child that decodes; give its number."""
    signals = [signal.SIGINT, signal.SIGTERM]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # the parent's handlers are none of the child's
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 on where there are threads
            process = os.fork()
        if not process:
            # Whoever interrupts, interrupts the parent, which ends us.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            ours.close()
            _decode(theirs, file, block_values)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return process


def _decode(pipe: Connection, file: IO[bytes], block_values: int) -> NoReturn:
    """Send what a decoder says, its blocks, and in the end its remarks; or an exception."""
    gc.freeze()  # nothing of the parent's is to be cleared away here
    try:
        try:
            decoder = Decoder(file, block_values)
            pipe.send((decoder.sample_rate, decoder.duration, decoder.remarks))
            for block in decoder.blocks():
                pipe.send(block)
            pipe.send(decoder.remarks)
        except (NotDecodableError, OSError, MemoryError) as error:
            pipe.send(error)
        except Exception as error:  # others may not come out of a pipe as they went in
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)
