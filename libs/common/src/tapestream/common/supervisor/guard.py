"""The supervisor's end of the guardian's pipe."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

_GUARDIAN = Path(__file__).with_name("guardian.py")


class Guard:
    """Keeps a guardian process told of everything that must not outlive this process."""

    def __init__(self, keep_open: tuple[int, ...] = ()) -> None:
        """``keep_open``: file descriptors that the guardian inherits, such as a lock."""
        self._keep_open = keep_open
        self._lines: dict[int, str] = {}
        self._lock = threading.Lock()
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARDIAN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._keep_open,
            cwd="/",
        )

    def add(self, pid: int, polite: int, folder: Path | None = None) -> None:
        """Look after a process: stop it with ``polite`` first; users of ``folder`` belong to it."""
        line = f"+ {pid} {int(polite)} {folder or '-'}\n"
        with self._lock:
            self._lines[pid] = line
            self._send(line)

    def remove(self, pid: int) -> None:
        with self._lock:
            if self._lines.pop(pid, None):
                self._send(f"- {pid}\n")

    def check(self) -> None:
        """Start the guardian again if somebody killed it."""
        with self._lock:
            if self._process.poll() is not None:
                self._revive()

    def close(self) -> None:
        """Let the guardian end what is still registered; returns when it has."""
        pipe = self._process.stdin
        if pipe and not pipe.closed:
            pipe.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            os.write(pipe.fileno(), line.encode())
        except BrokenPipeError:
            self._revive()

    def _revive(self) -> None:
        self._process.wait()
        self._process = self._start()
        pipe = self._process.stdin
        assert pipe is not None
        os.write(pipe.fileno(), "".join(self._lines.values()).encode())


@cache
def process_guard() -> Guard:
    """One guard for whatever this process starts by hand, such as a test session's servers."""
    guard = Guard()
    atexit.register(guard.close)
    return guard
