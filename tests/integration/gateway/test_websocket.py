"""The WebSocket: every trade once and in order, and clear words otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import msgspec
import pytest
import websockets

from tapestream.common.contracts.messages import BarSource
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import START_NS, VENUE, Feeder, price_of, qty_of
from tests.integration.gateway.running import Listener, RunningGateway, eventually

pytestmark = pytest.mark.integration


async def test_trades_arrive_once_and_in_order(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    answer = await listener.subscribe(symbols=[symbol])
    assert answer["status"] == "subscribed"
    assert answer["symbols"] == [symbol]

    for size in (1, 3, 1, 200, 1):
        feeder.trades(symbol, size)
        feeder.trades("ETHUSDT", size)
    frames = await listener.collect("trade", 206)

    assert [frame["id"] for frame in frames] == list(range(1, 207))
    assert {frame["symbol"] for frame in frames} == {symbol}
    seqs = [frame["seq"] for frame in frames]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] < 2**53
    assert (
        frames[0].items()
        >= {
            "price": price_of(1),
            "qty": qty_of(1),
            "ts": "2024-05-01T10:00:00.001Z",
            "side": "buy",
            "kind": "MARKET",
        }.items()
    )
    await listener.close()


async def test_greeting_ping_and_heartbeat(make_gateway: MakeGateway, feeder: Feeder) -> None:
    gateway = await (await make_gateway(WS_HEARTBEAT_S="0.2").start()).memory_ready()
    listener = await Listener.open(f"{gateway.ws_url}?client_id=desk-7")

    assert listener.frames[0]["client_id"] == "desk-7"
    await listener.say(action="ping", id=5)
    assert (await listener.until("pong"))["id"] == 5
    assert (await listener.until("heartbeat"))["ts"].endswith("Z")
    await listener.close()


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/stream/ws", "/api/v1/ws"])
async def test_every_name_of_the_socket(gateway: RunningGateway, path: str) -> None:
    listener = await Listener.open(f"ws://127.0.0.1:{gateway.port}{path}")
    await listener.close()


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("not json", "message"),
        ("[1]", "message"),
        ('{"action": "dance"}', "action"),
        ('{"action": "subscribe", "symbols": ["NOPE"]}', "symbols[0]"),
        ('{"action": "subscribe", "symbols": 5}', "symbols"),
        ('{"action": "subscribe", "channels": ["bars:7x:BTCUSDT"]}', "channels[0]"),
        ('{"action": "subscribe", "channels": ["weather"]}', "channels[0]"),
        ('{"action": "subscribe", "symbols": ["BTCUSDT"], "interval_ms": -1}', "interval_ms"),
        ('{"action": "subscribe", "symbols": ["BTCUSDT"], "since": "x"}', "since"),
    ],
)
async def test_wrong_messages_are_named_and_the_connection_stays(
    gateway: RunningGateway, message: str, field: str
) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.socket.send(message)

    error = await listener.until("error")
    assert error["field"] == field
    assert error["allowed"]
    await listener.say(action="ping")
    await listener.until("pong")
    await listener.close()


async def test_channels_and_their_older_names(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    channels = [
        f"bars:1m:{symbol}",
        f"quotes:{symbol}",
        f"market_data:{symbol}",
        "alerts",
        "orders",
        "jobs:7",
    ]
    answer = await listener.subscribe(channels=[*channels, f"five_second_bar:{symbol}", "system_status"])
    assert set(answer["channels"]) >= set(channels)

    feeder.quote(symbol, 99.5, 100.5)
    quote = await listener.until("quote")
    assert (quote["bid"], quote["ask"]) == (99.5, 100.5)
    feeder.bar(symbol, START_NS, 101.0, complete=False)
    feeder.bar(symbol, START_NS, 102.0, trades=2)
    bars = await listener.collect("bar", 2)
    assert [(bar["close"], bar["complete"], bar["timeframe"]) for bar in bars] == [
        (101.0, False, "1m"),
        (102.0, True, "1m"),
    ]
    assert bars[0]["seq"] < bars[1]["seq"]
    feeder.bar(symbol, START_NS, 103.0, timeframe="5s")
    assert (await listener.until("five_second_bar"))["close"] == 103.0
    feeder.trades(symbol)
    assert (await listener.until("market_data"))["id"] == 1
    await listener.close()


async def test_unsubscribed_symbols_fall_silent(
    gateway: RunningGateway, feeder: Feeder, symbols: Iterator[str], symbol: str
) -> None:
    other = next(symbols)
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"trades:{symbol}", f"trades:{other}"])
    await listener.say(action="unsubscribe", symbols=[symbol])
    assert (await listener.until("subscription"))["symbols"] == [other]

    feeder.trades(symbol)
    feeder.trades(other)
    assert (await listener.until("trade"))["symbol"] == other
    await listener.close()


async def test_msgpack_says_the_same(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    plain = await Listener.open(gateway.ws_url)
    await plain.subscribe(symbols=[symbol])
    async with websockets.connect(f"{gateway.ws_url}?binary=true", compression=None) as socket:
        frames: list[dict] = []

        async def until(kind: str) -> dict:
            while True:
                frame = msgspec.msgpack.decode(await asyncio.wait_for(socket.recv(), 5))
                frames.append(frame)
                if frame["type"] == kind:
                    return frame

        await until("connected")
        await socket.send(msgspec.msgpack.encode({"action": "subscribe", "symbols": [symbol]}))
        await until("subscription")
        feeder.trades(symbol)
        assert await until("trade") == await plain.until("trade")
    await plain.close()


async def test_conflation_gives_the_newest_value_in_batches(
    gateway: RunningGateway, feeder: Feeder, symbols: Iterator[str]
) -> None:
    symbol, other = next(symbols), next(symbols)
    listener = await Listener.open(gateway.ws_url)
    answer = await listener.subscribe(channels=[f"trades:{symbol}", f"trades:{other}"], interval_ms=100)
    assert answer["interval_ms"] == 100

    for _ in range(100):
        feeder.trades(symbol)
        feeder.trades(other)
    wanted = {(symbol, 100), (other, feeder.last_id[other])}
    frames: list[dict] = []
    items: list[tuple[str, int]] = []
    while not wanted <= set(items):
        frames.append(await listener.next())
        items += [(one["symbol"], one["id"]) for one in frames[-1].get("items", [frames[-1]]) if "id" in one]
    assert len(items) < 100
    assert {"batch", "trade"} >= {frame["type"] for frame in frames} - {"heartbeat"}
    await listener.close()


async def test_batches_on_request_leave_nothing_out(
    gateway: RunningGateway, feeder: Feeder, symbol: str
) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"trades:{symbol}"], batch=True)
    feeder.trades(symbol, 30)

    assert [item["id"] for item in (await listener.until("batch"))["items"]] == list(range(1, 31))
    await listener.close()


async def test_ticker_follows_the_trades(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(symbols=[symbol])
    feeder.trades(symbol, 10)

    ticker = await listener.until("ticker")
    assert ticker["lastPrice"] == price_of(10)
    assert ticker["openPrice"] == price_of(1)
    assert ticker["volume"] == pytest.approx(sum(qty_of(n) for n in range(1, 11)))
    await listener.close()


# --- resuming


async def test_resume_from_memory(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    feeder.trades(symbol, 2000)
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(symbols=[symbol])
    feeder.trades(symbol, 10)
    seen = await listener.collect("trade", 5)
    await listener.close()

    again = await Listener.open(gateway.ws_url)
    for _ in range(3):
        feeder.trades(symbol, 1)
    await again.say(action="subscribe", symbols=[symbol], since=seen[-1]["seq"])
    for _ in range(20):
        feeder.trades(symbol, 1)
        await asyncio.sleep(0)
    frames = await again.collect("trade", 28)
    assert [frame["id"] for frame in frames] == list(range(2006, 2034))
    seqs = [frame["seq"] for frame in frames]
    assert seqs == sorted(set(seqs))
    await again.close()


async def test_resume_from_the_stream_where_memory_is_too_short(
    make_gateway: MakeGateway, feeder: Feeder, symbols: Iterator[str]
) -> None:
    one, two = next(symbols), next(symbols)
    gateway = await (await make_gateway(TICK_BUFFER_SIZE="100").start()).memory_ready()
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"trades:{one}", f"trades:{two}"])
    feeder.trades(one)
    position = (await listener.until("trade"))["seq"]
    await feeder.bus.js.publish(feeder.subjects.trade(VENUE, one), b"{")  # is passed over
    for _ in range(30):
        feeder.trades(one, 40)
        feeder.trades(two, 40)
    await feeder.drained()

    again = await Listener.open(gateway.ws_url)
    await again.say(action="subscribe", channels=[f"trades:{one}", f"trades:{two}"], since=position)
    frames = await again.collect("trade", 2400)
    assert [frame["id"] for frame in frames if frame["symbol"] == one] == list(range(2, 1202))
    assert [frame["id"] for frame in frames if frame["symbol"] == two] == list(range(1, 1201))
    seqs = [frame["seq"] for frame in frames]
    assert seqs == sorted(set(seqs))
    feeder.trades(one)
    assert (await again.until("trade"))["id"] == 1202
    for each in (listener, again):
        await each.close()


async def test_resume_too_old_gets_a_snapshot_that_says_so(
    make_gateway: MakeGateway, feeder: Feeder, symbol: str
) -> None:
    gateway = await (await make_gateway(WS_RESUME_TRADES="50").start()).memory_ready()
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"trades:{symbol}"])
    feeder.trades(symbol)
    position = (await listener.until("trade"))["seq"]
    feeder.trades(symbol, 200)
    await listener.collect("trade", 200)
    await listener.close()

    again = await Listener.open(gateway.ws_url)
    await again.say(action="subscribe", channels=[f"trades:{symbol}"], since=position)
    snapshot = await again.until("snapshot")
    assert snapshot["reason"] == "too_much_missed"
    assert [item["id"] for item in snapshot["items"]] == list(range(102, 202))
    feeder.trades(symbol)
    assert (await again.until("trade"))["id"] == 202
    await again.say(action="subscribe", channels=[f"trades:{symbol}"], since=2**52)
    assert (await again.until("snapshot"))["reason"] == "since_unknown"
    await again.close()


async def test_resume_of_bars(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    await listener.subscribe(channels=[f"bars:1m:{symbol}"])
    feeder.bar(symbol, START_NS, 101.0)
    position = (await listener.until("bar"))["seq"]
    for minute in (1, 2):
        feeder.bar(symbol, START_NS + minute * 60_000_000_000, 101.0 + minute)
    await listener.collect("bar", 2)
    await listener.close()

    again = await Listener.open(gateway.ws_url)
    await again.say(action="subscribe", channels=[f"bars:1m:{symbol}"], since={"bars": position})
    assert [bar["close"] for bar in await again.collect("bar", 2)] == [102.0, 103.0]
    await again.close()


async def test_a_resume_from_the_stream_hands_out_no_bar_that_a_newer_one_replaced(
    make_gateway: MakeGateway, feeder: Feeder, symbol: str
) -> None:
    first = await (await make_gateway().start()).memory_ready()
    listener = await Listener.open(first.ws_url)
    await listener.subscribe(channels=[f"bars:1m:{symbol}"])
    feeder.bar(symbol, START_NS, 101.0)
    position = (await listener.until("bar"))["seq"]
    await listener.close()
    for minute in (1, 2):
        start_ns = START_NS + minute * 60_000_000_000
        feeder.bar(symbol, start_ns, 102.0, rev=1)
        feeder.bar(symbol, start_ns, 103.0)
        feeder.bar(symbol, start_ns, 104.0, rev=2, source=BarSource.VENUE)
    feeder.bar(symbol, START_NS + 3 * 60_000_000_000, 105.0, source=BarSource.VENUE)
    await feeder.drained()

    # this one has read nothing of it: the stream alone knows
    second = await (await make_gateway(WARM_UP_S="0").start()).memory_ready()
    feeder.bar(symbol, START_NS + 4 * 60_000_000_000, 106.0)
    async with httpx.AsyncClient(base_url=second.url) as client:

        async def is_read() -> bool:
            return len((await client.get(f"/data/{symbol}?tf=1m")).json()["data"]) == 1

        await eventually(is_read)
    again = await Listener.open(second.ws_url)
    await again.say(action="subscribe", channels=[f"bars:1m:{symbol}"], since={"bars": position})
    assert [bar["close"] for bar in await again.collect("bar", 4)] == [102.0, 102.0, 105.0, 106.0]
    await again.close()


# --- several processes, restarts, slow clients
