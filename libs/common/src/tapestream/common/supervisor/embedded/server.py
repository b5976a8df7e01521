"""What every embedded server can do.

The supervisor uses ``prepare``, ``command`` and ``is_ready`` and runs the process itself; tests use
``start``, ``stop`` and ``kill``, which block.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from tapestream.common.errors import TapestreamError
from tapestream.common.supervisor import guardian
from tapestream.common.supervisor.guard import process_guard
from tapestream.common.supervisor.ports import free_port
from tapestream.common.supervisor.spawn import SAME, Identity, launch_command

_STEP_S = 0.02


class ServerStartError(TapestreamError):
    """An embedded server died or stayed silent while it started."""


class EmbeddedServer(ABC):
    """A server of our own, in a folder of its own, on a loopback port of its own."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    ready_within_s: ClassVar[float]

    def __init__(self, folder: Path, port: int | None = None) -> None:
        """``folder`` keeps its data; without a port a free one is taken."""
        self.folder = folder.expanduser().absolute()
        self.port = port or free_port()
        self.host = "127.0.0.1"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_file(self) -> Path:
        """Where ``start`` writes the server's output; under the supervisor it goes to the console."""
        return self.folder / "server.log"

    @property
    def identity(self) -> Identity:
        """As whom it runs."""
        return SAME

    @property
    def work_folder(self) -> Path | None:
        """A folder that only this server's processes have as working folder, if there is one."""
        return None

    @abstractmethod
    def prepare(self) -> None:
        """Make everything ready for a start: files, and remains of a start that was killed."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs it in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers now."""

    # for tests and tools
    @property
    def pid(self) -> int:
        """Process id. Raises ServerStartError when it was not started."""
        if self._process is None:
            raise ServerStartError(f"{self.name} was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, within_s: float | None = None) -> Self:
        """Start and wait until it answers. Raises ServerStartError with its last words."""
        self.prepare()
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                # No death signal: a test may start servers from a thread that ends soon.
                launch_command(self.command(), identity=self.identity),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process_guard().add(self._process.pid, self.stop_signal, self.work_folder)
        deadline = time.monotonic() + (within_s or self.ready_within_s)
        while not self.is_ready():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise ServerStartError(f"{self.name} did not start: {self._last_words()}")
            time.sleep(_STEP_S)
        return self

    def stop(self, within_s: float = 10.0) -> None:
        """Stop it cleanly; kill it when it takes too long."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.send_signal(self.stop_signal)
            self._process.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, with all its processes, as a power cut would."""
        if self._process is None:
            return
        family = guardian.descendants(self._process.pid)
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pid in family:
            guardian.kill(pid)
        process_guard().remove(self._process.pid)
        self._process = None

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self.log_file.read_text(errors="replace").splitlines()
            return " / ".join(lines[-3:])
        return "it said nothing"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
