"""Starts a simulator as a process of its own and waits until it serves; for tests and benchmarks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tapestream.common.errors import TapestreamError

_ADDRESS = re.compile(r"http://([^\s]+):(\d+)")


class SimulatorFailedError(TapestreamError):
    """The process ended before it served; the text is what it said."""


class BinanceSimulatorProcess:
    """``with BinanceSimulatorProcess(SIM_RATE="5") as simulator: simulator.ws_url``.

    Settings are given as environment variables; the port is a free one unless BINANCE_SIM_PORT is given.
    """

    def __init__(self, **settings: str) -> None:
        own = ("BINANCE_SIM_", "SIM_")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(own) and name not in {"TAPE", "SPEED", "LOOP"}
        }
        self._environment = {**inherited, "BINANCE_SIM_PORT": "0", **settings}
        self.host, self.port = "127.0.0.1", 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start and wait for the line with the address. Raises SimulatorFailedError."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tapestream.simulators.binance"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = self.process.stdout
        said = ""
        while output is not None and (line := output.readline()):
            if found := _ADDRESS.search(line):
                self.host, self.port = found[1], int(found[2])
                self._wait_until_served()
                return self
            said += line
        self.stop()
        raise SimulatorFailedError(said.strip())

    def _wait_until_served(self) -> None:
        deadline = time.monotonic() + 15
        while True:
            try:
                self.get("/control/status")
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self) -> int:
        """SIGTERM, then SIGKILL after five seconds. Returns the exit status."""
        process = self.process
        if process is None:
            return 0
        process.terminate()
        try:
            status = process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self.process = None
        return status

    def kill(self) -> None:
        """SIGKILL: as if the machine had gone."""
        if self.process is not None:
            self.process.kill()
            self.stop()

    @property
    def rest_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    def get(self, path: str, **headers: str) -> Any:
        """The JSON answer to a GET. Raises urllib.error.HTTPError for anything but success."""
        return self._answer(urllib.request.Request(self.rest_url + path, headers=headers))  # noqa: S310

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer to a POST of JSON."""
        data = json.dumps(body or {}).encode()
        request = urllib.request.Request(  # noqa: S310
            self.rest_url + path, data, {"Content-Type": "application/json"}, method="POST"
        )
        return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.load(answer)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
