"""Start, stop, kill and restart; tapes that wait, play, end and begin anew."""

from __future__ import annotations

import itertools
import socket
import time
from pathlib import Path

import pytest

from tapestream.simulators.process import BinanceSimulatorProcess, SimulatorFailedError
from tests.integration.simulators.conftest import client, values, wait_until

BOTH = "/market/stream?streams=btcusdt@trade/ethusdt@trade"


async def test_a_killed_market_goes_on_with_the_next_id() -> None:
    first = BinanceSimulatorProcess(SIM_RATE="5").start()
    async with client(first, "/market/ws/btcusdt@trade") as listener:
        before = await listener.take(20)
    first.kill()
    with BinanceSimulatorProcess(SIM_RATE="5") as second:
        async with client(second, "/market/ws/btcusdt@trade") as listener:
            after = await listener.take(5)
        last, key = before[-1]["t"], {"X-MBX-APIKEY": "tapestream-sim"}
        assert after[0]["t"] > last
        path = f"/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId={before[0]['t']}&limit=500"
        history = {row["id"]: row for row in second.get(path, **key)}
        for trade in [*before, *after]:
            if trade["X"] == "MARKET" and trade["t"] in history:
                row = history[trade["t"]]
                assert (row["price"], row["qty"], row["time"]) == (trade["p"], trade["q"], trade["T"])
        assert len(history.keys() & {trade["t"] for trade in before}) >= 19


def test_stop_is_quick_and_clean() -> None:
    simulator = BinanceSimulatorProcess().start()
    assert simulator.stop() == 0


async def test_stop_is_quick_with_clients() -> None:
    simulator = BinanceSimulatorProcess().start()
    async with client(simulator, BOTH) as listener:
        await listener.hear()
        assert simulator.stop() == 0


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(SimulatorFailedError) as failed:
            BinanceSimulatorProcess(BINANCE_SIM_PORT=port).start()
    assert "BINANCE_SIM_PORT" in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"TAPE": "nowhere.gz"}, "nowhere.gz"), ({"SPEED": "0"}, "TAPE"), ({"SIM_RATE": "x"}, "SIM_RATE")],
)
def test_a_wrong_setting_is_one_clear_line(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SimulatorFailedError) as failed:
        BinanceSimulatorProcess(**settings).start()
    assert words in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1


async def test_a_tape_waits_for_all_its_symbols_then_plays_all_of_it(tape_file: Path) -> None:
    with BinanceSimulatorProcess(TAPE=str(tape_file), SPEED="0") as simulator:
        status = simulator.get("/control/status")
        assert (status["started"], status["waiting_for"]) == (False, ["btcusdt@trade", "ethusdt@trade"])
        assert simulator.get("/fapi/v1/trades?symbol=BTCUSDT") == []
        info = simulator.get("/fapi/v1/exchangeInfo")
        assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
        async with client(simulator, "/market/ws/btcusdt@trade") as btc:
            assert simulator.get("/control/status")["waiting_for"] == ["ethusdt@trade"]
            async with client(simulator, "/market/ws/ethusdt@trade") as eth:
                ids = [frame["t"] for frame in await btc.take(1440)]
                await eth.take(1080)
                await wait_until(lambda: simulator.get("/control/status")["finished"])
                told = simulator.get("/control/report")["symbols"]["BTCUSDT@usdm"]
                assert ids == values(told["socket"])
                assert told["never"] == []
                assert len(simulator.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1m")) == 2
                # The sockets stay open after the end.
                await eth.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})
                assert (await eth.hear())["id"] == 1


async def test_a_started_tape_waits_for_nobody(tape_file: Path) -> None:
    with BinanceSimulatorProcess(TAPE=str(tape_file), SPEED="0") as simulator:
        simulator.post("/control/start")
        await wait_until(lambda: simulator.get("/control/status")["finished"])
        told = simulator.get("/control/report")["symbols"]["ETHUSDT@usdm"]
        assert told["socket"] == []
        assert told["never"] == [[told["first_id"], told["last_id"]]]
        from_id, key = told["first_id"], {"X-MBX-APIKEY": "tapestream-sim"}
        while rows := simulator.get(
            f"/fapi/v1/historicalTrades?symbol=ETHUSDT&fromId={from_id}&limit=500", **key
        ):
            from_id = rows[-1]["id"] + 1
        told = simulator.get("/control/report")["symbols"]["ETHUSDT@usdm"]
        assert values(told["never"]) == values(told["unpublished"])


async def test_speed_sets_the_pace_and_derived_streams_follow(tape_file: Path) -> None:
    with BinanceSimulatorProcess(TAPE=str(tape_file), SPEED="60") as simulator:
        streams = BOTH + "/btcusdt@aggTrade/btcusdt@kline_1m/btcusdt@ticker"
        async with client(simulator, streams) as listener:
            began = time.monotonic()
            closed = await listener.until(lambda frame: frame["data"].get("k", {}).get("x") is True)
            assert 0.7 < time.monotonic() - began < 3.0
            kinds = {frame["data"]["e"] for frame in closed}
            assert kinds == {"trade", "aggTrade", "kline", "24hrTicker"}
            candle = closed[-1]["data"]["k"]
            row = simulator.get("/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=2")[0]
            assert [candle[name] for name in "tohlcvTqnVQ"] == row[:11]


async def test_a_loop_goes_on_with_the_next_id(tape_file: Path) -> None:
    with BinanceSimulatorProcess(TAPE=str(tape_file), SPEED="0", LOOP="true") as simulator:
        async with client(simulator, BOTH) as listener:
            frames = []
            while len(frames) < 4000:
                frames.append((await listener.hear())["data"])
        btc = [frame for frame in frames if frame["s"] == "BTCUSDT"]
        assert len(btc) > 1440
        assert [frame["t"] for frame in btc] == list(range(btc[0]["t"], btc[0]["t"] + len(btc)))
        assert all(one["T"] <= other["T"] for one, other in itertools.pairwise(btc))
        assert btc[1440]["p"] == btc[0]["p"]
