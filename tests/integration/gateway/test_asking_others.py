"""What the gateway has other programs do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import (
    BackfillReply,
    BackfillRequest,
    CleanReply,
    CleanRequest,
    decoder,
    encode,
)
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.supervisor.embedded import EmbeddedNats
from tests.integration.gateway.feeder import START_NS, VENUE
from tests.integration.gateway.running import RunningGateway

pytestmark = pytest.mark.integration
HOUR_NS = 3_600_000_000_000


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        yield client


async def test_backfill_asks_ingest(
    client: httpx.AsyncClient, nats: EmbeddedNats, prefix: str, symbol: str
) -> None:
    bus = await Bus.connect(nats.url, "ingest", Subjects(prefix))
    asked: list[BackfillRequest] = []

    async def answer(message) -> None:
        asked.append(decoder(BackfillRequest).decode(message.data))
        assert message.headers["traceparent"].startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
        await message.respond(encode(BackfillReply(published=60)))

    subscription = await bus.nc.subscribe(bus.subjects.rpc("ingest", "backfill"), cb=answer)
    await bus.nc.flush()
    body = {"symbol": symbol, "tf": "1m", "start": "2024-05-01T10:00Z", "end": "2024-05-01T11:00Z"}
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}

    done = (await client.post("/database/backfill", json=body, headers=trace)).json()

    assert done["published"] == 60
    assert asked[0].symbol == f"{symbol}@{VENUE}"
    assert asked[0].end_ns - asked[0].start_ns == HOUR_NS
    await subscription.unsubscribe()
    await bus.close()


async def test_cleanup_is_the_recorders_work(
    client: httpx.AsyncClient, nats: EmbeddedNats, prefix: str
) -> None:
    alone = await client.post("/database/cleanup?days=3")
    assert alone.status_code == 503
    assert "recorder" in alone.json()["detail"]

    bus = await Bus.connect(nats.url, "recorder", Subjects(prefix))
    replies = iter(
        [CleanReply(deleted={"trades": 50}, dropped_partitions=["trades_20240501"]), CleanReply(error="x")]
    )
    asked: list[CleanRequest] = []

    async def answer(message) -> None:
        asked.append(decoder(CleanRequest).decode(message.data))
        await message.respond(encode(next(replies)))

    await bus.nc.subscribe(bus.subjects.rpc("recorder", "clean"), cb=answer)
    await bus.nc.flush()
    done = (await client.post("/database/cleanup", json={"older_than": "2024-05-01T10:00:00Z"})).json()
    assert done == {
        "status": "ok",
        "older_than": "2024-05-01T10:00:00.000Z",
        "deleted": {"trades": 50},
        "dropped_partitions": ["trades_20240501"],
    }
    assert asked == [CleanRequest(older_than_ns=START_NS)]
    refused = await client.post("/database/cleanup?days=3")
    assert (refused.status_code, refused.json()["detail"]) == (503, "not everything could be deleted now: x")
    await bus.close()
