"""Streams, subscriptions and refusals over a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tapestream.simulators.process import BinanceSimulatorProcess
from tests.integration.simulators.conftest import client

USDM_TRADE = ["e", "E", "T", "s", "t", "p", "q", "X", "m"]
SPOT_TRADE = ["e", "E", "s", "t", "p", "q", "T", "m", "M"]


async def test_bare_and_combined_frames_and_the_fields_of_each_market(
    seeded: BinanceSimulatorProcess,
) -> None:
    async with (
        client(seeded, "/market/ws/btcusdt@trade") as usdm,
        client(seeded, "/ws/btcusdt@trade") as spot,
    ):
        future, present = await usdm.hear(), await spot.hear()
    assert list(future) == USDM_TRADE
    assert list(present) == SPOT_TRADE
    assert len(present["p"].partition(".")[2]) == 8
    assert len(future["p"].partition(".")[2]) == 2
    async with client(seeded, "/stream?streams=btcusdt@trade/ethusdt@trade") as both:
        frames = await both.until(lambda frame: frame["stream"] == "ethusdt@trade")
    assert list(frames[-1]) == ["stream", "data"]
    assert frames[-1]["data"]["s"] == "ETHUSDT"


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/market/ws/btcusdt@aggTrade", "aggTrade"),
        ("/market/ws/btcusdt@kline_1m", "kline"),
        ("/market/ws/btcusdt@markPrice@1s", "markPriceUpdate"),
        ("/market/ws/btcusdt@ticker", "24hrTicker"),
        ("/market/ws/btcusdt@miniTicker", "24hrMiniTicker"),
        ("/public/ws/btcusdt@bookTicker", "bookTicker"),
        ("/public/ws/btcusdt@depth@100ms", "depthUpdate"),
        ("/public/ws/btcusdt@depth5", "depthUpdate"),
        ("/ws/btcusdt@aggTrade", "aggTrade"),
        ("/ws/btcusdt@kline_1s", "kline"),
        ("/ws/btcusdt@ticker", "24hrTicker"),
        ("/ws/btcusdt@depth", "depthUpdate"),
    ],
)
async def test_every_stream_speaks(seeded: BinanceSimulatorProcess, path: str, event: str) -> None:
    async with client(seeded, path) as listener:
        assert (await listener.hear())["e"] == event


async def test_spot_quotes_and_partial_books_have_no_event_type(seeded: BinanceSimulatorProcess) -> None:
    async with (
        client(seeded, "/ws/btcusdt@bookTicker") as quotes,
        client(seeded, "/ws/btcusdt@depth5") as book,
    ):
        assert list(await quotes.hear()) == ["u", "s", "b", "B", "a", "A"]
        levels = await book.hear()
    assert list(levels) == ["lastUpdateId", "bids", "asks"]
    assert len(levels["bids"]) == 5


async def test_ids_have_no_gap_and_aggregates_join_fills(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/market/stream?streams=btcusdt@trade/btcusdt@aggTrade") as both:
        frames = await both.take(400)
    trades = [frame["data"] for frame in frames if frame["data"]["e"] == "trade"]
    ids = [trade["t"] for trade in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    by_id = {trade["t"]: trade for trade in trades}
    aggs = [frame["data"] for frame in frames if frame["data"]["e"] == "aggTrade"]
    assert [agg["a"] for agg in aggs] == list(range(aggs[0]["a"], aggs[0]["a"] + len(aggs)))
    for agg in aggs[1:]:
        assert {by_id[fill]["p"] for fill in range(agg["f"], agg["l"] + 1)} == {agg["p"]}


async def test_depth_events_join_a_snapshot(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/public/ws/btcusdt@depth@100ms") as stream:
        first = await stream.hear()
        snapshot = seeded.get("/fapi/v1/depth?symbol=BTCUSDT&limit=100")
        book = {side: dict(map(tuple, snapshot[side])) for side in ("bids", "asks")}
        known, previous = snapshot["lastUpdateId"], first["u"]
        applied = 0
        while applied < 5:
            event = await stream.hear()
            assert event["pu"] == previous
            previous = event["u"]
            if event["u"] <= known:
                continue
            assert applied or event["U"] <= known + 1
            for side, changes in (("bids", event["b"]), ("asks", event["a"])):
                for price, qty in changes:
                    book[side].pop(price, None)
                    if float(qty):
                        book[side][price] = qty
            applied += 1
    assert max(map(float, book["bids"])) < min(map(float, book["asks"]))
    assert len(book["bids"]) == 100


async def test_subscriptions(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/ws") as talker:

        async def ask(method: str, params: list[Any] | None, request_id: int) -> Any:
            message = {"method": method, "id": request_id}
            await talker.say(message if params is None else message | {"params": params})
            return (await talker.until(lambda frame: frame.get("id") == request_id))[-1]

        assert await ask("SUBSCRIBE", ["btcusdt@trade", "nosuchcoin@trade"], 1) == {"result": None, "id": 1}
        listed = await ask("LIST_SUBSCRIPTIONS", None, 2)
        assert listed["result"] == ["btcusdt@trade", "nosuchcoin@trade"]
        assert (await ask("GET_PROPERTY", ["combined"], 3))["result"] is False
        assert (await ask("SET_PROPERTY", ["combined", True], 4))["result"] is None
        assert (await talker.until(lambda frame: "stream" in frame))[-1]["stream"] == "btcusdt@trade"
        await ask("UNSUBSCRIBE", ["btcusdt@trade"], 5)
        assert (await ask("LIST_SUBSCRIPTIONS", None, 6)) == {"result": ["nosuchcoin@trade"], "id": 6}


async def test_malformed_messages_get_an_answer_and_nothing_breaks(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/market/ws") as talker:
        for said, code in [
            ("{broken", 3),
            ("5", 2),
            ('{"id":1}', 2),
            ({"method": "DANCE", "params": [], "id": 1}, 2),
            ({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1}, 2),
            ({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@depth"], "id": 1}, 2),
        ]:
            await talker.say(said)
            assert (await talker.hear())["error"]["code"] == code
        await talker.socket.send(b"\xff\xfe")
        assert (await talker.hear())["error"]["code"] == 3
        await talker.say({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 9})
        await talker.until(lambda frame: frame.get("e") == "trade")


async def test_a_path_of_the_other_group_is_refused(seeded: BinanceSimulatorProcess) -> None:
    for path in ("/market/ws/btcusdt@bookTicker", "/public/stream?streams=btcusdt@kline_1m"):
        with pytest.raises(InvalidStatus) as refused:
            async with client(seeded, path):
                pass
        assert refused.value.response.status_code == 400


async def test_too_many_messages_end_a_connection(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/ws") as talker:
        for number in range(11):
            await talker.say({"method": "LIST_SUBSCRIPTIONS", "id": number})
        assert await talker.until_closed() == 1008


async def test_the_lifetime_ends_connections_and_pings_come() -> None:
    with BinanceSimulatorProcess(
        BINANCE_SIM_CONNECTION_LIFETIME_S="0.7", BINANCE_SIM_SPOT_PING_S="0.1"
    ) as simulator:
        async with client(simulator, "/ws/btcusdt@trade") as listener:
            assert await listener.until_closed() == 1001


async def test_a_client_without_pongs_is_cut() -> None:
    settings = {"BINANCE_SIM_SPOT_PING_S": "0.1", "BINANCE_SIM_PONG_TIMEOUT_S": "0.3"}
    with BinanceSimulatorProcess(**settings) as simulator:
        async with client(simulator, "/ws/btcusdt@trade") as answering:
            async with client(simulator, "/ws/btcusdt@trade") as silent:
                original = silent.socket.protocol.recv_frame

                def without_pong(frame: Any) -> None:
                    if frame.opcode != 0x9:
                        original(frame)

                silent.socket.protocol.recv_frame = without_pong
                assert await silent.until_closed() == 1011
            await answering.take(3)
