"""Pair analytics as clients see them: HTTP, CSV, WebSocket."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import httpx
import pandas as pd
import pytest

from tests.integration.analytics.rig import Rig, eventually
from tests.integration.analytics.test_pairs import MINUTE_NS, SETTINGS, START_NS, legs, prices, some
from tests.integration.gateway.running import Listener, RunningGateway
from tests.support.reference import rolling_ols

pytestmark = pytest.mark.integration


@pytest.fixture
async def gateway(rig: Rig) -> AsyncIterator[RunningGateway]:
    await rig.stream_symbols("AAA", "BBB")
    made = RunningGateway(
        rig.folder,
        NATS_URL=rig.nats_url,
        DATABASE_URL=rig.database_url,
        SUBJECT_PREFIX=rig.subjects.prefix,
        STREAM_STORE_BYTES=str(256 << 20),
        **SETTINGS,
    )
    await (await made.start()).memory_ready()
    yield made
    made.stop()


async def test_http_answers_with_the_fields_of_the_seed(rig: Rig, gateway: RunningGateway) -> None:
    table = prices(90)
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        away = await client.get("/analytics/pair", params={"pair": "AAA-BBB"})
        assert away.status_code == 503
        assert "analytics does not answer" in away.json()["detail"]
        rig.start(**SETTINGS)
        await rig.ready()
        await rig.publish(legs(table))
        await some(rig, 90)

        answer = await client.get("/analytics/pair", params={"pair": "aaa-bbb", "tf": "1m", "limit": 40})
        body = answer.json()
        assert body.keys() >= {"pair", "hedge_ratio", "spread", "zscore", "rolling_corr", "adf"}
        assert body["adf"].keys() >= {"pvalue", "stat"}
        wanted = rolling_ols(table, 10)
        for name, column in (("zscore", "zscore"), ("rolling_corr", "correlation"), ("spread", "spread")):
            got = [point["value"] for point in body[name]]
            assert got == pytest.approx(wanted[column].to_list()[-40:], rel=1e-9, abs=1e-9)
        assert body["zscore"][-1]["ts"] == "2024-05-01T11:29:00.000Z"

        adf = (await client.get("/api/v1/analytics/adf", params={"pair": "AAA-BBB"})).json()
        assert adf["stat"] == body["adf"]["stat"]
        assert isinstance(adf["is_stationary"], bool)
        assert "5 %" in adf["interpretation"]
        radar = (await client.get("/api/v1/analytics/radar")).json()
        assert radar["pairs"] <= 1

        for parameters, status, field in (
            ({"pair": "AAA-BBB", "window": 1}, 400, "window"),
            ({"pair": "AAA-BBB", "method": "olss"}, 400, "method"),
            ({"pair": "AAA-BBB", "tf": "7m"}, 400, "tf"),
            ({"pair": "AAA-NOPE"}, 404, "pair"),
            ({"pair": "A-A-A"}, 422, "pair"),
        ):
            problem = await client.get("/api/v1/analytics/pair", params=parameters)
            assert problem.status_code == status
            assert problem.headers["content-type"] == "application/problem+json"
            assert problem.json()["errors"][0]["field"] == field
            assert problem.json()["errors"][0]["allowed"]


async def test_csv_and_stored_signals(rig: Rig, gateway: RunningGateway) -> None:
    table = prices(90)
    rig.start(**SETTINGS)
    await rig.ready()
    await rig.publish(legs(table, without_b=[40]))
    await some(rig, 89)
    common = table.drop(table.index[40])
    wanted = rolling_ols(common, 10)
    async with httpx.AsyncClient(base_url=gateway.url) as client:
        text = (await client.get("/export", params={"pair": "AAA-BBB", "kind": "analytics"})).text
        assert "# adf_statistic=" in text
        found = pd.read_csv(io.StringIO(text), comment="#", parse_dates=["timestamp"])
        assert list(found.columns) == ["timestamp", "hedge_ratio", "spread", "zscore", "rolling_correlation"]
        starts = found["timestamp"].astype("datetime64[ns, UTC]").astype("int64")
        assert starts.tolist() == common.index.tolist()
        for column, name in (
            ("zscore", "zscore"),
            ("rolling_correlation", "correlation"),
            ("hedge_ratio", "hedge_ratio"),
        ):
            assert found[column].to_list() == pytest.approx(
                wanted[name].to_list(), rel=1e-9, abs=1e-9, nan_ok=True
            )

        async def recorded() -> bool:
            return (await client.get("/api/v1/signals")).json()["total"] == 89

        await eventually("all signals are recorded", recorded)
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (
                await client.get("/api/v1/signals", params={"pair": "AAA-BBB", "limit": 30, "cursor": cursor})
            ).json()
            assert page["total"] == 89
            seen += [item["ts"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert len(seen) == len(set(seen)) == 89
        assert seen == sorted(seen, reverse=True)
        assert (await client.get("/api/v1/signals", params={"timeframe": "5m"})).json()["items"] == []


async def test_a_websocket_client_gets_complete_and_provisional_figures(
    rig: Rig, gateway: RunningGateway
) -> None:
    table = prices(60)
    rig.start(LIVE_PAIRS="none", **SETTINGS)
    await rig.ready()
    await rig.publish(legs(table.iloc[:50]))
    listener = await Listener.open(gateway.ws_url)

    await listener.subscribe(channels=["signals:AAA-BBB"], on_tick=True, window=8)
    first = await listener.until("signal", 20)
    await rig.publish(legs(table.iloc[50:]))
    frames = await listener.collect("signal", 10, 20)

    wanted = rolling_ols(table, 8)
    assert (first["pair"], first["window"], first["complete"]) == ("AAA-BBB", 8, True)
    got = [first, *frames]
    assert [frame["zscore"] for frame in got] == pytest.approx(
        wanted["zscore"].to_list()[49:], rel=1e-9, abs=1e-9
    )
    assert [frame["seq"] for frame in got] == sorted({frame["seq"] for frame in got})

    await rig.trade("AAA", START_NS + 60 * MINUTE_NS + 1, 210.0)
    provisional = await listener.until("signal", 20)
    assert (provisional["complete"], provisional["price_a"], provisional["ts"]) == (
        False,
        210.0,
        "2024-05-01T11:00:00.000Z",
    )
    assert provisional["price_b"] == table["b"].iloc[-1]
    assert "seq" not in provisional

    await listener.say(action="subscribe", channels=["signals:AAA-NOPE", "signals:9m:AAA-BBB"])
    errors = await listener.collect("error", 2)
    assert ["NOPE" in errors[0]["message"], errors[1]["allowed"]] == [True, "1s, 1m, 5m"]

    assert await rig.watches()
    await listener.say(action="unsubscribe", channels=["signals:AAA-BBB"])

    async def ended() -> bool:
        return not await rig.watches()

    await eventually("the watch is removed with its last listener", ended)
    await listener.close()
