"""A real supervisor on free ports, in a folder of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tapestream.common.supervisor import guardian
from tapestream.common.supervisor.ports import can_bind, free_port

DUMMY = Path(__file__).with_name("dummy")
DEADLINE_S = 30.0


def wait_for(what: str, condition: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """Poll until ``condition`` gives something true; fail with ``what`` when it does not in time."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {what}")
        time.sleep(0.02)
    return found


def free_range(count: int) -> int:
    """First of ``count`` free ports in a row."""
    while True:
        first = free_port()
        if all(can_bind("127.0.0.1", first + n) for n in range(count)):
            return first


class Run:
    """One run of the supervisor with the dummy programs."""

    def __init__(self, environment: dict[str, str], cwd: Path) -> None:
        self.lines: list[str] = []
        self.hangs_up = False
        self.process = subprocess.Popen(
            [sys.executable, str(DUMMY / "run.py")],
            env=os.environ | environment | {"PYTHONPATH": str(DUMMY)},
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))
                if self.hangs_up:
                    return

    def events(self, name: str, program: str = "") -> list[dict[str, Any]]:
        """Log events of one name, of one program or of all."""
        found: list[dict[str, Any]] = []
        for line in list(self.lines):
            prefix, _, text = line.partition(" | ")
            if text.startswith("{") and prefix.strip().startswith(program):
                event = json.loads(text)
                if event["event"] == name:
                    found.append(event)
        return found

    def wait_up(self) -> list[dict[str, Any]]:
        """Wait until the banner is out and all three dummies have said that they are up."""
        wait_for(
            "three dummies up, and the banner",
            lambda: len(self.events("up")) >= 3 and any("is up after" in line for line in list(self.lines)),
        )
        return self.events("up")

    def family(self) -> dict[int, str]:
        """Every process below the supervisor, with its birth."""
        return {pid: guardian.birth(pid) for pid in guardian.descendants(self.process.pid)}

    def wait_exit(self, within_s: float = DEADLINE_S) -> int:
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code


def living(family: dict[int, str]) -> list[int]:
    return [pid for pid, born in family.items() if guardian.birth(pid) == born]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    first = free_range(4)
    return {
        "DATA_DIR": str(tmp_path / "data"),
        "NATS_PORT": str(free_port()),
        "POSTGRES_PORT": str(free_port()),
        "METRICS_BASE_PORT": str(first),
        "SHUTDOWN_TIMEOUT_S": "5",
        "NATS_URL": "",
        "DATABASE_URL": "",
        "FEED": "sim",
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(**more: str) -> Run:
        runs.append(Run(environment | more, tmp_path))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
        run.wait_exit()
