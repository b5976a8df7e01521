"""Bars in memory, joined with history, and made longer."""

from __future__ import annotations

import pytest

from tapestream.common.bars import base_timeframe, merge_bars, resample
from tapestream.common.contracts.messages import Bar, BarSource
from tapestream.gateway.core.bar_ring import BarRing

MINUTE_NS = 60_000_000_000


def bar(minute: int, *, close: float = 1.0, trades: int = 1, complete: bool = True, rev: int = 0, source: BarSource = BarSource.TRADES) -> Bar:  # fmt: skip
    return Bar(
        venue="v", symbol="S", timeframe="1m", ts_ns=minute * MINUTE_NS, open=1.0, high=max(1.0, close),
        low=min(1.0, close), close=close, volume=0.1, quote_volume=close, buy_volume=0.0, trades=trades,
        first_id=minute, last_id=minute, complete=complete, rev=rev, source=source,
    )  # fmt: skip


def test_a_state_that_was_seen_is_known() -> None:
    ring = BarRing(10)
    ring.put(bar(1, trades=2, complete=False), 1)

    assert ring.is_known(bar(1, trades=1, complete=False))
    assert ring.is_known(bar(1, trades=2, complete=False))
    assert not ring.is_known(bar(1, trades=3, complete=False))
    assert not ring.is_known(bar(1, trades=2))
    ring.put(bar(1, trades=5), 2)
    assert ring.is_known(bar(1, trades=9, complete=False))
    assert not ring.is_known(bar(1, trades=5, rev=1))


def test_bars_made_from_trades_stand_before_the_venues_own() -> None:
    ring = BarRing(10)
    venue = bar(1, close=9.0, trades=9, rev=3, source=BarSource.VENUE)
    ring.put(venue, 1)

    assert not ring.is_known(bar(1))
    ring.put(bar(1), 2)
    assert ring.is_known(venue)
    assert merge_bars([bar(1)], [venue]) == merge_bars([venue], [bar(1)]) == [bar(1)]


def test_corrections_and_venue_bars_do_not_make_memory_whole() -> None:
    ring = BarRing(10)
    ring.put(bar(1, rev=1), 1)
    ring.put(bar(2, source=BarSource.VENUE), 2)
    assert ring.whole_from_ns is None

    ring.put(bar(5), 3)
    assert ring.whole_from_ns == 5 * MINUTE_NS
    assert [one.ts_ns // MINUTE_NS for one in ring.between(None, None)] == [1, 2, 5]


def test_old_bars_leave_and_the_whole_part_moves() -> None:
    ring = BarRing(3)
    for minute in range(6):
        ring.put(bar(minute), minute + 1)

    assert [one.ts_ns // MINUTE_NS for one in ring.between(None, None)] == [3, 4, 5]
    assert ring.whole_from_ns == 3 * MINUTE_NS
    assert [seq for seq, _ in ring.after_seq(4)] == [5, 6]


def test_the_newer_state_counts() -> None:
    merged = merge_bars(
        [bar(1, rev=1, close=3.0), bar(2, close=2.0)], [bar(1, close=9.0), bar(2, close=5.0, rev=1), bar(3)]
    )

    assert [(one.ts_ns // MINUTE_NS, one.close) for one in merged] == [(1, 3.0), (2, 5.0), (3, 1.0)]


def test_longer_bars_are_made_of_shorter_ones() -> None:
    made = resample([bar(n, close=float(n), trades=n) for n in range(5, 12)], "5m")

    assert [(one.ts_ns // MINUTE_NS, one.close, one.trades, one.complete) for one in made] == [
        (5, 9.0, 35, True),
        (10, 11.0, 21, False),
    ]
    assert made[0].volume == 0.5
    assert (made[0].high, made[0].low) == (9.0, 1.0)


@pytest.mark.parametrize(
    ("wanted", "base"), [("5m", "5m"), ("15m", "5m"), ("2m", "1m"), ("30s", "1s"), ("1d", "5m")]
)
def test_the_longest_fitting_timeframe_is_the_base(wanted: str, base: str) -> None:
    assert base_timeframe(wanted, ["1s", "1m", "5m"]) == base
    assert base_timeframe("30s", ["1m"]) is None
