"""Real servers for analytics: one pair for all tests, a database and a prefix for each."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tapestream.common.db.migrate import migrate
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.embedded.postgres import FAST
from tests.integration.analytics.rig import Rig


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), store_bytes=16 << 30) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options=FAST) as server:
        yield server


@pytest.fixture
async def rig(nats_server: EmbeddedNats, postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Rig]:
    """A system on the shared servers."""
    name = f"t{secrets.token_hex(4)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    url = f"{postgres.url.rpartition('/')[0]}/{name}"
    migrate(url)
    made = await Rig.make(nats_server.url, url, name, tmp_path)
    yield made
    await made.close()
