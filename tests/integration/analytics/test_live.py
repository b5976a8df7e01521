"""Bars in, figures out: what statsmodels says of the same bars, once each, whatever is killed meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.signals import PairSignal
from tests.integration.analytics.rig import Rig, bar, eventually
from tests.support import candles
from tests.support.reference import adf_of_window, rolling_ols

pytestmark = pytest.mark.integration
ROWS, WINDOW, TOLERANCE = 5_200, 60, 1e-9
FIGURES = ("hedge_ratio", "intercept", "spread", "zscore", "correlation")
SETTINGS = {"LIVE_TIMEFRAME": "5m", "DEFAULT_ROLLING_WINDOW": str(WINDOW), "RADAR_TIMEFRAMES": "5m"}


@pytest.fixture(scope="module")
def closes() -> pd.DataFrame:
    return candles.closes(ROWS)


def bars_of(closes: pd.DataFrame) -> Iterator[Bar]:
    for ts_ns, a, b in closes.itertuples():
        yield bar("BTCUSDT", ts_ns, a)
        yield bar("ETHUSDT", ts_ns, b)


async def all_signals(rig: Rig, count: int) -> list[PairSignal]:
    """As many as there must be, and no more after analytics has read all there is."""

    async def there() -> list[PairSignal] | None:
        if await rig.count_signals() < count:
            return None
        found = await rig.signals()
        return found if len(found) >= count else None

    found = await eventually(f"{count} signals", there, 120)
    assert len(found) == count
    return found


def check(signals: list[PairSignal], closes: pd.DataFrame) -> None:
    """Every joined bar once, in order, with the figures of the reference."""
    assert [one.ts_ns for one in signals] == closes.index.tolist()
    assert {(one.rev, one.complete, one.window, one.method) for one in signals} == {(0, True, WINDOW, "ols")}
    wanted = rolling_ols(closes, WINDOW)
    for name in FIGURES:
        got = np.array([getattr(one, name) for one in signals], float)
        np.testing.assert_allclose(got, wanted[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
    assert sum(one.zscore is None for one in signals) == 2 * WINDOW - 2
    assert {one.reason for one in signals[: 2 * WINDOW - 2]} == {"too_short"}
    for row in random.Random(5).sample(range(2 * WINDOW, len(signals)), 40):
        statistic, pvalue = adf_of_window(closes, row, WINDOW)
        assert signals[row].adf_statistic == pytest.approx(statistic, rel=1e-6)
        assert signals[row].adf_pvalue == pytest.approx(pvalue, rel=1e-6, abs=1e-12)


async def check_rows(rig: Rig, signals: list[PairSignal]) -> None:
    """The table holds the same, figure by figure."""

    async def there() -> bool:
        return (await rig.rows("SELECT count(*) FROM signals"))[0][0] >= len(signals)

    await eventually("every signal is recorded", there)
    columns = (
        "price_a",
        "price_b",
        *FIGURES,
        "adf_statistic",
        "adf_pvalue",
        "half_life_bars",
        "reason",
        "rev",
    )
    rows = await rig.rows(
        f"SELECT (extract(epoch FROM ts) * 1000000)::int8 * 1000, {', '.join(columns)} FROM signals ORDER BY ts"
    )
    assert rows == [(one.ts_ns, *(getattr(one, name) for name in columns)) for one in signals]


async def test_figures_of_recorded_bars_are_those_of_statsmodels(rig: Rig, closes: pd.DataFrame) -> None:
    await rig.stream_symbols("BTCUSDT", "ETHUSDT")
    rig.start(**SETTINGS)
    await rig.ready()

    await rig.publish(bars_of(closes))

    signals = await all_signals(rig, len(closes))
    check(signals, closes)
    await check_rows(rig, signals)


async def test_a_killed_process_repeats_nothing_and_misses_nothing(rig: Rig, closes: pd.DataFrame) -> None:
    rng = random.Random(11)
    await rig.stream_symbols("BTCUSDT", "ETHUSDT")
    rig.start(**SETTINGS)
    publishing = asyncio.create_task(_slowly(rig, closes))
    kills = 0
    for share in sorted(rng.uniform(0.05, 0.9) for _ in range(4)):
        await eventually("progress", lambda share=share: _passed(rig, share * len(closes)), 120)
        rig.kill()
        kills += 1
        rig.start(**SETTINGS)
    await publishing

    signals = await all_signals(rig, len(closes))

    assert kills == 4
    check(signals, closes)
    await check_rows(rig, signals)


async def _passed(rig: Rig, count: float) -> bool:
    return await rig.count_signals() >= count


async def _slowly(rig: Rig, closes: pd.DataFrame) -> None:
    """In parts that wait for figures of most of what went before, so that kills meet bars under way."""
    step = 400
    for begin in range(0, len(closes), step):
        await rig.publish(bars_of(closes.iloc[begin : begin + step]))
        await eventually("analytics follows", lambda begin=begin: _passed(rig, begin - step), 120)
