"""Pairs that are awkward: legs that miss bars, bars that are revised, two venues, prices that stand still."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from tapestream.common.contracts.pair_queries import (
    AdfReply,
    AdfRequest,
    PairReply,
    PairRequest,
    RadarReply,
    RadarRequest,
)
from tapestream.common.contracts.signals import PairSignal, PairWatch
from tests.integration.analytics.rig import VENUE, Rig, bar, eventually
from tests.support.reference import rolling_ols

pytestmark = pytest.mark.integration
START_NS, MINUTE_NS = 1_714_557_600_000_000_000, 60_000_000_000
WINDOW = 10
A, B = f"AAA@{VENUE}", f"BBB@{VENUE}"
SETTINGS = {"DEFAULT_ROLLING_WINDOW": str(WINDOW)}


def prices(rows: int, seed: int = 3) -> pd.DataFrame:
    """A cointegrated pair, by start of the bar."""
    rng = np.random.default_rng(seed)
    b = 100 + np.cumsum(rng.normal(size=rows))
    a = 2 * b + 5 + rng.normal(size=rows)
    index = [START_NS + row * MINUTE_NS for row in range(rows)]
    return pd.DataFrame({"a": a.round(6), "b": b.round(6)}, index=index)


def legs(
    table: pd.DataFrame, without_a: Sequence[int] = (), without_b: Sequence[int] = (), venue_b: str = VENUE
):
    """Bars of both; some rows are left out of one of them."""
    for row, (ts_ns, a, b) in enumerate(table.itertuples()):
        if row not in without_a:
            yield bar("AAA", ts_ns, a, timeframe="1m")
        if row not in without_b:
            yield bar("BBB", ts_ns, b, timeframe="1m", venue=venue_b)


async def some(rig: Rig, count: int) -> list[PairSignal]:
    async def there() -> list[PairSignal] | None:
        found = await rig.signals()
        return found if len(found) >= count else None

    found = await eventually(f"{count} signals", there)
    assert len(found) == count
    return found


def close_to(signals: Sequence[PairSignal], wanted: pd.DataFrame) -> None:
    assert [one.ts_ns for one in signals] == wanted.index.tolist()
    for name in wanted.columns:
        got = np.array([getattr(one, name) for one in signals], float)
        np.testing.assert_allclose(got, wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


async def started(rig: Rig, **settings: str) -> None:
    await rig.stream_symbols("AAA", "BBB")
    rig.start(**SETTINGS, **settings)
    await rig.ready()


def question(**fields: object) -> PairRequest:
    values = {"a": A, "b": B, "timeframe": "1m", "window": WINDOW, "method": "ols", "limit": 4000}
    return PairRequest(**(values | fields))  # type: ignore[arg-type]


async def test_only_bars_that_both_have_count(rig: Rig) -> None:
    table = prices(80)
    await started(rig)

    await rig.publish(legs(table, without_a=[20, 21, 50], without_b=[33]))

    common = table.drop(table.index[[20, 21, 33, 50]])
    signals = await some(rig, len(common))
    close_to(signals, rolling_ols(common, WINDOW))
    reply = await rig.ask("pair", question(), PairReply)
    assert (reply.bars_joined, reply.bars_dropped_a, reply.bars_dropped_b) == (76, 1, 3)


async def test_an_answer_equals_what_was_published(rig: Rig) -> None:
    table = prices(120)
    await started(rig)
    await rig.publish(legs(table))
    signals = await some(rig, len(table))

    reply = await rig.ask("pair", question(limit=50), PairReply)

    assert reply.error == ""
    assert (reply.hedge, reply.window_used, reply.warnings) == ("rolling", WINDOW, [])
    assert reply.ts_ns == [one.ts_ns for one in signals[-50:]]
    for name in ("hedge_ratio", "intercept", "spread", "zscore", "correlation"):
        wanted = [getattr(one, name) for one in signals[-50:]]
        assert getattr(reply, name) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert reply.adf is not None
    assert reply.adf.pvalue == pytest.approx(signals[-1].adf_pvalue, rel=1e-6)
    assert reply.half_life_bars == pytest.approx(signals[-1].half_life_bars, rel=1e-6)
    tested = await rig.ask("adf", AdfRequest(a=A, b=B, timeframe="1m", window=WINDOW), AdfReply)
    assert tested.adf == reply.adf
    pages: list[int] = []
    at: int | None = START_NS
    while at is not None:
        page = await rig.ask("pair", question(limit=33, oldest_first=True, start_ns=at), PairReply)
        for name in ("hedge_ratio", "zscore"):
            wanted = [getattr(one, name) for one in signals[len(pages) : len(pages) + len(page.ts_ns)]]
            np.testing.assert_allclose(
                np.array(getattr(page, name), float), np.array(wanted, float), rtol=1e-9, atol=1e-9
            )
        pages += page.ts_ns
        at = page.next_start_ns
    assert pages == table.index.tolist()


async def test_a_revised_bar_changes_its_figures_and_those_that_follow(rig: Rig) -> None:
    table = prices(60)
    await started(rig)
    await rig.publish(legs(table.iloc[:50]))
    await some(rig, 50)
    revised = table.copy()
    revised.iloc[45, 0] += 3.5

    await rig.publish([bar("AAA", table.index[45], revised.iloc[45, 0], timeframe="1m", rev=1)])
    again = (await some(rig, 51))[-1]
    await rig.publish(legs(revised.iloc[50:]))
    signals = await some(rig, 61)

    assert (again.ts_ns, again.rev, again.price_a) == (table.index[45], 1, revised.iloc[45, 0])
    wanted = rolling_ols(revised, WINDOW)
    close_to([again], wanted.iloc[45:46])
    close_to(signals[51:], wanted.iloc[50:])

    async def replaced() -> bool:
        rows = await rig.rows("SELECT rev, price_a FROM signals WHERE rev > 0")
        count = await rig.rows("SELECT count(*) FROM signals")
        return rows == [(1, revised.iloc[45, 0])] and count == [(60,)]

    await eventually("the table holds the revision alone", replaced)


async def test_a_new_watch_has_its_z_score_at_once(rig: Rig) -> None:
    table = prices(200)
    await rig.record(legs(table.iloc[:150]))
    await started(rig, LIVE_PAIRS="none")
    await rig.publish(legs(table.iloc[150:160]))

    await rig.watch("desk", PairWatch(a=A, b=B, timeframe="1m", window=40, method="OLS"))
    first = (await some(rig, 1))[0]
    await rig.publish(legs(table.iloc[160:]))
    signals = await some(rig, 41)

    assert first.ts_ns == table.index[159]
    close_to(signals, rolling_ols(table, 40).iloc[159:])
    reply = await rig.ask("pair", question(window=40), PairReply)
    assert reply.bars_joined == 200
    assert reply.zscore[-41:] == pytest.approx([one.zscore for one in signals], rel=1e-9, abs=1e-9)


async def test_bars_that_are_not_recorded_yet_come_from_the_stream(rig: Rig) -> None:
    """A recorder that lags further behind than memory reaches leaves no hole in an answer."""
    table = prices(700)
    await rig.record(legs(table.iloc[:40]))
    await started(rig, LIVE_PAIRS="none")
    await rig.publish(legs(table))

    async def read() -> PairReply | None:
        reply = await rig.ask("pair", question(), PairReply)
        return reply if reply.ts_ns and reply.ts_ns[-1] == table.index[-1] else None

    reply = await eventually("the newest bar is in an answer", read)
    assert reply.ts_ns == table.index.tolist()
    wanted = rolling_ols(table, WINDOW)["zscore"]
    np.testing.assert_allclose(np.array(reply.zscore, float), wanted, rtol=1e-9, atol=1e-9)


async def test_legs_of_two_venues(rig: Rig) -> None:
    table = prices(40)
    await rig.stream_symbols("AAA")
    await rig.stream_symbols("BBB", venue="binance_spot")
    rig.start(**SETTINGS)
    await rig.ready()

    await rig.publish(legs(table, venue_b="binance_spot"))

    signals = await some(rig, 40)
    venues = {f"{one.symbol_a}@{one.venue_a}-{one.symbol_b}@{one.venue_b}" for one in signals}
    assert venues == {f"AAA@{VENUE}-BBB@binance_spot"}
    wanted = rolling_ols(table, WINDOW)
    close_to(signals, wanted)


async def test_what_is_undefined_is_null_and_says_why(rig: Rig) -> None:
    table = prices(40)
    table["b"] = 100.0
    await started(rig)
    await rig.publish(legs(table))

    last = (await some(rig, 40))[-1]

    assert (last.hedge_ratio, last.zscore, last.correlation, last.adf_pvalue) == (None, None, None, None)
    assert last.reason == "constant"
    reply = await rig.ask("pair", question(limit=3), PairReply)
    assert reply.hedge_ratio == [None, None, None]
    assert reply.reasons["newest"] == "constant"
    assert reply.adf is not None
    assert reply.adf.pvalue is None


async def test_a_question_that_cannot_be_answered_is_told_why(rig: Rig) -> None:
    table = prices(30)
    await started(rig)
    await rig.publish(legs(table))
    await some(rig, 30)

    for fields, field in (
        ({"window": 1}, "window"),
        ({"window": 10_001}, "window"),
        ({"method": "olss"}, "method"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"b": A}, "b"),
        ({"a": ""}, "a"),
        ({"limit": 0}, "limit"),
        ({"start_ns": 5, "end_ns": 5}, "end_ns"),
    ):
        reply = await rig.ask("pair", question(**fields), PairReply)
        assert reply.error_field == field, fields
        assert reply.error
    nothing = await rig.ask("pair", question(end_ns=START_NS), PairReply)
    assert "no bar at the same time" in nothing.error
    short = await rig.ask("pair", question(window=50, limit=1), PairReply)
    assert (short.window, short.window_used) == (50, 15)
    assert "longer than the 30 bars" in short.warnings[0]
    assert short.zscore[0] is not None
    garbage = await rig.bus.nc.request(rig.subjects.rpc("analytics", "pair"), b"{", timeout=10)
    assert b"cannot be read" in garbage.data
    assert (await rig.ask("radar", RadarRequest(timeframe="5m"), RadarReply)).error_field == "timeframe"


async def test_a_watch_that_cannot_be_computed_is_refused_by_name(rig: Rig) -> None:
    await started(rig, LIVE_PAIRS="none")
    fine = PairWatch(a=A, b=B, timeframe="1m", window=5, method="ols")

    await rig.watch(
        "desk",
        PairWatch(a=A, b=B, timeframe="3m", window=5, method="ols"),
        PairWatch(a=A, b="@", timeframe="1m", window=5, method="ols"),
        PairWatch(a=A, b=B, timeframe="1m", window=5, method="magic"),
        fine,
    )
    await rig.publish(legs(prices(3)))

    await eventually("the good one works", rig.signals)
    assert rig.log.count("watch_refused") == 3


async def test_the_radar_ranks_every_pair(rig: Rig) -> None:
    table = prices(260)
    noise = np.random.default_rng(8).normal(size=260).cumsum() + 300
    await rig.stream_symbols("AAA", "BBB", "CCC")
    rig.start(LIVE_PAIRS="none")
    await rig.ready()
    await rig.publish(legs(table))

    await rig.publish(
        bar("CCC", ts, price, timeframe="1m") for ts, price in zip(table.index, noise, strict=True)
    )

    async def newest() -> RadarReply | None:
        reply = await rig.ask("radar", RadarRequest(timeframe="1m"), RadarReply)
        return reply if reply.radar is not None and reply.radar.pairs == 3 else None

    radar = (await eventually("a radar of three pairs", newest)).radar
    assert (radar.rows[0].a, radar.rows[0].b, radar.rows[0].rank) == (A, B, 1)
    assert radar.rows[0].pvalue < 0.05
    assert len(radar.rows) == 3


async def test_a_new_watch_survives_a_kill_before_any_snapshot(rig: Rig) -> None:
    table = prices(200)
    await started(rig, LIVE_PAIRS="none")
    await rig.publish(legs(table.iloc[:60]))
    await rig.watch("desk", PairWatch(a=A, b=B, timeframe="1m", window=20, method="ols"))
    await some(rig, 1)
    await rig.publish(legs(table.iloc[60:100]))
    await some(rig, 41)

    rig.kill()
    await rig.publish(legs(table.iloc[100:150]))
    rig.start(LIVE_PAIRS="none", **SETTINGS)
    await rig.publish(legs(table.iloc[150:]))

    close_to(await some(rig, 141), rolling_ols(table, 20).iloc[59:])
