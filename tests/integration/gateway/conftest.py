"""Real servers for the gateway's tests: one of each for all, a system of its own for every test."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest

from tapestream.common.db.migrate import migrate
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.embedded.postgres import FAST
from tests.integration.gateway.feeder import SYMBOLS, Feeder
from tests.integration.gateway.running import RunningGateway

_prefixes = (f"t{n}{secrets.token_hex(2)}" for n in itertools.count())


class MakeGateway(Protocol):
    def __call__(
        self, port: int | None = None, *, database: bool = False, **environment: str
    ) -> RunningGateway: ...


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


@pytest.fixture(scope="module")
def prefix() -> str:
    """Moves each module's subjects, streams and buckets beside the others'."""
    return next(_prefixes)


@pytest.fixture(scope="module")
def symbols(nats: EmbeddedNats, prefix: str) -> Iterator[str]:
    """Listed symbols besides the majors, each for one test to have alone."""
    names = tuple(f"T{n}USDT" for n in range(100))

    async def listed() -> None:
        feeder = await Feeder.connect(nats.url, prefix)
        await feeder.list_instruments((*SYMBOLS, *names))
        await feeder.close()

    asyncio.run(listed())
    return iter(names)


@pytest.fixture
def symbol(symbols: Iterator[str]) -> str:
    """A symbol that no other test uses."""
    return next(symbols)


@pytest.fixture
async def feeder(nats: EmbeddedNats, prefix: str, symbols: Iterator[str]) -> AsyncIterator[Feeder]:
    feeder = await Feeder.connect(nats.url, prefix)
    yield feeder
    await feeder.close()


@pytest.fixture(scope="module")
def module_gateways(
    nats: EmbeddedNats,
    prefix: str,
    symbols: Iterator[str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[MakeGateway]:
    """Makes gateways of this module's system; they are stopped at its end."""
    made: list[RunningGateway] = []
    folder = tmp_path_factory.mktemp("gateways")

    def make(port: int | None = None, *, database: bool = False, **environment: str) -> RunningGateway:
        settings = {"NATS_URL": nats.url, "SUBJECT_PREFIX": prefix, "STREAM_STORE_BYTES": str(256 << 20)}
        if database:
            settings["DATABASE_URL"] = request.getfixturevalue("postgres").url
        made.append(RunningGateway(folder, port, **{**settings, **environment}))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture
def make_gateway(module_gateways: MakeGateway) -> Iterator[MakeGateway]:
    """Makes gateways for one test."""
    made: list[RunningGateway] = []

    def make(port: int | None = None, *, database: bool = False, **environment: str) -> RunningGateway:
        made.append(module_gateways(port, database=database, **environment))
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def gateway(module_gateways: MakeGateway) -> RunningGateway:
    """One gateway without a database for a whole module."""
    gateway = module_gateways()
    asyncio.run(_start(gateway))
    return gateway


async def _start(gateway: RunningGateway) -> None:
    await (await gateway.start()).memory_ready()
