"""A simulator process, and clients that poll with deadlines."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tapestream.simulators.binance import generate
from tapestream.simulators.process import BinanceSimulatorProcess

DEADLINE_S = 10.0


class Client:
    """A WebSocket client that reads JSON."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, message: Any) -> None:
        await self.socket.send(message if isinstance(message, str) else json.dumps(message))

    async def raw(self, deadline_s: float = DEADLINE_S) -> str | bytes:
        async with asyncio.timeout(deadline_s):
            return await self.socket.recv()

    async def hear(self, deadline_s: float = DEADLINE_S) -> Any:
        return json.loads(await self.raw(deadline_s))

    async def until(self, wanted: Callable[[Any], bool], deadline_s: float = DEADLINE_S) -> list[Any]:
        """Messages up to the first that is wanted."""
        heard: list[Any] = []
        async with asyncio.timeout(deadline_s):
            while True:
                heard.append(json.loads(await self.socket.recv()))
                if wanted(heard[-1]):
                    return heard

    async def until_closed(self, deadline_s: float = DEADLINE_S) -> int | None:
        """Read to the end of the connection. The code it was closed with, None where it was cut."""
        async with asyncio.timeout(deadline_s):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None

    async def take(self, count: int) -> list[Any]:
        return [await self.hear() for _ in range(count)]


@asynccontextmanager
async def client(simulator: BinanceSimulatorProcess, path: str, **options: Any) -> AsyncIterator[Client]:
    async with connect(simulator.ws_url + path, compression=None, max_queue=None, **options) as socket:
        yield Client(socket)


async def wait_until(state: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll for a state."""
    deadline = time.monotonic() + deadline_s
    while not await asyncio.to_thread(state):
        assert time.monotonic() < deadline, "the state was not reached in time"
        await asyncio.sleep(0.02)


def values(ranges: list[list[int]]) -> list[int]:
    return [value for first, last in ranges for value in range(first, last + 1)]


@pytest.fixture(scope="module")
def seeded() -> Iterator[BinanceSimulatorProcess]:
    """A lively seeded market."""
    with BinanceSimulatorProcess(SIM_RATE="10", BINANCE_SIM_WEIGHT_LIMIT="1000000") as simulator:
        yield simulator


@pytest.fixture(scope="session")
def tape_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of two symbols."""
    path = tmp_path_factory.mktemp("tape") / "tape.jsonl.gz"
    arguments = ["--symbols", "BTCUSDT,ETHUSDT", "--minutes", "2", "--start", "2026-01-05T00:00:00Z"]
    assert generate.main([*arguments, "--out", str(path)]) == 0
    return path
