"""Processes that do one thing after the other and may die of it: the thing is lost, the others are not."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class DiedError(Exception):
    """A process ended while it was at work, killed by a signal or by the system."""


@dataclass
class _Process(Generic[Item]):
    """A process, our end of its pipe, and what it is at (None before it is ready, and between two items)."""

    process: Any
    pipe: Connection
    item: Item | None = None


def each(
    items: Iterable[Item], make: Callable[[], Callable[[Item], Result]], n_processes: int
) -> Iterator[tuple[Item, Result | Exception]]:
    """Do something with every item, ``n_processes`` at a time; yield item and result as each is done.

    Parameters
    ----------
    items
        Taken one by one as processes come free; they and the results must be picklable.
    make
        Called once in every process; what it returns is called with each item. An exception that this raises takes
        the place of the result, as does :class:`DiedError` where the process ended.
    n_processes
        At least 1.

    Raises
    ------
    Exception
        Whatever ``make`` raises.
    """
    context = multiprocessing.get_context("spawn")
    waiting = iter(items)
    running: list[_Process[Item]] = []
    ended: list[Any] = []

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, make), daemon=True)
        process.start()
        theirs.close()  # so that its end is known when it dies
        running.append(_Process(process, ours))

    def give(to: _Process[Item]) -> bool:
        for item in waiting:
            to.item = item
            to.pipe.send(item)
            return True
        return False

    try:
        for _ in range(n_processes):
            start()
        while running:
            ready = set(map(id, wait([one.pipe for one in running])))
            for one in [one for one in running if id(one.pipe) in ready]:
                item = one.item
                try:
                    kind, value = one.pipe.recv()
                except (EOFError, OSError):
                    one.process.join()
                    running.remove(one)
                    if item is None:
                        raise DiedError(f"a worker ended before it began: {_ending(one.process.exitcode)}") from None
                    start()
                    yield item, DiedError(f"the process that was at it ended: {_ending(one.process.exitcode)}")
                    continue
                if kind == "unmade":
                    raise value
                # Its next item first, then its result: it needn't wait for us.
                if not give(one):
                    running.remove(one)
                    one.pipe.close()
                    ended.append(one.process)
                if kind == "done" and item is not None:
                    yield item, value
    finally:
        for one in running:
            one.process.terminate()
        for process in (*ended, *(one.process for one in running)):
            process.join()


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return f"exit code {exit_code}"


def _work(pipe: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    """Do what comes through the pipe until it is closed."""
    # Whoever interrupts, interrupts the parent, which ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        do = make()
    except Exception as error:
        pipe.send(("unmade", error))
        return
    pipe.send(("ready", None))
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            result = do(item)
        except Exception as error:
            result = error
        try:
            pipe.send(("done", result))
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)  # nobody listens any more
