"""A real nats-server, with a prefix of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.provision import provision
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.supervisor.embedded import EmbeddedNats


class Connect(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[Bus]: ...


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), store_bytes=4 << 30) as server:
        yield server


@pytest.fixture
def connect(server: EmbeddedNats) -> Connect:
    subjects = Subjects(f"t{secrets.token_hex(4)}")

    @asynccontextmanager
    async def connected() -> AsyncIterator[Bus]:
        bus = await Bus.connect(server.url, "test", subjects)
        await provision(bus, 64 << 20)
        try:
            yield bus
        finally:
            await bus.close()

    return connected
