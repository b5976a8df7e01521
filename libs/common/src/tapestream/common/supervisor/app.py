"""The supervisor: starts everything in order, keeps it running, stops it in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from tapestream.common.errors import TapestreamError
from tapestream.common.supervisor.banner import Places, banner
from tapestream.common.supervisor.children import Child, ChildPlan
from tapestream.common.supervisor.console import Console
from tapestream.common.supervisor.disk import FULL_BELOW_BYTES, DiskWatch
from tapestream.common.supervisor.embedded.nats import EmbeddedNats
from tapestream.common.supervisor.folder import DataFolder
from tapestream.common.supervisor.guard import Guard
from tapestream.common.supervisor.ports import NeededPort, check_ports
from tapestream.common.supervisor.programs import (
    PROGRAMS,
    Placed,
    Program,
    place,
    reachable,
    shared_environment,
)
from tapestream.common.supervisor.servers import Servers
from tapestream.common.supervisor.settings import SupervisorSettings

_SAME_KEY_PRESS_S = 0.3
"""``make`` and a terminal may both pass one Ctrl-C on."""
_GUARD_CHECK_S = 2.0
_DISK_CHECK_S = 1.0


class StartError(TapestreamError):
    """A server did not answer in time."""


def supervise(settings: SupervisorSettings, programs: Sequence[Program] = PROGRAMS) -> None:
    """Run everything until SIGINT or SIGTERM.

    Raises SettingsError, PortTakenError or DataFolderError before anything has started, and
    ChildRefusedError or StartError when a start fails after that (all is stopped again then).
    """
    folder = DataFolder.open(settings.source_folder)
    try:
        servers = Servers.of(settings, folder.path)
        placed = list(place(programs, settings))
        check_ports([*servers.ports(), *_ports(placed, settings)])
        guard = Guard(keep_open=(folder.lock_fd,))
        try:
            asyncio.run(_Run(settings, servers, placed, guard).run())
        finally:
            guard.close()
    finally:
        folder.close()


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(function)


def _ports(placed: Sequence[Placed], settings: SupervisorSettings) -> list[NeededPort]:
    needed: list[NeededPort] = []
    for each in placed:
        setting = each.program.port_setting
        if setting and each.instance == 0:
            port = getattr(settings, setting.lower())
            needed.append(NeededPort(each.program.port_host(settings), port, setting, each.name))
        metrics = NeededPort(
            "127.0.0.1", each.metrics_port, "METRICS_BASE_PORT", f"health and metrics of {each.name}"
        )
        needed.append(metrics)
    return needed


class _Run:
    """One run, from the first start to the last stop."""

    def __init__(
        self, settings: SupervisorSettings, servers: Servers, placed: Sequence[Placed], guard: Guard
    ) -> None:
        self._settings = settings
        self._servers = servers
        self._placed = placed
        self._guard = guard
        self._began = time.monotonic()
        self._stopping = asyncio.Event()
        self._stop_asked = 0.0
        self._started: list[Child] = []
        self._tasks: dict[asyncio.Task[None], Child] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        tty = sys.stdout.isatty()
        self._console = Console(
            tty=tty,
            colour=tty and not os.environ.get("NO_COLOR"),
            debug=self._settings.debug,
            on_closed=lambda: _call(loop, self._stopping.set),
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop_signal, number)
        try:
            await self._run_until_stopped()
        finally:
            await self._stop_all()
            self._console.close()

    async def _run_until_stopped(self) -> None:
        watching = asyncio.create_task(self._watch_guard())
        disk = asyncio.create_task(self._watch_disk())
        starting = asyncio.create_task(self._start_all())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while not stop.done():
                pending: set[asyncio.Task[Any]] = {stop, *self._tasks}
                if not starting.done():
                    pending.add(starting)
                # A child's task that fails while the start waits must end the start: look often.
                done, _ = await asyncio.wait(pending, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    starting.result()
                for task in [task for task in self._tasks if task in done]:
                    task.result()
                    del self._tasks[task]
        finally:
            for task in (watching, disk, starting, stop):
                task.cancel()
            await asyncio.gather(watching, disk, starting, stop, return_exceptions=True)

    async def _start_all(self) -> None:
        self._servers.prepare()
        environment = shared_environment(
            self._settings,
            nats_url=self._servers.nats_url,
            database_url=self._servers.database_url,
            simulated=any(each.program.name == "binance-sim" for each in self._placed),
        )
        plans = [self._program_plan(each, environment) for each in self._placed]
        servers = [self._start(plan) for plan in self._servers.plans()]
        for child in [*servers, *(self._start(plan) for plan in plans if plan.is_server)]:
            if not await child.wait_ready():
                raise StartError(f"{child.name} did not answer within {child.plan.ready_within_s:.0f} s")
        services = [self._start(plan) for plan in plans if not plan.is_server]
        answers = await asyncio.gather(*(child.wait_ready() for child in services))
        silent = tuple(child.name for child, answer in zip(services, answers, strict=True) if not answer)
        self._console.text(banner(self._places(silent)))

    def _start(self, plan: ChildPlan) -> Child:
        child = Child(plan, self._guard, self._console)
        self._started.append(child)
        self._tasks[asyncio.create_task(child.run(), name=plan.name)] = child
        return child

    def _program_plan(self, placed: Placed, environment: dict[str, str]) -> ChildPlan:
        program, settings = placed.program, self._settings
        own = placed.environment()
        if settings.log_file:  # one file each: two processes cannot rotate one file
            own["LOG_FILE"] = str(settings.log_file.with_suffix(f".{placed.name}{settings.log_file.suffix}"))
        probe = program.is_ready
        return ChildPlan(
            name=placed.name,
            # -P: a folder named like a package in the working folder must not shadow it.
            command=lambda: [sys.executable, "-P", "-m", program.module],
            environment=environment | own,
            is_ready=(lambda: probe(settings)) if probe else None,
            is_server=program.is_server,
        )

    async def _stop_all(self) -> None:
        """Programs together, then the servers one by one, the first one last."""
        self._stopping.set()
        if self._started:
            self._console.event("info", "stopping")
        deadline = self._settings.shutdown_timeout_s + 1.0  # they kill themselves at theirs
        services = [child for child in self._started if not child.plan.is_server]
        await asyncio.gather(*(child.stop(deadline) for child in services))
        for child in reversed([child for child in self._started if child.plan.is_server]):
            await child.stop(deadline)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._started:
            self._console.event("info", "stopped")

    def _stop_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if not self._stop_asked:
            self._stop_asked = now
            self._stopping.set()
        elif now - self._stop_asked > _SAME_KEY_PRESS_S:
            self._console.event("warning", "forced", signal=signal.Signals(number).name)
            for child in self._started:
                child.kill()

    async def _watch_guard(self) -> None:
        while True:
            await asyncio.sleep(_GUARD_CHECK_S)
            self._guard.check()

    def _places(self, silent: tuple[str, ...]) -> Places:
        settings = self._settings
        return Places(
            http=f"http://{reachable(settings.host)}:{settings.port}",
            nats_url=self._servers.nats_url,
            postgres=self._servers.postgres_shown(),
            psql=self._servers.psql_shown(),
            data_folder=settings.source_folder,
            feed="bundled simulator (FEED=sim)" if settings.feed == "sim" else f"Binance ({settings.venue})",
            took_s=time.monotonic() - self._began,
            silent=silent,
        )

    async def _watch_disk(self) -> None:
        """Say so when the stream store's disk is full, and start NATS again when there is room.

        After a write that failed nats-server writes no more to that stream until it is started anew;
        what was published meanwhile is sent again, or had again from the venue.
        """
        nats, watch = self._servers.nats, DiskWatch()
        while nats is not None:
            await asyncio.sleep(_DISK_CHECK_S)
            try:
                free = shutil.disk_usage(nats.folder).free
            except OSError:
                continue  # not there before the first start
            if not watch.look(free):
                continue
            if watch.is_full:
                need = f"make room: {FULL_BELOW_BYTES >> 20} MiB must be free, or nothing is stored"
                self._console.event(
                    "error", "disk_full", folder=str(nats.folder), free_mib=free >> 20, needed=need
                )
                continue
            self._console.event(
                "warning", "disk_has_room_again", free_mib=free >> 20, then="nats starts anew"
            )
            for child in self._started:
                if child.name == EmbeddedNats.name:
                    child.restart()
