"""Closes as they come, joined and made longer."""

from __future__ import annotations

import numpy as np

from tapestream.analytics.core.query import joined_legs
from tapestream.analytics.core.series import Change, Series, join, joined, resample_closes
from tapestream.common.contracts.messages import Bar, BarSource

MINUTE = 60_000_000_000


def bar(
    minute: int, close: float, *, rev: int = 0, trades: int = 1, source: BarSource = BarSource.TRADES
) -> Bar:
    return Bar(
        venue="v", symbol="S", timeframe="1m", ts_ns=minute * MINUTE, open=close, high=close, low=close, close=close,
        volume=1, quote_volume=1, buy_volume=0, trades=trades, first_id=1, last_id=1, complete=True, rev=rev,
        source=source,
    )  # fmt: skip


def series(minutes: list[int], depth: int = 10) -> Series:
    found = Series(depth)
    for minute in minutes:
        found.put(bar(minute, float(minute)))
    return found


def test_a_bar_counts_once_and_a_revision_changes_it() -> None:
    found = Series(10)
    assert found.put(bar(1, 5.0)) is Change.NEW
    assert found.put(bar(1, 5.0)) is Change.NOTHING
    assert found.put(bar(1, 5.0, rev=1)) is Change.NOTHING
    assert found.put(bar(1, 6.0, rev=2)) is Change.REVISED
    assert found.put(bar(1, 7.0, rev=1)) is Change.NOTHING
    assert found.put(bar(1, 8.0, rev=9, source=BarSource.VENUE)) is Change.NOTHING
    assert found.close_at(MINUTE) == 6.0


def test_bars_made_from_trades_stand_before_the_venues_own() -> None:
    found = Series(10)
    assert found.put(bar(1, 5.0, rev=3, source=BarSource.VENUE)) is Change.NEW
    assert found.put(bar(1, 6.0)) is Change.REVISED


def test_the_oldest_go_first_and_do_not_come_back() -> None:
    found = series([1, 2, 3, 4], depth=3)
    assert found.ts_ns.tolist() == [2 * MINUTE, 3 * MINUTE, 4 * MINUTE]
    assert found.is_full
    assert found.put(bar(1, 1.0)) is Change.NOTHING
    assert found.put(bar(0, 1.0)) is Change.NOTHING


def test_a_late_bar_takes_its_place() -> None:
    found = series([1, 3])
    assert found.put(bar(2, 2.0)) is Change.NEW
    assert found.ts_ns.tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]


def test_what_is_recorded_fills_holes_and_replaces_nothing() -> None:
    found = series([3, 5])
    ts = np.array([1, 2, 3, 4], np.int64) * MINUTE
    found.fill(ts, np.array([10.0, 20.0, 30.0, 40.0]))
    assert found.close.tolist() == [10.0, 20.0, 3.0, 40.0, 5.0]
    assert found.put(bar(4, 41.0)) is Change.REVISED


def test_what_is_saved_is_restored() -> None:
    found = series([1, 2, 3])
    again = Series(10, found.saved())
    assert again.ts_ns == found.ts_ns
    assert again.put(bar(3, 3.0)) is Change.NOTHING


def test_a_join_keeps_common_bars_only() -> None:
    a, b = series([1, 2, 4, 5]), series([2, 3, 5, 6])
    ts, y, x = join(a.part(), b.part())
    assert (ts // MINUTE).tolist() == y.tolist() == x.tolist() == [2, 5]
    assert joined(a, b, 1, 4 * MINUTE)[1].tolist() == [2.0]
    assert joined(a, b, 2, 9 * MINUTE)[1].tolist() == [2.0, 5.0]
    assert a.count_between(2 * MINUTE, 5 * MINUTE) == 1


def test_bars_alone_are_counted_where_both_legs_have_any() -> None:
    a, b = series([1, 2, 4, 5, 7]), series([2, 3, 5, 6])
    ts, _, _, alone_a, alone_b = joined_legs(a.part(), b.part())
    assert (ts // MINUTE).tolist() == [2, 5]
    assert (alone_a, alone_b) == (1, 2)


def test_longer_bars_take_the_last_close_and_wait_for_their_end() -> None:
    ts = np.array([0, 1, 3, 5, 9, 10], np.int64) * MINUTE
    longer, close = resample_closes(ts, np.arange(6.0), MINUTE, 5 * MINUTE)
    assert (longer // MINUTE).tolist() == [0, 5]
    assert close.tolist() == [2.0, 4.0]
    longer, close = resample_closes(ts[:5], np.arange(5.0), MINUTE, 5 * MINUTE)
    assert close.tolist() == [2.0, 4.0]
