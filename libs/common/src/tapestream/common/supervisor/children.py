"""One child process: started, watched, restarted, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tapestream.common.backoff import full_jitter
from tapestream.common.errors import TapestreamError
from tapestream.common.supervisor import guardian
from tapestream.common.supervisor.console import Console
from tapestream.common.supervisor.guard import Guard
from tapestream.common.supervisor.output import read_lines
from tapestream.common.supervisor.spawn import SAME, Identity, launch_command

EX_CONFIG = 78
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 15.0
"""Before a child that dies again and again is started anew."""
HEALTHY_S = 20.0
"""A child that ran this long starts again at the shortest delay."""
FIRST_TRIES = 3
"""How often a server may die before it answered for the first time."""
_PROBE_EVERY_S = 0.05


class ChildRefusedError(TapestreamError):
    """A child cannot start; restarting it is of no use."""

    def __init__(self, name: str, code: int, last_words: str) -> None:
        self.name, self.code = name, code
        own = last_words.removeprefix(f"{name}: ")
        super().__init__(f"{name}: {own or describe_exit(code)}")


@dataclass(frozen=True)
class ChildPlan:
    """How to run a child."""

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to our own."""
    before_start: Callable[[], None] = lambda: None
    is_ready: Callable[[], bool] | None = None
    ready_within_s: float = 30.0
    is_server: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor is killed. Programs are made to survive SIGKILL; servers
    rather stop cleanly, and the guardian sees to it that they do stop."""
    identity: Callable[[], Identity] = lambda: SAME
    work_folder: Path | None = None


class Child:
    """Runs one plan until it is stopped. ``run`` must be called from the main thread's loop."""

    def __init__(self, plan: ChildPlan, guard: Guard, console: Console) -> None:
        self.plan = plan
        self._guard = guard
        self._console = console
        self._process: subprocess.Popen[bytes] | None = None
        self._gone: asyncio.Event = asyncio.Event()
        self._stop = asyncio.Event()
        self._was_up = False
        self._last: deque[str] = deque(maxlen=5)
        self.restarts = 0

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Start it again and again. Raises ChildRefusedError when it cannot start at all."""
        delays = full_jitter(FIRST_DELAY_S, LONGEST_DELAY_S)
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                code = await self._run_once()
            except (OSError, TapestreamError) as error:
                if not self._was_up:
                    raise
                self._console.event("error", "start_failed", program=self.name, error=str(error))
                code = EX_CONFIG
            if self._stop.is_set():
                return
            ran_s = time.monotonic() - started
            self._was_up = self._was_up or (self.plan.is_ready is None and ran_s > HEALTHY_S)
            self.restarts += 1
            if not self._was_up and (
                code == EX_CONFIG or (self.plan.is_server and self.restarts >= FIRST_TRIES)
            ):
                raise ChildRefusedError(self.name, code, self._last_words())
            if ran_s > HEALTHY_S:
                delays = full_jitter(FIRST_DELAY_S, LONGEST_DELAY_S)
            delay = next(delays)
            self._console.event(
                "warning",
                "child_died",
                program=self.name,
                exit=describe_exit(code),
                ran_s=round(ran_s, 1),
                restart_in_s=round(delay, 2),
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stop.wait()

    async def wait_ready(self) -> bool:
        """Wait until it answers; False when it does not within its time."""
        if self.plan.is_ready is None:
            return True
        deadline = time.monotonic() + self.plan.ready_within_s
        while time.monotonic() < deadline and not self._stop.is_set():
            if self._process is not None and await asyncio.to_thread(self.plan.is_ready):
                self._was_up = True
                return True
            await asyncio.sleep(_PROBE_EVERY_S)
        return False

    def restart(self) -> None:
        """Ask it to stop; it is started again as one that died."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(self.plan.stop_signal)

    async def stop(self, within_s: float) -> None:
        """Ask it to stop and wait; kill it and all its processes when the time is over."""
        self._stop.set()
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(self.plan.stop_signal)
        try:
            async with asyncio.timeout(within_s):
                await self._gone.wait()
        except TimeoutError:
            self._console.event("warning", "killed_after_deadline", program=self.name, seconds=within_s)
            self.kill()
            await self._gone.wait()

    def kill(self) -> None:
        """SIGKILL, now, for it and all its processes."""
        self._stop.set()
        if self._process is None:
            return
        family = guardian.descendants(self._process.pid)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pid in family:
            guardian.kill(pid)

    async def _run_once(self) -> int:
        plan = self.plan
        plan.before_start()
        read_fd, write_fd = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: ASYNC220 - asyncio's own waits for the pipe too, not just the exit
                launch_command(plan.command(), death_signal=plan.death_signal, identity=plan.identity()),
                stdin=subprocess.DEVNULL,
                stdout=write_fd,
                stderr=write_fd,
                env={**os.environ, **plan.environment},
                start_new_session=True,  # the terminal's Ctrl-C is for us alone
            )
        finally:
            os.close(write_fd)
        self._guard.add(process.pid, plan.death_signal, plan.work_folder)
        self._gone.clear()
        self._process = process
        reading = asyncio.create_task(read_lines(read_fd, self._heard))
        try:
            return await _exit_of(process)
        finally:
            self._guard.remove(process.pid)
            # What it wrote last; a process that it left behind elsewhere may hold the pipe open.
            await asyncio.wait([reading], timeout=0.5)
            reading.cancel()
            self._process = None
            self._gone.set()

    def _heard(self, text: str) -> None:
        if text.strip():
            self._last.append(text)
        self._console.line(self.name, text)

    def _last_words(self) -> str:
        """Its last line that is not JSON: programs say so why they cannot start."""
        for text in reversed(self._last):
            if not text.startswith("{"):
                return text
        return self._last[-1] if self._last else ""


async def _exit_of(process: subprocess.Popen[bytes]) -> int:
    """Exit code, once the process and its whole group are gone; minus the number for a signal."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not done.done():
            done.set_result(code)

    def wait() -> None:
        # Not reaped yet, so that its id still names its group and nobody else's.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        with suppress(RuntimeError):  # the loop is closed: we are leaving
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    return await done


def describe_exit(code: int) -> str:
    """``exit code 3`` or ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
