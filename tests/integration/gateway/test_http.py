"""What HTTP answers, with live data only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tapestream.common.contracts.streams import BUCKET_FEEDS
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import START_NS, SYMBOLS, Feeder
from tests.integration.gateway.running import RunningGateway, eventually

pytestmark = pytest.mark.integration
MINUTE_NS = 60_000_000_000


@pytest.fixture
async def client(gateway: RunningGateway):
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        yield client


async def test_every_answer_names_its_request_and_its_time(client: httpx.AsyncClient) -> None:
    answer = await client.get("/symbols", headers={"X-Request-ID": "abc-1"})

    assert answer.json() == list(SYMBOLS)
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert float(answer.headers["X-Process-Time-ms"]) >= 0
    missing = await client.get("/nowhere")
    assert missing.headers["X-Request-ID"]
    assert missing.headers["content-type"] == "application/problem+json"
    assert missing.json()["status"] == 404


@pytest.mark.parametrize("path", ["/symbols", "/symbols/", "/api/v1/symbols", "/api/v1/symbols/"])
async def test_paths_answer_with_and_without_slash_and_prefix(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.json() == list(SYMBOLS)


async def test_health_has_the_fields_that_front_ends_expect(client: httpx.AsyncClient) -> None:
    body = (await client.get("/health")).json()

    assert body["status"] == "degraded"  # no database, no other services
    assert body["binance_ws_active"] == []
    assert body["active_alerts"] == body["triggered_alerts"] == 0
    assert "symbols" in body["data_buffer_stats"]


async def test_ready_names_what_is_missing_until_it_is_there(
    make_gateway: MakeGateway, feeder: Feeder
) -> None:
    gateway = await (await make_gateway(database=True).start()).memory_ready()
    answer = await gateway.until("/health/ready", 503)
    assert answer.json()["components"]["ingest"] == "never heard of"
    assert answer.json()["components"]["nats"] == answer.json()["components"]["database"] == "ok"

    feeder.keep_beating("ingest", "bars", "recorder")
    assert (await gateway.until("/health/ready", 200)).json()["status"] == "ready"

    async def all_seen() -> bool:
        async with httpx.AsyncClient(base_url=gateway.url) as client:
            services = (await client.get("/health/services")).json()
        seen = {one["service"] for one in services["services"]}
        return seen == {"ingest", "bars", "recorder", "gateway"} and services["missing"] == {}

    await eventually(all_seen)


async def test_ticks_are_paged_from_the_newest_back(
    client: httpx.AsyncClient, feeder: Feeder, symbol: str
) -> None:
    feeder.trades(symbol, 250)
    await _held(client, symbol, 250)

    ids: list[int] = []
    cursor: str | None = None
    while True:
        query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"/data/{symbol}/ticks", params=query)).json()
        assert page["items"] == page["ticks"]
        assert page["total"] == 250
        ids = [tick["id"] for tick in page["items"]] + ids
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert ids == list(range(1, 251))

    tick = (await client.get(f"/data/{symbol}/ticks?limit=1")).json()["items"][0]
    assert tick.keys() == {"symbol", "price", "qty", "ts", "id", "side", "kind"}
    assert tick["ts"] == "2024-05-01T10:00:00.250Z"


async def test_ticks_of_a_period(client: httpx.AsyncClient, feeder: Feeder, symbol: str) -> None:
    feeder.trades(symbol, 100)
    await _held(client, symbol, 100)
    query = {"start": "2024-05-01T10:00:00.010Z", "end": "2024-05-01T10:00:00.020"}

    page = (await client.get(f"/api/v1/data/{symbol}/ticks", params=query)).json()

    assert [tick["id"] for tick in page["items"]] == list(range(10, 20))
    in_millis = {"start": str(START_NS // 10**6 + 10), "end": str(START_NS // 10**6 + 20)}
    assert (await client.get(f"/data/{symbol}/ticks", params=in_millis)).json()["items"] == page["items"]


async def test_late_trades_take_their_place(client: httpx.AsyncClient, feeder: Feeder, symbol: str) -> None:
    feeder.trades(symbol, 10)
    feeder.trades(symbol, 10, lost=5)
    await _held(client, symbol, 20)

    feeder.late_trades(symbol, range(12, 14))
    await _held(client, symbol, 22)

    page = (await client.get(f"/data/{symbol}/ticks")).json()
    assert [tick["id"] for tick in page["items"]] == [*range(1, 11), 12, 13, *range(16, 26)]


async def test_bars_include_the_running_one(client: httpx.AsyncClient, feeder: Feeder, symbol: str) -> None:
    for minute in range(3):
        feeder.bar(symbol, START_NS + minute * MINUTE_NS, 101.0 + minute, trades=5)
    feeder.bar(symbol, START_NS + 3 * MINUTE_NS, 110.0, trades=1, complete=False)
    feeder.bar(symbol, START_NS + 3 * MINUTE_NS, 111.0, trades=2, complete=False)

    async def arrived() -> bool:
        bars = (await client.get(f"/data/{symbol}?tf=1m")).json()["data"]
        return bool(bars) and bars[-1]["close"] == 111.0

    await eventually(arrived)
    page = (await client.get(f"/data/{symbol}?tf=1m")).json()
    assert [bar["close"] for bar in page["data"]] == [101.0, 102.0, 103.0, 111.0]
    assert [bar["complete"] for bar in page["data"]] == [True, True, True, False]
    assert page["timeframe"] == "1m"
    two = (await client.get(f"/data/{symbol}?tf=2m")).json()["data"]
    assert [(bar["close"], bar["trades"]) for bar in two] == [(102.0, 10), (111.0, 7)]


async def test_starting_and_stopping_is_idempotent(client: httpx.AsyncClient, feeder: Feeder) -> None:
    await feeder.want("other", ["SOLUSDT"])
    await client.post("/stream/stop", json={})
    body = {"symbols": ["BTCUSDT", "ETHUSDT"], "tick_mode": True}

    for _ in range(2):
        answer = await client.post("/stream/start", json=body)
        assert answer.json() == {
            "status": "ok",
            "started": True,
            "symbols": ["BTCUSDT", "ETHUSDT"],
            "active_symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT"],
        }
    for _ in range(2):
        answer = await client.post("/stream/stop", json={"symbols": ["BTCUSDT", "SOLUSDT"]})
        # another owner still wants SOLUSDT
        assert answer.json()["active_symbols"] == ["ETHUSDT", "SOLUSDT"]
    status = (await client.get("/stream/status")).json()
    assert status["owners"] == {"default": ["ETHUSDT@binance_usdm"], "other": ["SOLUSDT@binance_usdm"]}


async def test_until_the_default_owner_speaks_everything_on_offer_streams(
    client: httpx.AsyncClient, feeder: Feeder
) -> None:
    await feeder.forget_wants()

    assert (await client.get("/stream/status")).json()["active_symbols"] == sorted(SYMBOLS)


async def test_too_many_symbols_are_refused(make_gateway: MakeGateway, feeder: Feeder) -> None:
    gateway = await (await make_gateway(MAX_SYMBOLS="2").start()).memory_ready()

    async with httpx.AsyncClient(base_url=gateway.url) as client:
        answer = await client.post("/stream/start", json={"symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT"]})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["allowed"] == "2 symbols at most"


async def test_owners_who_start_at_once_do_not_exceed_the_limit_together(
    make_gateway: MakeGateway, feeder: Feeder, symbols: Iterator[str]
) -> None:
    await feeder.forget_wants()
    await feeder.want("default", [])
    gateways = [await (await make_gateway(MAX_SYMBOLS="5").start()).memory_ready() for _ in range(2)]
    clients = [httpx.AsyncClient(base_url=gateway.url, timeout=20) for gateway in gateways]
    pairs = [[next(symbols), next(symbols)] for _ in range(6)]

    answers = await asyncio.gather(
        *(
            clients[n % 2].post("/stream/start", json={"symbols": pair, "owner": f"desk-{n}"})
            for n, pair in enumerate(pairs)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 200, 422, 422, 422, 422]
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert "5 symbols at most over all owners" in refused.json()["errors"][0]["allowed"]
    streaming = (await clients[0].get("/stream/status")).json()["active_symbols"]
    started = [pair for answer, pair in zip(answers, pairs, strict=True) if answer.status_code == 200]
    assert streaming == sorted(symbol for pair in started for symbol in pair)
    for client in clients:
        await client.aclose()
    await feeder.forget_wants()


async def test_wants_that_cannot_be_read_are_passed_over(
    client: httpx.AsyncClient, gateway: RunningGateway, feeder: Feeder
) -> None:
    await feeder.want("default", ["BTCUSDT", ""])
    bucket = await feeder.bus.js.key_value(feeder.subjects.stream(BUCKET_FEEDS))
    await bucket.put("desk", b"{")

    assert (await client.get("/stream/status")).json()["active_symbols"] == ["BTCUSDT"]
    started = await client.post("/stream/start", json={"symbols": ["ETHUSDT"]})
    assert started.json()["active_symbols"] == ["BTCUSDT", "ETHUSDT"]
    said = gateway.log.read_text()
    assert "wanted_symbol_unreadable" in said
    assert "feed_want_unreadable" in said
    await feeder.forget_wants()


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/stream/start", {"symbols": []}, "symbols"),
        ("POST", "/stream/start", {"symbols": ["NOPE"]}, "symbols.0"),
        ("POST", "/stream/start", {"symbols": "BTCUSDT"}, "symbols"),
        ("POST", "/stream/start", {}, "symbols"),
        ("GET", "/data/BTCUSDT?tf=7m", None, "tf"),
        ("GET", "/data/BTCUSDT?tf=x", None, "tf"),
        ("GET", "/data/BTCUSDT?limit=0", None, "limit"),
        ("GET", "/data/BTCUSDT?limit=1000000000", None, "limit"),
        ("GET", "/data/BTCUSDT?start=yesterday", None, "start"),
        ("GET", "/data/BTCUSDT?start=2024-05-02&end=2024-05-01", None, "end"),
        ("GET", "/data/BTCUSDT/ticks?cursor=abc", None, "cursor"),
        ("GET", "/export?symbol=BTCUSDT&format=xml", None, "format"),
        ("POST", "/database/cleanup", {}, "days"),
        ("POST", "/database/cleanup?days=-1", None, "days"),
    ],
)
async def test_wrong_input_is_named(
    client: httpx.AsyncClient, method: str, path: str, body: object, field: str
) -> None:
    answer = await client.request(method, path, json=body)

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert problem["errors"][0]["allowed"]
    assert problem["detail"]
    assert problem["title"]


async def test_unknown_symbol_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/data/NOPE", "/data/NOPE/ticks", "/api/v1/export?symbol=NOPE", "/database/ticks/NOPE"):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert "BTCUSDT" in answer.json()["errors"][0]["allowed"]


async def test_other_methods_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/symbols")

    assert answer.status_code == 405
    assert answer.json()["title"] == "Method Not Allowed"


async def test_backfill_without_ingest_says_so(client: httpx.AsyncClient) -> None:
    body = {"symbol": "BTCUSDT", "tf": "1m", "start": "2024-05-01T10:00Z", "end": "2024-05-01T11:00Z"}

    answer = await client.post("/database/backfill", json=body)

    assert answer.status_code == 503
    assert "ingest" in answer.json()["detail"]


async def test_documents(client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/api/docs"):
        page = await client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "https://" not in page.text
    asyncapi = (await client.get("/asyncapi")).json()
    assert asyncapi["channels"]["trades"]["address"].endswith("md.trade.{venue}.{symbol}")
    root = (await client.get("/")).json()
    assert root["docs"] == "/docs"
    assert "GET /api/v1/symbols" in root["endpoints"]
    metrics = (await client.get("/metrics")).text
    assert "tapestream_http_request_seconds_bucket" in metrics
    assert "tapestream_ws_clients" in metrics


async def _held(client: httpx.AsyncClient, symbol: str, count: int) -> None:
    async def check() -> bool:
        stats = (await client.get("/data/stats")).json()
        return stats["symbols"][symbol]["ticks"] == count

    await eventually(check)
