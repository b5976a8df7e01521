"""Each fault does what it says, and the report says the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from websockets.exceptions import InvalidStatus

from tapestream.simulators.process import BinanceSimulatorProcess
from tests.integration.simulators.conftest import client, values, wait_until

STREAM = "/market/ws/btcusdt@trade"


@pytest.fixture(autouse=True)
def _calm(seeded: BinanceSimulatorProcess) -> Iterator[None]:
    yield
    seeded.post("/control/reset_faults")


def report(simulator: BinanceSimulatorProcess, symbol: str = "BTCUSDT@usdm") -> dict[str, Any]:
    return simulator.get("/control/report")["symbols"][symbol]


def is_trade(frame: Any) -> bool:
    return isinstance(frame, dict) and frame.get("e") == "trade"


async def test_drop_cuts_those_who_are_meant(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, STREAM) as btc, client(seeded, "/market/ws/ethusdt@trade") as eth:
        await btc.hear()
        assert seeded.post("/control/fault", {"kind": "drop", "symbol": "BTCUSDT"})["connections"] == 1
        assert await btc.until_closed() is None
        await eth.take(3)
    connections = seeded.get("/control/report")["connections"]
    assert [c["closed"] for c in connections if c["path"] == STREAM][-1] == "dropped"


async def test_skipped_trades_are_never_delivered_until_rest_serves_them(
    seeded: BinanceSimulatorProcess,
) -> None:
    async with client(seeded, STREAM) as listener:
        first = await listener.hear()
        seeded.post("/control/fault", {"kind": "skip", "symbol": "BTCUSDT", "n": 5})
        await wait_until(lambda: seeded.get("/control/report")["faults"]["skipped"] >= 5)
        frames = [first, *await listener.take(120)]
    ids = [frame["t"] for frame in frames]
    lacking = sorted(set(range(ids[0], ids[-1] + 1)) - set(ids))
    assert len(lacking) == 5
    told = report(seeded)
    assert set(lacking) <= set(values(told["never"]))
    assert not set(lacking) & set(values(told["socket"]))
    path = f"/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId={lacking[0]}&limit=5"
    served = {row["id"] for row in seeded.get(path, **{"X-MBX-APIKEY": "tapestream-sim"})}
    told = report(seeded)
    assert served <= set(values(told["rest"]))
    assert not served & set(values(told["never"]))
    # What REST does not serve is unpublished.
    assert set(lacking) & set(values(told["never"])) <= set(values(told["unpublished"]))


async def test_the_report_matches_what_a_client_received(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, "/market/ws/solusdt@trade") as listener:
        ids = [frame["t"] for frame in await listener.take(150)]
        told = report(seeded, "SOLUSDT@usdm")
    assert set(ids) <= set(values(told["socket"]))
    assert told["first_id"] == ids[0]
    assert not set(ids) & set(values(told["never"]))


async def test_mute_loses_and_stall_does_not(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, STREAM) as listener:
        last = (await listener.hear())["t"]
        seeded.post("/control/fault", {"kind": "stall", "seconds": 0.4})
        await wait_until(lambda: seeded.get("/control/status")["faults"] == [])
        ids = [frame["t"] for frame in await listener.take(60)]
        assert ids == list(range(last + 1, last + 61))
        seeded.post("/control/fault", {"kind": "mute", "seconds": 0.4})
        await listener.say({"method": "LIST_SUBSCRIPTIONS", "id": 1})
        await wait_until(lambda: seeded.get("/control/report")["faults"]["muted"] > 0)
        await wait_until(lambda: seeded.get("/control/status")["faults"] == [])
        frames = await listener.take(120)
    ids += [frame["t"] for frame in frames if is_trade(frame)]
    lacking = set(range(ids[0], ids[-1] + 1)) - set(ids)
    assert lacking
    assert lacking <= set(values(report(seeded)["never"]))


async def test_garbage_is_garbage_and_trades_go_on(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, STREAM) as listener:
        await listener.hear()
        seeded.post("/control/fault", {"kind": "garbage", "n": 8})
        rubbish, trades = 0, 0
        while rubbish < 8 or trades < 20:
            raw = await listener.raw()
            try:
                good = is_trade(json.loads(raw))
            except ValueError:
                good = False
            rubbish, trades = rubbish + (not good), trades + good
    assert rubbish == 8


async def test_duplicate_reorder_and_delay(seeded: BinanceSimulatorProcess) -> None:
    async with client(seeded, STREAM) as listener:
        await listener.hear()
        seeded.post("/control/fault", {"kind": "duplicate", "n": 4, "symbol": "BTCUSDT"})
        ids = [frame["t"] for frame in await listener.take(100)]
        assert len(ids) - len(set(ids)) == 4
        seeded.post("/control/fault", {"kind": "reorder", "n": 10, "symbol": "BTCUSDT"})
        ids = [frame["t"] for frame in await listener.take(150)]
        assert ids != sorted(ids)
        assert sorted(ids) == list(range(min(ids), min(ids) + 150))
        seeded.post("/control/fault", {"kind": "delay", "ms": 300, "stream": "btcusdt@trade"})
        await wait_until(lambda: seeded.get("/control/status")["faults"][0]["held"] > 0)
        late = await listener.until(lambda frame: time.time() * 1000 - frame["T"] >= 300)
        assert late[-1]["t"] > ids[-1]


async def test_refuse_and_rest_faults(seeded: BinanceSimulatorProcess) -> None:
    seeded.post("/control/fault", {"kind": "refuse", "seconds": 0.3})
    with pytest.raises(InvalidStatus) as refused:
        async with client(seeded, STREAM):
            pass
    assert refused.value.response.status_code == 503
    for kind, status in (("rest_down", 503), ("rest_429", 429)):
        seeded.post("/control/fault", {"kind": kind, "seconds": 0.3})
        with pytest.raises(HTTPError) as failed:
            seeded.get("/fapi/v1/ping")
        with failed.value as error:
            assert error.code == status
        await wait_until(lambda: seeded.get("/control/status")["faults"] == [])
    assert seeded.get("/fapi/v1/ping") == {}
    async with client(seeded, STREAM) as listener:
        await listener.hear()
