"""What is asked while NATS is away: an answer has no hole, or there is none."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import Feeder
from tests.integration.gateway.recorded import Recorded
from tests.integration.gateway.running import eventually

pytestmark = pytest.mark.integration
SYMBOL = "BTCUSDT"


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[EmbeddedNats]:
    """A server that a test may kill."""
    with EmbeddedNats(tmp_path / "nats") as server:
        yield server


async def test_the_recorders_backlog_is_never_left_out_silently(
    make_gateway: MakeGateway, own_nats: EmbeddedNats, postgres: EmbeddedPostgres
) -> None:
    feeder = await Feeder.connect(own_nats.url)
    await feeder.list_instruments()
    gateway = make_gateway(database=True, TICK_BUFFER_SIZE="100", NATS_URL=own_nats.url, SUBJECT_PREFIX="")
    await (await gateway.start()).memory_ready()
    for _ in range(10):
        feeder.trades(SYMBOL, 50)
    await feeder.drained()
    recorded = Recorded(postgres.url)
    await recorded.clear()
    await recorded.trades(SYMBOL, range(1, 301))  # 301 to 400 are in the stream only
    async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as client:

        async def taken_in() -> bool:
            return (await client.get("/data/stats")).json()["symbols"][SYMBOL]["received"] == 500

        await eventually(taken_in)
        own_nats.kill()
        for path in (
            f"/data/{SYMBOL}/ticks?limit=500",
            f"/api/v1/database/ticks/{SYMBOL}?limit=150",
            f"/database/export?symbol={SYMBOL}",
            f"/export?symbol={SYMBOL}&kind=ticks&format=parquet",
        ):
            problem = await client.get(path)
            assert problem.status_code == 503, path
            assert problem.headers["content-type"] == "application/problem+json"
            assert "trades 301 to 400 of BTCUSDT@binance_usdm" in problem.json()["detail"]
        held = (await client.get(f"/data/{SYMBOL}/ticks?limit=50")).json()
        assert [tick["id"] for tick in held["items"]] == list(range(451, 501))

        own_nats.start()
        await gateway.until("/health/nats", 200)
        page = (await client.get(f"/data/{SYMBOL}/ticks?limit=500")).json()
        assert [tick["id"] for tick in page["items"]] == list(range(1, 501))
        text = (await client.get(f"/database/export?symbol={SYMBOL}")).text
        assert [int(row["id"]) for row in csv.DictReader(io.StringIO(text))] == list(range(1, 501))
    await feeder.close()
