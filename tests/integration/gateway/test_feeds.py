"""What owners want is kept in a bucket that does not silt up."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tapestream.common.bus.buckets import read_bucket
from tapestream.common.contracts.streams import BUCKET_FEEDS
from tests.integration.gateway.feeder import Feeder
from tests.integration.gateway.running import Listener, RunningGateway

pytestmark = pytest.mark.integration


async def test_reading_leaves_no_consumers_behind(gateway: RunningGateway, feeder: Feeder) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for _ in range(30):
            (await client.get("/api/v1/stream/status")).raise_for_status()
    bus = feeder.bus
    state = await bus.js.stream_info(f"KV_{bus.subjects.stream(BUCKET_FEEDS)}")
    assert state.state.consumer_count <= 1, "one may be about to be deleted"


async def test_an_owner_who_wants_nothing_is_forgotten(gateway: RunningGateway, feeder: Feeder) -> None:
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        for owner in ("desk-1", "desk-2"):
            body = {"symbols": ["BTCUSDT"], "owner": owner}
            (await client.post("/api/v1/stream/start", json=body)).raise_for_status()
        assert {"desk-1", "desk-2"} <= set(await read_bucket(feeder.bus, BUCKET_FEEDS))
        (await client.post("/api/v1/stream/stop", json={"owner": "desk-1"})).raise_for_status()
        held = set(await read_bucket(feeder.bus, BUCKET_FEEDS))
        assert "desk-1" not in held
        assert "desk-2" in held
        (await client.post("/api/v1/stream/stop", json={"owner": "desk-2"})).raise_for_status()


async def test_resuming_a_symbol_that_nobody_has_traded_goes_live_at_once(
    gateway: RunningGateway, feeder: Feeder
) -> None:
    feeder.trades("ETHUSDT", 5)
    listener = await Listener.open(gateway.ws_url)
    bus = feeder.bus
    await listener.say(action="subscribe", channels=["trades:SOLUSDT"], since={"trades": 0})
    before = (await bus.js.account_info()).api.total
    for _ in range(20):  # others trade on meanwhile, which must not keep it searching
        feeder.trades("ETHUSDT", 1)
        await asyncio.sleep(0.05)
    asked = (await bus.js.account_info()).api.total - before
    assert asked < 60, f"{asked} requests for a symbol that has nothing"
    feeder.trades("SOLUSDT", 3)
    frames = await listener.collect("trade", 3)
    assert {frame["symbol"] for frame in frames} == {"SOLUSDT"}
    await listener.close()
