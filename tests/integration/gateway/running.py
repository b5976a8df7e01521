"""A gateway as a real process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import httpx
import websockets

from tapestream.common.supervisor.ports import free_port


class RunningGateway:
    """``python -m tapestream.gateway`` on a port of its own."""

    def __init__(self, folder: Path, port: int | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/ws"
        self.log = folder / f"gateway-{self.port}-{id(self)}.log"
        self._environment = {"PORT": str(self.port), "HOST": "127.0.0.1", **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = folder

    def spawn(self) -> Self:
        keep = {
            key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "PYTHONPATH")
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tapestream.gateway"],
                env=keep | self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        return self

    async def start(self, path: str = "/health/live", status: int = 204, within_s: float = 15) -> Self:
        self.spawn()
        await self.until(path, status, within_s)
        return self

    async def until(self, path: str, status: int, within_s: float = 15) -> httpx.Response:
        """The first answer with this status. Fails with the last one, or with the log."""
        last: object = None
        deadline = time.monotonic() + within_s
        async with httpx.AsyncClient(base_url=self.url) as client:
            while time.monotonic() < deadline:
                if not self.is_running:
                    break
                try:
                    answer = await client.get(path)
                except httpx.HTTPError as error:
                    last = error
                else:
                    if answer.status_code == status:
                        return answer
                    last = answer.text
                await asyncio.sleep(0.02)
        raise AssertionError(f"{path} never answered {status}: {last}\n{self.log.read_text()[-3000:]}")

    async def memory_ready(self, within_s: float = 15) -> Self:
        await eventually(self._is_memory_ready, within_s)
        return self

    async def _is_memory_ready(self) -> bool:
        async with httpx.AsyncClient(base_url=self.url) as client:
            return (await client.get("/health")).json()["components"]["memory"] == "ok"

    async def metrics(self) -> str:
        async with httpx.AsyncClient(base_url=self.url) as client:
            return (await client.get("/metrics")).text

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, within_s: float = 15) -> int:
        """SIGTERM; returns the exit code."""
        if self._process is None:
            return 0
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait(self, within_s: float) -> int:
        assert self._process is not None
        return self._process.wait(within_s)


class Listener:
    """A WebSocket client that speaks in frames."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, url: str, **options: Any) -> Self:
        socket = await websockets.connect(url, compression=None, max_size=None, close_timeout=1, **options)
        listener = cls(socket)
        await listener.until("connected")
        return listener

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def subscribe(self, **message: Any) -> dict[str, Any]:
        await self.say(action="subscribe", **message)
        return await self.until("subscription")

    async def next(self, within_s: float = 5) -> dict[str, Any]:
        raw = await asyncio.wait_for(self.socket.recv(), within_s)
        frame = json.loads(raw)
        self.frames.append(frame)
        return frame

    async def until(self, frame_type: str, within_s: float = 5) -> dict[str, Any]:
        """The next frame of a type."""
        deadline = time.monotonic() + within_s
        while True:
            frame = await self.next(max(0.01, deadline - time.monotonic()))
            if frame["type"] == frame_type:
                return frame

    async def collect(self, frame_type: str, count: int, within_s: float = 10) -> list[dict[str, Any]]:
        """The next ``count`` frames of a type."""
        deadline = time.monotonic() + within_s
        return [await self.until(frame_type, max(0.01, deadline - time.monotonic())) for _ in range(count)]

    async def close(self) -> None:
        await self.socket.close()


async def eventually(check: Callable[[], Awaitable[Any]], within_s: float = 5) -> Any:
    """The first true answer of a check; errors count as false until the deadline."""
    deadline = time.monotonic() + within_s
    error: Exception | None = None
    while time.monotonic() < deadline:
        try:
            found = await check()
        except (AssertionError, httpx.HTTPError, OSError, KeyError) as caught:
            error = caught
        else:
            if found:
                return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within_s} s") from error
