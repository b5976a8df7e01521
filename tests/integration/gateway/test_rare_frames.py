"""What a client hears of holes, of trades that come late, and of a service that falls silent."""

from __future__ import annotations

import time

import httpx
import pytest

from tapestream.common.contracts.messages import Gap, GapReason, encode
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import START_NS, VENUE, Feeder, price_of
from tests.integration.gateway.running import Listener, RunningGateway, eventually

pytestmark = pytest.mark.integration


async def test_a_gap_is_told_once(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"gaps:{symbol}"])
    for _ in range(2):
        _gap(feeder, symbol, 11, 15, GapReason.LOST)
    _gap(feeder, symbol, 11, 15, GapReason.FILLED)

    lost, filled = await listener.collect("gap", 2)
    assert lost.pop("seq") < filled.pop("seq")
    assert lost == {
        "type": "gap",
        "symbol": symbol,
        "from_id": 11,
        "to_id": 15,
        "from_ts": "2024-05-01T10:00:00.000Z",
        "to_ts": None,
        "reason": "lost",
    }
    assert filled == lost | {"reason": "filled"}
    await listener.close()


async def test_late_trades_are_told_apart(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"trades:{symbol}"])
    feeder.trades(symbol, 10)
    feeder.trades(symbol, 10, lost=5)
    before = await listener.collect("trade", 20)
    assert [frame["id"] for frame in before] == [*range(1, 11), *range(16, 26)]

    for _ in range(2):  # what is known is not said again
        feeder.late_trades(symbol, range(12, 14))
    late = await listener.collect("late_trade", 2)
    assert [(frame["id"], frame["price"]) for frame in late] == [(12, price_of(12)), (13, price_of(13))]
    feeder.trades(symbol)
    await feeder.drained()
    assert (await listener.until("trade"))["id"] == 26
    assert [frame["id"] for frame in listener.frames if frame["type"] == "late_trade"] == [12, 13]
    await listener.close()


async def test_conflation_keeps_the_newest_state_of_each_bar(
    gateway: RunningGateway, feeder: Feeder, symbol: str
) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"bars:1m:{symbol}"], interval_ms=200)
    running = START_NS + 60_000_000_000
    feeder.bar(symbol, START_NS, 100.0)
    for trades in range(1, 50):
        feeder.bar(symbol, running, 100.0 + trades, complete=False, trades=trades)
    feeder.bar(symbol, START_NS, 99.0, rev=1)  # must not hide the running one

    newest: dict[str, float] = {}
    count = 0
    while list(newest.values()) != [99.0, 149.0]:
        frame = await listener.next()
        for one in frame.get("items", [frame]):
            if one["type"] == "bar":
                newest[one["ts"]] = one["close"]
                newest = dict(sorted(newest.items()))
                count += 1
    assert count < 51
    await listener.close()


async def test_a_service_that_falls_silent_is_missed(make_gateway: MakeGateway, feeder: Feeder) -> None:
    gateway = await (await make_gateway(database=True, REQUIRED_SERVICES="ingest").start()).memory_ready()
    await feeder.beat("ingest", ready=False)
    not_ready = await gateway.until("/health/ready", 503)

    async def is_heard() -> bool:
        nonlocal not_ready
        not_ready = await gateway.until("/health/ready", 503)
        return not_ready.json()["components"]["ingest"] == "not ready (venue: not connected)"

    await eventually(is_heard)
    await feeder.beat("ingest")
    await gateway.until("/health/ready", 200)

    silent = await gateway.until("/health/ready", 503)
    assert silent.json()["components"]["ingest"].startswith("no heartbeat for")
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        (seen,) = [
            one
            for one in (await client.get("/health/services")).json()["services"]
            if one["service"] == "ingest"
        ]
        assert (seen["status"], seen["ready"]) == ("unhealthy", False)
        assert (await client.get("/health")).json()["status"] == "degraded"
    await feeder.beat("ingest")
    await gateway.until("/health/ready", 200)


def _gap(feeder: Feeder, symbol: str, from_id: int, to_id: int, reason: GapReason) -> None:
    gap = Gap(
        venue=VENUE,
        symbol=symbol,
        from_id=from_id,
        to_id=to_id,
        from_ts_ns=START_NS,
        to_ts_ns=0,
        reason=reason,
        detected_ns=time.time_ns(),
    )
    feeder.bars.put(feeder.subjects.gap(VENUE, symbol), gap.detected_ns, encode(gap))
