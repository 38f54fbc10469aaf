"""A batch on a Ray cluster: actors that hold the networks, each at one recording at a time.

Actors of Ray Core, not Ray Data: a batch knows of every single recording what became of it, as soon as it is known, and
how often it was tried. Ray Data counts and retries blocks of rows, so that a recording that kills its process would be
tried for ever, or take its neighbours with it. Ray places the actors, tells of those that are lost, adds and removes
machines, carries what goes between them, and keeps the metrics; ours are the queue and the count of tries.

A long recording is read and decoded by one actor. The networks, which take nearly all the time, are run by all: spans
of windows on the recording's own grid go out with the sound that they see, and what was heard comes back in order. So
it is decoded from the start once only, nothing need be sought, and the bytes are those of one machine.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import queue
import random
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcribe.batch.pool import DiedError, sendable
from transcribe.errors import UsageError, import_optional

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    from transcribe.batch.plan import Job
    from transcribe.batch.work import Done, Work
    from transcribe.engine.inference import Outputs, Span
    from transcribe.engine.task import Activations, WindowModel
    from transcribe.engine.tuning import Tunings

# An actor, a reference to what one will answer, or a counter: Ray is annotated in part.
Handle = Any
# So many actors in a row may end before they are ready.
_LOST_STARTS = 3
# How many actors take part in a long recording; reading it keeps no more of them busy.
_HELPERS = 16
# The thread of an actor that helps with other actors' long recordings.
_HELPING = "helping"
# How long to wait before looking round, in seconds.
_BREATH = 1.0
# The home folder of who started a cluster, in the environment of its processes.
_HOME = "PITCHAI_HOME"
# How long a machine may take to answer, a cluster to let us in, to start, and to let us go, in seconds.
_CONNECTING, _JOINING, _STARTING, _LEAVING = 5.0, 15.0, 180.0, 20.0


@dataclass(frozen=True)
class Sharing:
    """How the work is shared out.

    ``n_threads`` and ``n_gpus`` are what an actor takes of its machine; ``limit`` is the highest number of actors, as
    many as find room where None. A recording that so many have died at as ``tries`` says is set aside. Spans are of
    ``n_windows`` windows of 20 s; the first ``n_alone`` of a recording stay with the actor that reads it, for it has
    the sound already, and most recordings are no longer. One that takes more than ``patience`` seconds is long: where
    there is room, actors are hired to help with it.
    """

    n_threads: int = 1
    n_gpus: float = 0.0
    limit: int | None = None
    tries: int = 3
    n_windows: int = 16  # one batch of a GPU
    n_alone: int = 6
    patience: float = 20.0


def import_ray() -> ModuleType:
    """Import Ray, which is needed for nothing else; see :func:`transcribe.errors.import_optional`."""
    return import_optional("ray", "--ray needs Ray", "ray")


def check_address(address: str) -> None:
    """Refuse what is no address before anything is loaded.

    Raises
    ------
    UsageError
        If it is neither ``auto``, ``local`` nor a machine and a port.
    """
    host, _, port = address.rpartition(":")
    if address not in ("auto", "local") and not (host and "/" not in host and port.isdecimal()):
        raise UsageError(f"--ray {address}: no address of a cluster; use auto, local or machine:port")


@contextmanager
def connected(address: str) -> Iterator[str | None]:
    """Join a cluster for a while; give the address of its dashboard, if it has one.

    ``auto`` is the cluster that runs here or that RAY_ADDRESS names, else one on this machine alone, as ``local`` is
    always. Where the caller has joined one already, it is that.

    Raises
    ------
    UsageError
        If none answers at that address within half a minute, or Ray isn't installed.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield None
        return
    keeper = _Keeper(address)
    try:
        dashboard = keeper.joined()
        _take_back_sigterm()
        yield dashboard
    finally:
        keeper.leave()


def _take_back_sigterm() -> None:
    """Have SIGTERM handled by Python again: Ray's C++ puts a handler of its own before it, which aborts."""
    ours = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and ours is not None:
        signal.signal(signal.SIGTERM, ours)


class _Keeper(threading.Thread):
    """The thread that joins a cluster, or starts one, and leaves it again.

    Not the main one: Ray would take its handler of SIGTERM from it, and a call that waits for a cluster that doesn't
    answer could not be ended. One thread for both: on Linux the processes of a cluster end with the thread that started
    them.
    """

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._asked = self._address = address
        if address == "auto":
            self._address = os.environ.get("RAY_ADDRESS") or address
        self._answer: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self._leaving = threading.Event()
        self._lost = False

    def joined(self) -> str | None:
        """Wait until it has been joined; give the dashboard's address."""
        if self._address not in ("auto", "local"):
            self._check_port()
        self.start()
        patience = _STARTING if self._address in ("auto", "local") else _JOINING
        try:
            answer = self._answer.get(timeout=patience)
        except queue.Empty:
            self._lost = True
            raise self._no_cluster(f"nothing came within {patience:.0f} s") from None
        if isinstance(answer, Exception):
            raise self._no_cluster(" ".join(str(answer).split())[:200]) from None
        return answer

    def leave(self) -> None:
        """Leave it, and wait for the end unless there is none in sight."""
        self._leaving.set()
        if self.is_alive() and not self._lost:
            self.join(_LEAVING)

    def run(self) -> None:
        """Join, say so, and leave when asked to."""
        ray = import_ray()
        logging.getLogger("ray").setLevel(logging.ERROR)
        with tempfile.TemporaryDirectory(prefix="pitchai-") as folder:
            try:
                self._answer.put(self._dashboard(folder))
            except Exception as error:
                self._answer.put(error)
            self._leaving.wait()
            ray.shutdown()

    def _dashboard(self, folder: str) -> str | None:
        """Join the cluster, or start one."""
        if self._address != "local":
            try:
                return self._init(self._address)
            except ConnectionError:
                if self._address != "auto":
                    raise
        with _not_asking_where_it_runs(folder):
            return self._init("local")

    def _init(self, address: str) -> str | None:
        context = import_ray().init(address, logging_level="ERROR", log_to_driver=False)
        return context.dashboard_url or None

    def _check_port(self) -> None:
        """Say in seconds what Ray says in minutes: that nothing listens there."""
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING).close()
        except (OSError, ValueError) as error:
            raise self._no_cluster(getattr(error, "strerror", None) or str(error)) from None

    def _no_cluster(self, reason: str) -> UsageError:
        return UsageError(f"--ray {self._asked}: no cluster answers: {reason}")


@contextmanager
def _not_asking_where_it_runs(folder: str) -> Iterator[None]:
    """Start a cluster that sends nothing to anybody; ``folder`` is needed as long as it runs.

    Even with its usage statistics off, Ray's dashboard asks the addresses of three clouds whether it runs there, unless
    it finds a description of the cluster in its home folder. So it gets a home of its own, and the actors get ours.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    home = os.environ.get("HOME")
    if home is None:
        yield
        return
    Path(folder, "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n")
    os.environ[_HOME], os.environ["HOME"] = home, folder
    try:
        yield
    finally:
        os.environ["HOME"] = os.environ.pop(_HOME)


def gpus_for(device: str) -> float:
    """Choose how much of a GPU an actor takes: a quarter, so that one reads while another's network runs.

    Raises
    ------
    UsageError
        If a certain GPU is asked for, or the cluster has none.
    """
    if device.startswith("cuda:"):
        raise UsageError(f"--device {device}: Ray chooses the GPU; use --device cuda")
    there = import_ray().cluster_resources().get("GPU", 0) > 0
    return 0.25 if device == "cuda" or (device == "auto" and there) else 0.0


def each_on_cluster(
    jobs: Iterable[Job],
    work: Work,
    sharing: Sharing = Sharing(),
) -> Iterator[tuple[Job, Done | Exception]]:
    """Do the work for every recording on the cluster that has been joined; yield what became of each as it is done.

    As :func:`transcribe.batch.pool.each`, but who dies takes nothing down: its recording is tried again elsewhere.

    Raises
    ------
    DiedError
        If actors end before they are ready, again and again.
    PitchaiError
        If the networks can't be loaded.
    """
    crew = _Crew(jobs, work, sharing)
    try:
        yield from crew.outcomes()
    finally:
        crew.end()


@dataclass(frozen=True)
class _Try:
    """A recording, how many have died at it so far, and since when it is being heard."""

    job: Job
    deaths: int = 0
    since: float = 0.0


class _Crew:
    """The actors of :func:`each_on_cluster` and what is waiting for them."""

    def __init__(self, jobs: Iterable[Job], work: Work, sharing: Sharing) -> None:
        self._ray = import_ray()
        self._remote = self._ray.remote(concurrency_groups={_HELPING: 1})(_Listener)
        self._sharing = sharing
        self._queue = deque(map(_Try, jobs))
        self._work = self._ray.put(work)
        self._starting: dict[Handle, Handle] = {}
        self._busy: dict[Handle, tuple[Handle, _Try]] = {}
        self._idle: list[Handle] = []
        self._lost_starts = 0
        self._name = f"pitchai-{uuid.uuid4().hex}-"
        self._number = itertools.count()
        self._failures = _counter("pitchai_failures", "Recordings that failed")

    def outcomes(self) -> Iterator[tuple[Job, Done | Exception]]:
        """Do it."""
        looked = -math.inf
        while self._queue or self._busy:
            if time.monotonic() - looked > _BREATH or not (self._starting or self._busy):
                self._hire()
                looked = time.monotonic()
            waiting = [*self._starting, *self._busy]
            # One is waited for; those that are done by then come along.
            self._ray.wait(waiting, num_returns=1, timeout=_BREATH, fetch_local=False)
            done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0, fetch_local=False)
            found = [known for ref in done for known in self._answered(ref)]
            # What comes next first: no worker need wait for this.
            self._give()
            yield from found

    def end(self) -> None:
        """End all actors."""
        for actor in (*self._starting.values(), *(actor for actor, _ in self._busy.values()), *self._idle):
            self._dismiss(actor)

    def _hire(self) -> None:
        """Ask for as many actors again as there are, while there is work for them.

        Those that find no room wait for it: to Ray's autoscaler they say what is wanted, and a machine that joins gets
        its actors at once.
        """
        there, wanted = len(self._busy) + len(self._idle), len(self._busy) + len(self._queue)
        if any(time.monotonic() - one.since > self._sharing.patience for _, one in self._busy.values()):
            wanted = max(wanted, self._room())
        wanted = min(wanted, there + max(there, self._room()), self._sharing.limit or wanted)
        while there + len(self._starting) < wanted:
            self._start()
        while self._starting and there + len(self._starting) > wanted:
            self._dismiss(self._starting.popitem()[1])

    def _room(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) // self._sharing.n_threads))

    def _start(self) -> None:
        sharing = self._sharing
        placed = self._remote.options(
            name=f"{self._name}{next(self._number)}", num_cpus=sharing.n_threads, num_gpus=sharing.n_gpus
        )
        actor = placed.remote(self._work, sharing, str(Path.cwd()), self._name)
        self._starting[actor.begin.remote()] = actor

    def _begun(self, ref: Handle) -> None:
        actor = self._starting.pop(ref)
        try:
            error = self._ray.get(ref)
        except self._ray.exceptions.RayError:
            self._dismiss(actor)
            self._lost_starts += 1
            if self._lost_starts >= _LOST_STARTS:
                raise DiedError("actors end before they begin; is there memory for so many? See Ray's logs") from None
            return
        if error is not None:
            raise error
        self._lost_starts = 0
        self._idle.append(actor)

    def _give(self) -> None:
        while self._idle and self._queue:
            actor, one = self._idle.pop(), replace(self._queue.popleft(), since=time.monotonic())
            # What a dead one had written by then is ours, and no reason to refuse.
            self._busy[actor.work.remote(one.job, one.deaths > 0)] = actor, one

    def _answered(self, ref: Handle) -> Iterator[tuple[Job, Done | Exception]]:
        if ref in self._starting:
            self._begun(ref)
            return
        actor, one = self._busy.pop(ref)
        try:
            outcome = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            outcome = sendable(error)
        except self._ray.exceptions.RayError:
            self._dismiss(actor)
            one = replace(one, deaths=one.deaths + 1)
            if one.deaths < self._sharing.tries:
                self._queue.append(one)
                return
            self._failures.inc()
            yield one.job, DiedError(f"the processes that were at it ended, {one.deaths} times")
            return
        self._idle.append(actor)
        yield one.job, outcome

    def _dismiss(self, actor: Handle) -> None:
        with suppress(Exception):
            self._ray.kill(actor)


class _Listener:
    """An actor: does the work for a recording, and runs the networks over spans of others' recordings meanwhile."""

    def __init__(self, work: Work, sharing: Sharing, folder: str, name: str) -> None:
        with suppress(OSError):  # so that relative paths mean what they mean there
            os.chdir(folder)
        os.environ.update({"HOME": home} if (home := os.environ.pop(_HOME, None)) else {})
        self._work, self._sharing, self._name = work, sharing, name
        self._has_begun = threading.Event()
        self._files = _counter("pitchai_files", "Recordings done")
        self._hours = _counter("pitchai_audio_hours", "Hours of audio in the recordings done")
        self._failures = _counter("pitchai_failures", "Recordings that failed")
        self._seconds = _counter("pitchai_seconds", "Seconds by stage", ("stage",))

    def begin(self) -> Exception | None:
        """Load the networks; say what is wrong with them."""
        try:
            self._worker = self._work.begin(self._infer)
        except Exception as error:
            return sendable(error)
        self._has_begun.set()
        return None

    def greet(self) -> None:
        """Answer as soon as the networks are loaded."""
        self._has_begun.wait()

    def work(self, job: Job, again: bool) -> Done | Exception:
        """Do it; ``again`` keeps the results that are there."""
        self._worker.work = replace(self._work, skip_existing=True) if again else self._work
        try:
            done = self._worker(job)
        except Exception as error:
            self._failures.inc()
            return sendable(error)
        self._files.inc()
        if done.result.duration > 0:
            self._hours.inc(done.result.duration / 3600)
        for stage, seconds in done.stages.items():
            if seconds > 0:
                self._seconds.inc(seconds, {"stage": stage})
        return done

    @property
    def _threads(self) -> int | None:
        return self._worker.transcriber.threads

    def hear(self, span: Span) -> list[list[Activations]]:
        """Run the networks over a span of another worker's recording."""
        return _heard(span, self._worker.transcriber.window_models, self._threads)

    def _infer(self, blocks: Iterable[np.ndarray], /, *models: WindowModel, tunings: Tunings) -> Outputs:
        from transcribe.engine.inference import infer_together

        if len({model.features for model in models}) > 1:  # no span would fit them all
            return infer_together(blocks, *models, tunings=tunings, threads=self._threads)
        streams = itertools.tee(self._spread(blocks, models, tunings), len(models))
        return [_one_of(stream, number) for number, stream in enumerate(streams)]

    def _spread(
        self, blocks: Iterable[np.ndarray], models: Sequence[WindowModel], tunings: Tunings
    ) -> Iterator[list[list[Activations]]]:
        """Have the helpers run the networks over the spans of a recording; yield what they hear in order."""
        from transcribe.engine.inference import spans

        ray = import_ray()
        sent: deque[tuple[Handle, Handle]] = deque()
        helpers = _Helpers(self._name)
        for number, span in enumerate(spans(blocks, *models, tunings=tunings, n_windows=self._sharing.n_windows)):
            helper = helpers.next() if number >= self._sharing.n_alone else None
            if helper is None:
                while sent:
                    yield _taken(*sent.popleft(), models, self._threads)
                yield _heard(span, models, self._threads)
                continue
            kept = ray.put(span)
            sent.append((kept, helper.hear.options(concurrency_group=_HELPING).remote(kept)))
            if len(sent) > 2 * len(helpers):
                yield _taken(*sent.popleft(), models, self._threads)
        while sent:
            yield _taken(*sent.popleft(), models, self._threads)


class _Helpers:
    """The actors that run networks for others: all that have greeted, one after the other."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._asked: dict[Handle, Handle] = {}
        self._there: list[Handle] = []
        self._calls = 0

    def __len__(self) -> int:
        return len(self._there)

    def next(self) -> Handle:
        """Choose one; None where there is none yet."""
        ray = import_ray()
        if self._calls % _HELPERS == 0:
            self._ask()
        for ref in ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)[0] if self._asked else ():
            actor = self._asked.pop(ref)
            with suppress(ray.exceptions.RayError):  # it has ended since
                ray.get(ref)
                self._there.append(actor)
        self._calls += 1
        return self._there[self._calls % len(self._there)] if self._there else None

    def _ask(self) -> None:
        """Look who is there by now."""
        ray = import_ray()
        known = {actor._actor_id for actor in (*self._there, *self._asked.values())}
        names = [name for name in ray.util.list_named_actors() if name.startswith(self._prefix)]
        for name in random.sample(names, len(names)):
            if len(known) >= _HELPERS:
                return
            with suppress(ValueError):  # it has ended since
                actor = ray.get_actor(name)
                if actor._actor_id not in known:
                    known.add(actor._actor_id)
                    self._asked[actor.greet.options(concurrency_group=_HELPING).remote()] = actor


def _taken(kept: Handle, heard: Handle, models: Sequence[WindowModel], threads: int | None) -> list[list[Activations]]:
    """Take what a helper has heard; hear it here where it is lost."""
    ray = import_ray()
    try:
        return ray.get(heard)  # type: ignore[no-any-return]
    except ray.exceptions.RayError:
        return _heard(ray.get(kept), models, threads)


def _heard(span: Span, models: Sequence[WindowModel], threads: int | None) -> list[list[Activations]]:
    from transcribe.engine.inference import infer_span

    return [list(heard) for heard in infer_span(span, *models, threads=threads)]


def _one_of(stream: Iterable[list[list[Activations]]], number: int) -> Iterator[Activations]:
    for heard in stream:
        yield from heard[number]


def _counter(name: str, description: str, tags: tuple[str, ...] = ()) -> Handle:
    from ray.util.metrics import Counter

    return Counter(name, description=description, tag_keys=tags)
