"""Rules over HTTP, in our form and in that of older front ends, and alerts at WebSocket clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.integration.alerts.rig import Rig
from tests.integration.gateway.running import Listener, RunningGateway
from tests.support.alert_cases import SECOND

pytestmark = pytest.mark.integration
OF = "BTCUSDT@binance_usdm"
T0 = 1_723_161_600 * SECOND


@pytest.fixture
async def gateway(rig: Rig) -> RunningGateway:
    await rig.start()
    return await rig.gateway()


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        yield client


def _trade(rig: Rig, number: int, price: float) -> None:
    rig.publish([("trade", OF, number, T0 + number * SECOND, price, "MARKET")])


async def test_a_rule_lives_and_dies(rig: Rig, client: httpx.AsyncClient) -> None:
    made = await client.post("/alerts", json={"metric": "price", "pair": "BTCUSDT", "op": ">", "value": 100})
    assert made.status_code == 201, made.text
    rule = made.json()
    assert (
        rule.items()
        >= {"metric": "price", "pair": "BTCUSDT", "op": ">", "operator": ">", "value": 100}.items()
    )
    assert rule.items() >= {"active": True, "trigger_count": 0, "version": 1}.items()
    path = f"/api/v1/alerts/{rule['id']}"

    _trade(rig, 1, 101.0)

    async def counted() -> bool:
        return (await client.get(path)).json()["trigger_count"] == 1

    await rig.eventually("counted", counted)
    history = (await client.get(f"{path}/history")).json()
    assert history["total"] == 1
    assert history["items"][0].items() >= {"actual_value": 101.0, "alert_id": rule["id"]}.items()

    async def in_health() -> bool:
        found = (await client.get("/health")).json()
        return (found["active_alerts"], found["triggered_alerts"]) == (1, 1)

    await rig.eventually("told by /health", in_health)

    patched = (await client.patch(path, json={"value": 200, "for": "5s"})).json()
    assert (patched["value"], patched["for"], patched["version"]) == (200.0, "5s", 2)
    same = await client.put(path, json=(await client.get(path)).json())
    assert same.status_code == 200, same.text
    assert same.json()["conditions"] == patched["conditions"]
    off = (await client.patch(path, json={"active": False})).json()
    assert (off["active"], off["enabled"]) == (False, False)
    listed = (await client.get("/api/v1/alerts", params={"active": True})).json()
    assert (listed["total"], listed["items"], listed["alerts"]) == (0, [], [])

    assert (await client.delete(path)).json() == {"status": "deleted", "id": rule["id"]}
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.get(f"{path}/history")).json()["total"] == 1, "what it fired stays"


async def test_pages(client: httpx.AsyncClient) -> None:
    for value in range(5):
        rule = {"metric": "close", "symbol": "ETHUSDT", "timeframe": "1m", "op": "<", "value": value}
        assert (await client.post("/api/v1/alerts", json=rule)).status_code == 201
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get("/api/v1/alerts", params={"limit": 2, "cursor": cursor})).json()
        assert (page["total"], page["has_more"]) == (5, page["next_cursor"] is not None)
        seen += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == 5
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"metric": "prize"}, "metric", "zscore"),
        ({"op": "=>"}, "op", "crosses_above"),
        ({"value": "5"}, "value", "number"),
        ({"symbol": "NOPE"}, "symbol", "BTCUSDT"),
        ({"metric": "zscore", "symbol": None, "pair": "BTCUSDT-NOPE"}, "pair", "BTCUSDT"),
        ({"metric": "zscore"}, "symbol", "A-B"),
        ({"for": "5 parsecs"}, "for", "30s"),
        ({"channels": ["bogus://x"]}, "channels.0", "apprise"),
        ({"timeframe": "1m"}, "timeframe", "left out"),
        ({"metric": "close", "timeframe": "7m"}, "timeframe", "1m"),
        ({"message": "{colour}"}, "message", "{value}"),
        ({"colour": "red"}, "colour", "metric"),
    ],
)
async def test_bad_input_is_told_field_by_field(
    client: httpx.AsyncClient, change: dict[str, Any], field: str, allowed: str
) -> None:
    rule = {"metric": "price", "symbol": "BTCUSDT", "op": ">", "value": 5} | change
    answer = await client.post("/api/v1/alerts", json=rule)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    errors = {one["field"]: one for one in answer.json()["errors"]}
    assert allowed in errors[field]["allowed"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
async def test_a_value_must_be_finite(client: httpx.AsyncClient, value: str) -> None:
    body = f'{{"metric": "price", "symbol": "BTCUSDT", "op": ">", "value": {value}}}'
    answer = await client.post("/alerts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "value"


async def test_alerts_reach_clients_that_did_not_choose_others(
    rig: Rig, gateway: RunningGateway, client: httpx.AsyncClient
) -> None:
    await client.post("/alerts", json={"metric": "price", "pair": "BTCUSDT", "op": ">", "value": 100})
    silent = await Listener.open(gateway.ws_url)
    symbols = await Listener.open(gateway.ws_url)
    asked = await Listener.open(gateway.ws_url)
    other = await Listener.open(gateway.ws_url)
    await symbols.subscribe(symbols=["ETHUSDT"])
    await asked.subscribe(channels=["alerts"])
    await other.subscribe(channels=["trades:BTCUSDT"])

    _trade(rig, 1, 101.0)

    for listener in (silent, symbols, asked):
        frame = await listener.until("alert", 10)
        assert (
            frame.items()
            >= {
                "metric": "price",
                "pair": "BTCUSDT",
                "actual_value": 101.0,
                "threshold_value": 100.0,
                "severity": "warning",
            }.items()
        )
        assert frame["id"]
        assert frame["alert_id"]
        assert frame["seq"]
        assert frame["ts"].endswith("Z")
    await other.until("trade", 10)
    await other.say(action="ping")
    await other.until("pong")
    assert "alert" not in [frame["type"] for frame in other.frames]
    for listener in (silent, symbols, asked, other):
        await listener.close()


async def test_without_alerts_it_says_who_is_missing(rig: Rig, client: httpx.AsyncClient) -> None:
    rig.kill()
    answer = await client.get("/api/v1/alerts")
    assert answer.status_code == 503
    assert "alerts" in answer.json()["detail"]
