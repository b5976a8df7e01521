"""Candles against the obvious Decimal twin, and longer ones out of shorter ones."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from tapestream.simulators.binance.rows import kline_rows
from tapestream.simulators.binance.symbols import seeded_instruments
from tapestream.simulators.candles import FIXED_MS, OpenCandle, group, next_open, of_trades, open_of, whole
from tapestream.simulators.market import (
    MINUTE_NS,
    MS_NS,
    Instrument,
    InstrumentKey,
    Market,
    Trades,
    join_trades,
)
from tapestream.simulators.seeded_source import SeededSource
from tests.unit.simulators import naive

NOW_NS = 29_376_040 * MINUTE_NS + 17_000_000_000
SOURCE = SeededSource(seeded_instruments(7, ["ETHUSDT"], 0.3), lambda: NOW_NS)


def texts(instrument: Instrument, trades: Trades) -> list[tuple[int, int, str, str, bool]]:
    trades = trades.ordinary()
    return [
        (int(i), int(ts) // MS_NS, instrument.price_text(int(p)), instrument.qty_text(int(q)), bool(m))
        for i, ts, p, q, m in zip(
            trades.ids, trades.ts_ns, trades.ticks, trades.lots, trades.buyer_maker, strict=True
        )
    ]


@pytest.mark.parametrize("market", list(Market))
@pytest.mark.parametrize("interval", ["1s", "1m", "3m", "5m"])
def test_candles_equal_the_decimal_twin(market: Market, interval: str) -> None:
    key = InstrumentKey(market, "ETHUSDT")
    log = SOURCE.logs[key]
    start_ms = open_of(NOW_NS // MS_NS - 3_600_000, interval)
    rows = kline_rows(log.instrument, interval, SOURCE.candles(key, interval, start_ms, NOW_NS // MS_NS))
    twins = naive.candles(
        texts(log.instrument, log.between(start_ms * MS_NS, NOW_NS + 1)), FIXED_MS[interval]
    )
    filled = [row for row in rows if row[8]]
    assert len(filled) == len(twins) > 10
    for row, twin in zip(filled, twins, strict=True):
        assert row[0] == twin["start"]
        assert row[6] == twin["start"] + FIXED_MS[interval] - 1
        prices = [Decimal(text) for text in row[1:5]]
        assert prices == [twin["open"], twin["high"], twin["low"], twin["close"]]
        assert Decimal(row[5]) == twin["volume"]
        assert Decimal(row[9]) == twin["taker"]
        assert row[8] == twin["count"]
        # Spot cuts quote volumes to eight decimals.
        assert abs(Decimal(row[7]) - twin["quote"]) < Decimal("0.00000001")
        assert abs(Decimal(row[10]) - twin["taker_quote"]) < Decimal("0.00000001")


def test_flat_candles_fill_intervals_without_trades() -> None:
    key = InstrumentKey(Market.SPOT, "ETHUSDT")
    start_ms = open_of(NOW_NS // MS_NS - 120_000, "1s")
    rows = kline_rows(SOURCE.logs[key].instrument, "1s", SOURCE.candles(key, "1s", start_ms, NOW_NS // MS_NS))
    assert [row[0] for row in rows] == list(range(rows[0][0], rows[-1][0] + 1000, 1000))
    empty = [at for at, row in enumerate(rows) if not row[8]]
    assert empty
    for at in empty:
        assert rows[at][1:5] == [rows[at - 1][4]] * 4


@pytest.mark.parametrize("interval", ["15m", "1h", "4h"])
def test_long_candles_have_exact_prices_volume_count_and_ids(interval: str) -> None:
    key = InstrumentKey(Market.USDM, "ETHUSDT")
    start_ms = open_of(NOW_NS // MS_NS - 7_200_000, interval)
    long = SOURCE.candles(key, interval, start_ms, NOW_NS // MS_NS)
    exact = group(of_trades(SOURCE.logs[key].between(start_ms * MS_NS, NOW_NS + 1)), interval)
    for name in ("open_ms", "open", "high", "low", "close", "lots", "count", "first_id", "last_id"):
        np.testing.assert_array_equal(getattr(long, name), getattr(exact, name), err_msg=name)
    np.testing.assert_allclose(long.notional, exact.notional, rtol=0.01)


def test_grouping_in_steps_equals_grouping_at_once() -> None:
    log = SOURCE.logs[InstrumentKey(Market.USDM, "ETHUSDT")]
    candles = of_trades(log.between(NOW_NS - 3_600_000 * MS_NS, NOW_NS))
    at_once, in_steps = group(candles, "15m"), group(group(candles, "1m"), "15m")
    for name in type(candles).__slots__:
        np.testing.assert_array_equal(getattr(at_once, name), getattr(in_steps, name))
    assert int(whole(candles).count[0]) == len(candles)


def test_the_open_candle_equals_the_finished_one() -> None:
    log = SOURCE.logs[InstrumentKey(Market.USDM, "ETHUSDT")]
    trades = log.between(NOW_NS - 60_000 * MS_NS, NOW_NS).ordinary()
    candle = OpenCandle(0, 1, 0)
    for row in range(len(trades)):
        candle.add(
            int(trades.ids[row]), int(trades.ticks[row]), int(trades.lots[row]), bool(trades.buyer_maker[row])
        )
    finished = OpenCandle.of(whole(of_trades(trades)), 0, 1)
    names = set(OpenCandle.__slots__) - {"open_ms", "end_ms"}
    assert {name: getattr(candle, name) for name in names} == {
        name: getattr(finished, name) for name in names
    }


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    assert open_of(ms("2026-01-08T05:00:00"), "1w") == ms("2026-01-05T00:00:00")
    assert next_open(ms("2026-01-05T00:00:00"), "1w") == ms("2026-01-12T00:00:00")
    assert open_of(ms("2024-02-29T23:59:59"), "1M") == ms("2024-02-01T00:00:00")
    assert next_open(ms("2024-02-01T00:00:00"), "1M") == ms("2024-03-01T00:00:00")
    assert open_of(ms("2026-01-08T05:31:00"), "4h") == ms("2026-01-08T04:00:00")


def test_nothing_gives_nothing() -> None:
    assert len(group(of_trades(join_trades(())), "1m")) == 0
    assert len(whole(of_trades(join_trades(())))) == 0
