"""The shell around every process: settings, logs, signals, health port, heartbeat, drained exit."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import nats.errors
import structlog
import uvloop

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import ServiceStatus, encode
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.errors import PortTakenError, TapestreamError
from tapestream.common.settings import Settings
from tapestream.common.telemetry.health import Health, health_server
from tapestream.common.telemetry.logs import configure_logs, redact

log = structlog.get_logger(__name__)

EX_CONFIG = 78
"""Exit code of a process that cannot start with these settings: restarting it is of no use."""
EX_SOFTWARE = 70

S = TypeVar("S", bound=Settings)


@dataclass
class ProcessContext:
    """What the composition root of a service gets."""

    service: str
    settings: Settings
    subjects: Subjects
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    health: Health = field(default_factory=Health)
    figures: Callable[[], dict[str, float]] = dict
    """Numbers for the heartbeat; a service may put its own function here."""
    failure: BaseException | None = None
    _tasks: list[asyncio.Task[Any]] = field(default_factory=list[asyncio.Task[Any]])

    @property
    def producer(self) -> str:
        """``service/version+configuration hash``, for the headers of what the process writes."""
        return f"{self.service}/{_version(self.service)}+{_settings_hash(self.settings)}"

    @property
    def nats_url(self) -> str:
        return self.settings.nats_url or f"nats://127.0.0.1:{self.settings.nats_port}"

    async def connect_bus(self) -> Bus:
        """Connect to NATS (waiting until it is there) and begin the heartbeat."""
        self.health.set("nats", False, f"connecting to {redact(self.nats_url)}")
        bus = await Bus.connect(self.nats_url, f"{self.service}.{self.settings.instance}", self.subjects)
        self.spawn(self._heartbeat(bus), "heartbeat")
        return bus

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task for as long as the process lives; its failure ends the process with an error."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._stop_on_failure)
        self._tasks.append(task)
        return task

    def _stop_on_failure(self, task: asyncio.Task[Any]) -> None:
        """A failed task must end the process even while its main part still waits for it."""
        if not task.cancelled() and task.exception() is not None and not self.stopping.is_set():
            log.error("task_failed", task=task.get_name(), error=repr(task.exception()))
            self.failure = task.exception()
            self.stopping.set()

    async def run_until_stopped(self) -> None:
        """Return when the process was asked to stop; raise what a spawned task raised."""
        # What the start has made stays: collections that walk it again and again would hold up ticks.
        gc.collect()
        gc.freeze()
        stop = asyncio.create_task(self.stopping.wait())
        try:
            while not stop.done():
                done, _ = await asyncio.wait([stop, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stop}:
                    self._tasks.remove(task)
                    task.result()
        finally:
            stop.cancel()

    async def cancel_tasks(self, name: str | None = None) -> None:
        """End the spawned tasks, or those with this name."""
        tasks = [task for task in self._tasks if name is None or task.get_name() == name]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _heartbeat(self, bus: Bus) -> None:
        while True:
            self.health.set("nats", bus.connected.is_set(), "disconnected")
            if bus.connected.is_set():
                status = ServiceStatus(
                    service=self.service,
                    instance=self.settings.instance,
                    ts_ns=time.time_ns(),
                    ready=self.health.ready,
                    detail=dict(self.health.problems),
                    figures=self.figures(),
                )
                subject = self.subjects.status(self.service, self.settings.instance)
                with contextlib.suppress(nats.errors.Error, OSError):  # the next one tells
                    await bus.nc.publish(subject, encode(status))
            await asyncio.sleep(1)


def run_process(
    service: str,
    settings_type: type[S],
    main: Callable[[ProcessContext, S], Awaitable[None]],
    niceness: int = 0,
) -> None:
    """Run a service's ``main`` until SIGTERM or SIGINT, then give it ``SHUTDOWN_TIMEOUT_S`` to drain.

    Every stored message wakes all its readers at once; ``niceness`` lets those that nobody waits for
    step behind those on the way to a client where cores are few.

    ``main`` wires, then awaits ``context.run_until_stopped()``, then drains and returns. A wrong
    setting ends the process with one line and exit code 78.
    """
    try:
        settings = settings_type.load()
        subjects = Subjects(settings.subject_prefix)
        health_socket = _bind_health_port(settings.metrics_port)
    except (TapestreamError, ValueError) as error:
        print(f"{service}: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
    configure_logs(settings, service)
    os.nice(niceness)
    context = ProcessContext(service, settings, subjects)
    try:
        uvloop.run(_run(context, settings, main, health_socket))
    except TapestreamError as error:
        log.error("stopped", error=str(error))  # noqa: TRY400 - its text says all
        print(f"{service}: {error}", file=sys.stderr)
        sys.exit(EX_CONFIG)
    except Exception:
        log.exception("crashed")
        sys.exit(EX_SOFTWARE)


async def _run(
    context: ProcessContext,
    settings: S,
    main: Callable[[ProcessContext, S], Awaitable[None]],
    health_socket: socket.socket,
) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, context.stopping.set)
    server = health_server(context.health)
    serving = asyncio.create_task(server.serve([health_socket]))
    log.info(
        "starting", pid=os.getpid(), health=f"http://127.0.0.1:{health_socket.getsockname()[1]}/health/ready"
    )
    work = asyncio.ensure_future(main(context, settings))
    stopping = asyncio.create_task(context.stopping.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            done, _ = await asyncio.wait([work], timeout=settings.shutdown_timeout_s)
            if not done:
                log.warning("shutdown_deadline_passed", seconds=settings.shutdown_timeout_s)
                work.cancel()
        if work.done() and not work.cancelled():
            work.result()
        if context.failure is not None:
            raise context.failure
    finally:
        stopping.cancel()
        await context.cancel_tasks()
        server.should_exit = True
        await asyncio.wait([serving], timeout=1)
        log.info("stopped")


def _bind_health_port(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise PortTakenError("127.0.0.1", port, "METRICS_PORT", "health and metrics") from None
    return sock


def _version(service: str) -> str:
    try:
        return version(f"tapestream-{service.partition('.')[0]}")
    except PackageNotFoundError:
        return version("tapestream-common")


def _settings_hash(settings: Settings) -> str:
    return hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:8]
