"""Processes that do one thing after the other and may die of it: the thing is lost, the others are not."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Generic, TypeVar

from transcribe.errors import PitchaiError, machine_fault, machine_faults_as

Item = TypeVar("Item")
Result = TypeVar("Result")
# So many processes in a row may end before they are ready.
_LOST_STARTS = 3
# What a process is given to end by itself, in seconds.
_PATIENCE = 3.0


class DiedError(PitchaiError):
    """A process ended while it was at work, killed by a signal or by the system."""

    exit_code = 2


@dataclass
class _Process(Generic[Item]):
    """A process, our end of its pipe, whether it has begun, and what it is at."""

    process: SpawnProcess
    pipe: Connection
    ready: bool = False
    item: Item | None = None


def each(
    items: Iterable[Item], make: Callable[[], Callable[[Item], Result]], n_processes: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Do something with every item, ``n_processes`` at a time; yield item and result as each is done.

    Parameters
    ----------
    items
        Taken one by one as processes come free; they and the results must be picklable. None is no item.
    make
        Called once in every process; what it returns is called with each item. An exception that this raises takes
        the place of the result, as does :class:`DiedError` where the process ended.
    n_processes
        At least 1.

    Raises
    ------
    DiedError
        If processes end before they are ready, again and again.
    Exception
        Whatever ``make`` raises.
    """
    pool = _Pool(items, make)
    try:
        for _ in range(n_processes):
            pool.start()
        while pool.running:
            for one in pool.heard():
                yield from pool.answer(one)
    finally:
        pool.end()


class _Pool(Generic[Item, Result]):
    """The processes of :func:`each`, and what is waiting for them."""

    def __init__(self, items: Iterable[Item], make: Callable[[], Callable[[Item], Result]]) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._items = iter(items)
        self._returned: list[Item] = []
        self._make = make
        self._lost_starts = 0
        self._ended: list[SpawnProcess] = []
        self.running: list[_Process[Item]] = []

    def start(self) -> None:
        """Begin a process."""
        with machine_faults_as(DiedError, "no more processes can be started; try fewer --workers"):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=_work, args=(theirs, self._make), daemon=True)
            with _interruption_held():
                process.start()
        theirs.close()  # so that its end is known when it dies
        self.running.append(_Process(process, ours))

    def heard(self) -> list[_Process[Item]]:
        """Wait for processes that have something to say, or have ended."""
        ready = set(map(id, wait([one.pipe for one in self.running])))
        return [one for one in self.running if id(one.pipe) in ready]

    def answer(self, one: _Process[Item]) -> Iterator[tuple[Item, Result | Exception]]:
        """Take what a process says, and give it the next item."""
        item, one.item = one.item, None
        try:
            kind, value = one.pipe.recv()
        except (EOFError, OSError):
            self._bury(one)
            if item is not None:
                yield item, DiedError(f"the process that was at it ended: {_ending(one.process.exitcode)}")
            return
        if kind == "unmade":
            raise value
        one.ready, self._lost_starts = True, 0
        # Its next item first, then its result: it needn't wait for us.
        self._give(one)
        if kind == "done" and item is not None:
            yield item, value

    def end(self) -> None:
        """End all that still run."""
        for one in self.running:
            one.pipe.close()
            one.process.terminate()
        for process in (*self._ended, *(one.process for one in self.running)):
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()

    def _give(self, to: _Process[Item]) -> None:
        item = self._next()
        if item is None:
            self._dismiss(to)
            return
        try:
            to.pipe.send(item)
            to.item = item
        except OSError:  # it has ended since
            self._returned.append(item)
            self._bury(to)

    def _next(self) -> Item | None:
        return self._returned.pop() if self._returned else next(self._items, None)

    def _dismiss(self, one: _Process[Item]) -> None:
        self.running.remove(one)
        one.pipe.close()
        self._ended.append(one.process)

    def _bury(self, one: _Process[Item]) -> None:
        """Put another process in the place of one that has ended, if there is work for it."""
        self._dismiss(one)
        one.process.join()
        self._lost_starts += not one.ready
        if self._lost_starts >= _LOST_STARTS:
            raise DiedError(
                f"processes end before they begin ({_ending(one.process.exitcode)}); "
                "is there memory for so many? Try fewer --workers"
            )
        item = self._next()
        if item is not None:
            self._returned.append(item)
            self.start()


@contextmanager
def _interruption_held() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all, from a process that starts: Python would print a traceback there."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else it is started along with the process, and lets signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # which the process inherits
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
        return f"signal {-exit_code}"
    return f"exit code {exit_code}"


def _work(pipe: Connection, make: Callable[[], Callable[[Item], Result]]) -> None:
    """Do what comes through the pipe until it is closed."""
    # Whoever interrupts, interrupts the parent, which ends us; what is half written goes with us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    with suppress(BrokenPipeError, ConnectionResetError):  # the reader has ended
        try:
            do = make()
        except Exception as error:
            pipe.send(("unmade", sendable(error)))
            return
        pipe.send(("ready", None))
        while True:
            try:
                item = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                result: Result | Exception = do(item)
            except Exception as error:
                result = sendable(error)
            pipe.send(("done", result))


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def sendable(error: Exception) -> Exception:
    """Pass our own errors on, and packages that aren't there; others may not come out of a pipe as they went in."""
    if isinstance(error, (PitchaiError, ModuleNotFoundError)):
        return error
    reason = machine_fault(error)
    return RuntimeError(f"{type(error).__name__}: {error}") if reason is None else OSError(None, reason)
