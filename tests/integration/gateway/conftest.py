"""Real servers for the gateway's tests: one of each for all, a system of its own for every test."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tapestream.common.db.migrate import migrate
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.embedded.postgres import FAST
from tests.integration.gateway.feeder import Feeder
from tests.integration.gateway.running import RunningGateway

_prefixes = (f"t{n}{secrets.token_hex(2)}" for n in itertools.count())


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    # many systems side by side share this store: each takes its part of a small one
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), store_bytes=32 << 30) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options=FAST) as server:
        migrate(server.url)
        yield server


@pytest.fixture
def prefix() -> str:
    """Moves each test's subjects, streams and buckets beside the others'."""
    return next(_prefixes)


@pytest.fixture
async def feeder(nats: EmbeddedNats, prefix: str) -> AsyncIterator[Feeder]:
    feeder = await Feeder.connect(nats.url, prefix)
    await feeder.list_instruments()
    yield feeder
    await feeder.close()


@pytest.fixture
def make_gateway(
    nats: EmbeddedNats, prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., RunningGateway]]:
    """Makes gateways of this test's system; they are stopped at its end."""
    made: list[RunningGateway] = []

    def make(port: int | None = None, *, database: bool = False, **environment: str) -> RunningGateway:
        settings = {"NATS_URL": nats.url, "SUBJECT_PREFIX": prefix, "STREAM_STORE_BYTES": str(256 << 20)}
        if database:
            settings["DATABASE_URL"] = request.getfixturevalue("postgres").url
        made.append(RunningGateway(tmp_path, port, **{**settings, **environment}))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture
async def gateway(make_gateway: Callable[..., RunningGateway], feeder: Feeder) -> RunningGateway:
    """A gateway without a database that has read the streams."""
    return await (await make_gateway().start()).memory_ready()
