"""Real servers for the alerts' tests, and a system of its own for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.embedded.postgres import FAST
from tests.integration.alerts.rig import Rig


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), store_bytes=32 << 30) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), options=FAST) as server:
        yield server


@pytest.fixture
async def rig(nats: EmbeddedNats, postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Rig]:
    made = await Rig.make(nats, postgres, tmp_path)
    yield made
    await made.close()
