"""REST endpoints, their refusals and their limits, over real HTTP."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.error import HTTPError

import pytest

from tapestream.simulators.process import BinanceSimulatorProcess

KEY = {"X-MBX-APIKEY": "tapestream-sim"}
TREES = ["/api/v3", "/fapi/v1"]


def refusal(simulator: BinanceSimulatorProcess, path: str, **headers: str) -> tuple[int, Any]:
    with pytest.raises(HTTPError) as refused:
        simulator.get(path, **headers)
    with refused.value as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("tree", TREES)
def test_basics(seeded: BinanceSimulatorProcess, tree: str) -> None:
    assert seeded.get(f"{tree}/ping") == {}
    assert seeded.get(f"{tree}/time")["serverTime"] > 1_700_000_000_000
    info = seeded.get(f"{tree}/exchangeInfo")
    assert {symbol["symbol"] for symbol in info["symbols"]} >= {"BTCUSDT", "ADAUSDT"}
    assert info["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"


@pytest.mark.parametrize("tree", TREES)
def test_history_reaches_back_and_is_the_same_twice(seeded: BinanceSimulatorProcess, tree: str) -> None:
    last = seeded.get(f"{tree}/trades?symbol=BTCUSDT&limit=1")[0]["id"]
    path = f"{tree}/historicalTrades?symbol=BTCUSDT&limit=500&fromId={last - 300_000}"
    trades = seeded.get(path, **KEY)
    assert trades == seeded.get(path, **KEY)
    assert trades[0]["id"] == last - 300_000
    assert len(trades) == 500
    assert ("isBestMatch" in trades[0]) == (tree == "/api/v3")
    start = trades[0]["time"]
    aggs = seeded.get(
        f"{tree}/aggTrades?symbol=BTCUSDT&startTime={start}&endTime={start + 20_000}&limit=1000"
    )
    assert all(start <= agg["T"] <= start + 20_000 for agg in aggs)
    again = seeded.get(f"{tree}/aggTrades?symbol=BTCUSDT&fromId={aggs[0]['a']}&limit={len(aggs)}")
    assert again == aggs
    assert [agg["a"] for agg in aggs] == list(range(aggs[0]["a"], aggs[0]["a"] + len(aggs)))


def test_unpublished_trades_are_left_out_of_usdm_lists(seeded: BinanceSimulatorProcess) -> None:
    last = seeded.get("/fapi/v1/trades?symbol=BTCUSDT&limit=1")[0]["id"]
    missing: list[int] = []
    from_id = last - 20_000
    while len(missing) < 2:
        trades = seeded.get(f"/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=500&fromId={from_id}", **KEY)
        ids = [trade["id"] for trade in trades]
        assert len(ids) == 500
        missing += sorted(set(range(from_id, ids[-1] + 1)) - set(ids))
        from_id = ids[-1] + 1
    row = seeded.get(f"/fapi/v1/historicalTrades?symbol=BTCUSDT&limit=1&fromId={missing[0]}", **KEY)
    assert row[0]["id"] == missing[0] + 1
    aggs = seeded.get(f"/fapi/v1/aggTrades?symbol=BTCUSDT&startTime={row[0]['time'] - 5000}&limit=1000")
    assert not [agg for agg in aggs if agg["l"] == missing[0]]


@pytest.mark.parametrize("tree", TREES)
def test_klines(seeded: BinanceSimulatorProcess, tree: str) -> None:
    rows = seeded.get(f"{tree}/klines?symbol=ETHUSDT&interval=1m&limit=5")
    assert len(rows) == 5
    assert [row[0] for row in rows] == list(range(rows[0][0], rows[0][0] + 300_000, 60_000))
    finished = rows[-3]
    window = f"startTime={finished[0]}&endTime={finished[6]}"
    assert seeded.get(f"{tree}/klines?symbol=ETHUSDT&interval=1m&{window}") == [finished]
    aggs: list[dict[str, Any]] = seeded.get(f"{tree}/aggTrades?symbol=ETHUSDT&{window}&limit=1000")
    while len(page := seeded.get(f"{tree}/aggTrades?symbol=ETHUSDT&fromId={aggs[-1]['a'] + 1}&limit=1000")):
        page = [agg for agg in page if agg["T"] <= finished[6]]
        aggs += page
        if len(page) < 1000:
            break
    assert sum(Decimal(agg["q"]) for agg in aggs) == Decimal(finished[5])
    assert max(Decimal(agg["p"]) for agg in aggs) == Decimal(finished[2])
    assert len(seeded.get(f"{tree}/klines?symbol=ETHUSDT&interval=1d&limit=30")) == 30
    assert len(seeded.get(f"{tree}/klines?symbol=ETHUSDT&interval=1M&limit=3")) == 3


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("trades", -1102),
        ("trades?symbol=NOSUCH", -1121),
        ("trades?symbol=btc", -1100),
        ("trades?symbol=BTCUSDT&limit=abc", -1100),
        ("trades?symbol=BTCUSDT&limit=0", -1130),
        ("klines?symbol=BTCUSDT", -1102),
        ("klines?symbol=BTCUSDT&interval=2m", -1120),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=5&endTime=4", -1128),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", -1128),
    ],
)
def test_refusals(seeded: BinanceSimulatorProcess, tree: str, query: str, code: int) -> None:
    status, body = refusal(seeded, f"{tree}/{query}")
    assert (status, body["code"]) == (400, code)
    assert body["msg"]


def test_limits_differ_between_the_markets(seeded: BinanceSimulatorProcess) -> None:
    assert refusal(seeded, "/fapi/v1/trades?symbol=BTCUSDT&limit=1001")[1]["code"] == -1130
    assert len(seeded.get("/api/v3/trades?symbol=BTCUSDT&limit=5000")) == 1000
    assert refusal(seeded, "/fapi/v1/depth?symbol=BTCUSDT&limit=7")[1]["code"] == -4021
    assert len(seeded.get("/api/v3/depth?symbol=BTCUSDT&limit=7")["bids"]) == 7


@pytest.mark.parametrize("tree", TREES)
def test_historical_trades_demand_the_key(seeded: BinanceSimulatorProcess, tree: str) -> None:
    path = f"{tree}/historicalTrades?symbol=BTCUSDT&limit=5"
    assert refusal(seeded, path) == (401, {"code": -2014, "msg": "API-key format invalid."})
    assert refusal(seeded, path, **{"X-MBX-APIKEY": "wrong"})[1]["code"] == -2015
    assert len(seeded.get(path, **KEY)) == 5


def test_the_weight_limit_is_kept() -> None:
    def ask_on(simulator: BinanceSimulatorProcess) -> None:
        for _ in range(40):  # more than one minute's worth, should a minute end meanwhile
            simulator.get("/fapi/v1/trades?symbol=BTCUSDT")

    with BinanceSimulatorProcess(BINANCE_SIM_WEIGHT_LIMIT="12") as simulator:
        with pytest.raises(HTTPError) as refused:
            ask_on(simulator)
        with refused.value as error:
            assert error.code == 429
            assert 1 <= int(error.headers["Retry-After"]) <= 61
            assert json.load(error)["code"] == -1003


def test_bad_orders_are_refused_clearly(seeded: BinanceSimulatorProcess) -> None:
    with pytest.raises(HTTPError) as refused:
        seeded.post("/control/fault", {"kind": "mute"})
    with refused.value as error:
        assert error.code == 422
        assert "seconds" in error.read().decode()
