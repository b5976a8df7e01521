"""Memory and Postgres as one."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from tapestream.common.contracts.messages import (
    Bar,
    TradeKind,
)
from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.supervisor.embedded import EmbeddedPostgres
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import START_NS, VENUE, Feeder, price_of, qty_of
from tests.integration.gateway.recorded import Recorded
from tests.integration.gateway.running import RunningGateway, eventually

pytestmark = pytest.mark.integration
MINUTE_NS = 60_000_000_000


@pytest.fixture(scope="module")
def stored(module_gateways: MakeGateway) -> RunningGateway:
    """A gateway with a database and a short memory."""
    gateway = module_gateways(database=True, TICK_BUFFER_SIZE="100")

    async def start() -> None:
        await (await gateway.start()).memory_ready()

    asyncio.run(start())
    return gateway


@pytest.fixture
async def client(stored: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stored.url, timeout=20) as client:
        yield client


@pytest.fixture
def recorded(postgres: EmbeddedPostgres) -> Recorded:
    return Recorded(postgres.url)


async def test_the_border_has_no_hole_and_no_double(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    for _ in range(20):
        feeder.trades(symbol, 50)
    await _taken_in(client, symbol, 1000)
    await recorded.trades(symbol, range(1, 951))  # overlaps memory, which holds the last hundred

    page = (await client.get(f"/data/{symbol}/ticks?limit=1000")).json()

    assert [tick["id"] for tick in page["items"]] == list(range(1, 1001))
    assert all(t["price"] == price_of(t["id"]) and t["qty"] == qty_of(t["id"]) for t in page["items"])
    assert page["total"] == 1000


async def test_a_lagging_recorder_makes_no_hole(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    for _ in range(20):
        feeder.trades(symbol, 50)
    await _taken_in(client, symbol, 1000)
    await recorded.trades(symbol, range(1, 401))  # 401 to 900 are in the stream only

    ids: list[int] = []
    query = {"limit": "150"}
    while True:
        page = (await client.get(f"/data/{symbol}/ticks", params=query)).json()
        ids = [tick["id"] for tick in page["items"]] + ids
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert ids == list(range(1, 1001))
    answer = await client.get(f"/database/export?symbol={symbol}")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["id"]) for row in rows] == list(range(1, 1001))


@pytest.mark.parametrize("is_listed", [True, False])
async def test_late_trades_are_there_once_where_the_recorder_lags(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str, is_listed: bool
) -> None:
    for lost, batches in ((0, 2), (10, 6), (0, 4), (10, 7)):  # 101 to 110 and 611 to 620 are missing
        feeder.trades(symbol, 50, lost=lost)
        for _ in range(batches - 1):
            feeder.trades(symbol, 50)
    for ids in (range(96, 106), range(101, 111), range(606, 616), range(611, 621)):
        feeder.late_trades(symbol, ids)
    feeder.trades(symbol, 50)
    await _taken_in(client, symbol, 1000)
    if is_listed:
        await recorded.trades(symbol, range(1, 101))
        await recorded.trades(symbol, range(111, 411))  # and none of what came late

    for limit in (150, 405, 415, 1020):
        page = (await client.get(f"/data/{symbol}/ticks?limit={limit}")).json()
        assert [tick["id"] for tick in page["items"]] == list(range(1021 - limit, 1021))
        assert all(t["price"] == price_of(t["id"]) and t["qty"] == qty_of(t["id"]) for t in page["items"])
    below = "end=2024-05-01T10:00:00.108Z&start=2024-05-01T10:00:00.098Z"
    page = (await client.get(f"/data/{symbol}/ticks?{below}")).json()
    assert [tick["id"] for tick in page["items"]] == list(range(98, 108))
    for query, ids in (("", range(1, 1021)), (f"&{below}", range(98, 108))):
        answer = await client.get(f"/export?symbol={symbol}&kind=ticks{query}")
        assert [int(row["id"]) for row in csv.DictReader(io.StringIO(answer.text))] == list(ids)


async def test_missing_ids_and_unreadable_messages_make_no_hole_where_the_recorder_lags(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    subject = feeder.subjects.trade(VENUE, symbol)
    for _ in range(6):
        feeder.trades(symbol, 50)
    feeder.trades(symbol, 50, lost=1000)
    for _ in range(8):
        await feeder.drained()
        await feeder.bus.js.publish(subject, b"{")
        await feeder.bus.js.publish(subject, b"")
        feeder.trades(symbol, 50)
    await _taken_in(client, symbol, 750)
    await recorded.trades(symbol, range(1, 101))
    held = [*range(1, 301), *range(1301, 1751)]

    for limit in (150, 400, 500, 700, 1000):
        page = (await client.get(f"/data/{symbol}/ticks?limit={limit}")).json()
        assert [tick["id"] for tick in page["items"]] == held[-limit:]
    answer = await client.get(f"/database/export?symbol={symbol}")
    assert [int(row["id"]) for row in csv.DictReader(io.StringIO(answer.text))] == held


async def test_trades_that_the_stream_dropped_come_from_history(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    feeder.trades(symbol, 50)
    feeder.trades(symbol, 50, overtaken=100)
    await _taken_in(client, symbol, 100)
    await recorded.trades(symbol, range(1, 201))

    page = (await client.get(f"/data/{symbol}/ticks?limit=200")).json()

    assert [tick["id"] for tick in page["items"]] == list(range(1, 201))


async def test_bars_of_both_are_joined(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    await recorded.bars(symbol, [_bar(symbol, n, close=100.0 + n) for n in range(10)])
    feeder.bar(symbol, START_NS + 9 * MINUTE_NS, 200.0, rev=1)
    feeder.bar(symbol, START_NS + 10 * MINUTE_NS, 201.0, complete=False)

    async def arrived() -> bool:
        bars = (await client.get(f"/data/{symbol}?tf=1m")).json()["data"]
        return len(bars) == 11

    await eventually(arrived)
    page = (await client.get(f"/database/ohlcv?symbol={symbol}&tf=1m&limit=5")).json()
    assert [bar["close"] for bar in page["items"]] == [106.0, 107.0, 108.0, 200.0, 201.0]
    assert page["total"] == 11
    older = (await client.get(f"/database/ohlcv?symbol={symbol}&limit=5&cursor={page['next_cursor']}")).json()
    assert [bar["close"] for bar in older["items"]] == [101.0, 102.0, 103.0, 104.0, 105.0]
    two = (await client.get(f"/data/{symbol}?tf=2m&start=2024-05-01T10:06:00Z")).json()["items"]
    assert [(bar["close"], bar["complete"]) for bar in two] == [(107.0, True), (200.0, True), (201.0, False)]
    exported = await client.get(f"/export?symbol={symbol}&tf=1m")
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [float(row["close"]) for row in rows] == [100.0 + n for n in range(9)] + [200.0, 201.0]


async def test_a_million_rows_stream_with_flat_memory(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, stored: RunningGateway, symbol: str
) -> None:
    count = 1_000_000
    await recorded.trades(symbol, range(1, count + 1))
    before = _resident_mb(stored)
    lines = 0
    first: list[bytes] = []
    worst = 0.0
    async with client.stream("GET", f"/database/export?symbol={symbol}&format=csv") as answer:
        assert answer.headers["content-type"].startswith("text/csv")
        async for chunk in answer.aiter_bytes():
            first += [chunk] * (len(first) < 2)
            lines += chunk.count(b"\n")
            worst = max(worst, _resident_mb(stored) - before)
    assert lines == count + 1
    assert b"".join(first).splitlines()[:2] == [
        b"id,ts,price,qty,side,kind",
        b"1,2024-05-01T10:00:00.001000Z,100.1,0.002,buy,MARKET",
    ]
    assert worst < 80, f"{worst} MB more"

    query = {"symbol": symbol, "format": "parquet", "end": "2024-05-01T10:00:50"}
    table = pq.read_table(io.BytesIO((await client.get("/database/export", params=query)).content))
    assert table.column_names == ["id", "ts", "price", "qty", "side", "kind"]
    assert table.column("id").to_pylist() == list(range(1, 50_000))
    assert set(table.column("kind").to_pylist()) == {TradeKind.MARKET.name}


async def test_a_long_backlog_streams_with_flat_memory(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, stored: RunningGateway, symbol: str
) -> None:
    for _ in range(500):
        feeder.trades(symbol, 1000)
    await feeder.drained()
    await _taken_in(client, symbol, 500_000, within_s=60)
    await recorded.trades(symbol, range(1, 1001))
    before = _resident_mb(stored)
    lines, worst, tail = 0, 0.0, b""
    async with client.stream("GET", f"/database/export?symbol={symbol}&format=csv") as answer:
        async for chunk in answer.aiter_bytes():
            lines += chunk.count(b"\n")
            tail = (tail + chunk)[-200:]
            worst = max(worst, _resident_mb(stored) - before)
    assert lines == 500_001
    assert tail.splitlines()[-1].startswith(b"500000,")
    assert worst < 60, f"{worst} MB more"


async def test_quotes_are_exported_in_pages_and_too_many_are_refused(
    client: httpx.AsyncClient, make_gateway: MakeGateway, recorded: Recorded, symbol: str
) -> None:
    await recorded.quotes(symbol, range(1, 50_001))
    rows = list(csv.DictReader(io.StringIO((await client.get(f"/export?symbol={symbol}&kind=quotes")).text)))
    assert [int(row["id"]) for row in rows] == list(range(1, 50_001))
    small = await (await make_gateway(database=True, EXPORT_MAX_QUOTES="1000").start()).memory_ready()
    async with httpx.AsyncClient(base_url=small.url) as other:
        query = {"symbol": symbol, "kind": "quotes"}
        refused = await other.get("/export", params=query)
        assert refused.status_code == 422
        assert "50000 quotes" in refused.json()["detail"]
        assert "1000 quotes at most" in refused.json()["errors"][0]["allowed"]
        some = await other.get("/export", params=query | {"end": "2024-05-01T10:00:00.100Z"})
        assert len(some.text.splitlines()) == 1 + 999


async def test_quotes_behind_an_emptied_day_are_exported(
    client: httpx.AsyncClient, recorded: Recorded, symbol: str
) -> None:
    day = START_NS // DAY_NS
    await recorded.emptied_day("quotes", day - 1)
    await recorded.quotes(symbol, range(1, 11))
    await recorded.emptied_day("quotes", day + 1)
    rows = list(csv.DictReader(io.StringIO((await client.get(f"/export?symbol={symbol}&kind=quotes")).text)))
    assert [int(row["id"]) for row in rows] == list(range(1, 11))


async def test_statistics_are_exact(client: httpx.AsyncClient, recorded: Recorded, symbol: str) -> None:
    await recorded.trades(symbol, range(1, 5001))
    await recorded.bars(symbol, [_bar(symbol, n) for n in range(7)])

    async def counted() -> dict:
        return (await client.get("/database/stats")).json()["symbols"].get(symbol)

    own = await eventually(counted)
    assert own == {
        "ticks": 5000,
        "bars": 7,
        "bars_by_timeframe": {"1m": 7},
        "first": "2024-05-01T10:00:00.000Z",
        "last": "2024-05-01T10:06:00.000Z",
    }
    began = time.perf_counter()
    await client.get("/database/stats")
    assert time.perf_counter() - began < 2


async def test_gaps_are_listed(client: httpx.AsyncClient, recorded: Recorded, symbol: str) -> None:
    await recorded.gap(symbol, 5, 9, "lost")
    await recorded.gap(symbol, 20, 20, "filled")

    page = (await client.get(f"/database/gaps?symbol={symbol}")).json()
    assert {(gap["from_id"], gap["to_id"], gap["count"], gap["reason"]) for gap in page["gaps"]} == {
        (5, 9, 5, "lost"),
        (20, 20, 1, "filled"),
    }
    wrong = (await client.get("/database/gaps?reason=stolen")).json()["errors"][0]
    assert wrong["field"] == "reason"
    assert "'not_published_by_venue'" in wrong["allowed"]
    only = (await client.get(f"/database/gaps?symbol={symbol}&reason=lost&limit=1")).json()
    assert (only["total"], only["has_more"]) == (1, False)


async def test_without_its_database_live_data_goes_on(
    make_gateway: MakeGateway, feeder: Feeder, symbol: str
) -> None:
    url = "postgresql://nobody:s3cret@127.0.0.1:1/none"
    gateway = await (await make_gateway(DATABASE_URL=url).start()).memory_ready()
    feeder.trades(symbol, 50)
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        await _taken_in(client, symbol, 50)
        newest = (await client.get(f"/data/{symbol}/ticks?limit=20")).json()
        assert len(newest["items"]) == 20
        assert newest["warnings"] == []
        more = (await client.get(f"/data/{symbol}/ticks?limit=100")).json()
        assert len(more["items"]) == 50
        assert "history is away" in more["warnings"][0]
        assert more["has_more"]
        problem = await client.get("/database/stats")
        assert problem.status_code == 503
        assert "s3cret" not in problem.text
        health = (await client.get("/health")).json()
        assert health["status"] == "degraded"
        assert (await client.get("/health/db")).status_code == 503
    assert "s3cret" not in gateway.log.read_text()


async def test_a_total_is_counted_across_days_and_not_guessed_while_the_recorder_lags(
    client: httpx.AsyncClient, feeder: Feeder, recorded: Recorded, symbol: str
) -> None:
    day = 86_400_000
    for first in (1, day, 2 * day):
        await recorded.trades(symbol, range(first, first + 500))

    async def total(**query: str) -> int:
        return (await client.get(f"/data/{symbol}/ticks", params={"limit": "10", **query})).json()["total"]

    assert await total() == 1500
    assert await total(start="2024-05-01T10:00:00.101Z") == 1400
    assert await total(end="2024-05-03T10:00:00.100Z") == 1100
    assert await total(start="2024-05-01T10:00:00.101Z", end="2024-05-03T10:00:00.100Z") == 1000
    assert await total(start="2024-05-02T00:00Z", end="2024-05-03T00:00Z") == 500
    assert await total(start="2024-05-02T09:59Z", end="2024-05-02T10:00:00.200Z") == 200

    feeder.last_id[symbol] = 2 * day + 459
    feeder.trades(symbol, 40)  # 460 to 499 are recorded, too
    feeder.trades(symbol, 30)
    await _taken_in(client, symbol, 70)
    assert await total() == 1530
    feeder.trades(symbol, 100)  # memory holds the last hundred: thirty are in the stream only
    await _taken_in(client, symbol, 170)
    assert await total() is None


async def _taken_in(client: httpx.AsyncClient, symbol: str, count: int, within_s: float = 10) -> None:
    async def check() -> bool:
        stats = (await client.get("/data/stats")).json()
        return stats["symbols"][symbol]["received"] == count

    await eventually(check, within_s)


def _bar(symbol: str, minute: int, *, close: float = 100.0) -> Bar:
    return Bar(
        venue=VENUE,
        symbol=symbol,
        timeframe="1m",
        ts_ns=START_NS + minute * MINUTE_NS,
        open=100.0,
        high=max(100.0, close),
        low=100.0,
        close=close,
        volume=1.0,
        quote_volume=close,
        buy_volume=0.5,
        trades=1,
        first_id=minute,
        last_id=minute,
        complete=True,
    )


def _resident_mb(gateway: RunningGateway) -> float:
    return int(Path(f"/proc/{gateway.pid}/statm").read_text().split()[1]) * 4096 / 2**20
