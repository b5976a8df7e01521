"""Bars equal their naive twin, however the trades are cut into batches."""

from __future__ import annotations

import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapestream.quant.bars import BarBuilder, BarState, Columns
from tapestream.quant.exact import from_units, to_units, to_units_array
from tests.naive import NaiveBar, NaiveTrade, bars

SECOND = 1_000_000_000


def columns(trades: list[NaiveTrade]) -> Columns:
    return Columns(*(list(column) for column in zip(*trades, strict=True)))


def as_naive(bar: BarState) -> NaiveBar:
    return NaiveBar(
        bar.start_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume,
        bar.buy_volume, bar.trades, bar.first_id, bar.last_id,
    )  # fmt: skip


def random_trades(rng: random.Random, count: int) -> list[NaiveTrade]:
    ts_ns, trades = 1_700_000_000 * SECOND, []
    for trade_id in range(count):
        ts_ns += int(rng.expovariate(1 / 3e8))
        price = round(rng.uniform(100, 101), rng.choice([1, 2, 5]))
        qty = round(rng.uniform(0.001, 9), rng.choice([3, 4, 8]))
        trades.append(NaiveTrade(trade_id, ts_ns, price, qty, rng.random() < 0.5))
    return trades


@pytest.mark.parametrize("seed", range(40))
def test_any_cut_into_batches_with_late_trades_equals_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    trades = random_trades(rng, 600)
    late = [trade for trade in trades if rng.random() < 0.02]
    rest = [trade for trade in trades if trade not in late]
    builder = BarBuilder(SECOND, keep=1000)
    latest: dict[int, NaiveBar] = {}
    revisions: dict[int, int] = {}

    def take(finished: list[BarState]) -> None:
        for bar in finished:
            latest[bar.start_ns] = as_naive(bar)
            assert bar.rev == revisions.get(bar.start_ns, -1) + 1
            revisions[bar.start_ns] = bar.rev

    at = 0
    while at < len(rest):
        batch = rest[at : at + rng.choice([1, 1, 3, 40, 100])]
        at += len(batch)
        take(builder.add(columns(batch))[0])
        if rng.random() < 0.3 and (closed := builder.advance(batch[-1].ts_ns)) is not None:
            take([closed])
    for trade in late:
        if builder.current is not None and trade.ts_ns >= builder.current.start_ns:
            builder.add(columns([trade]))
        else:
            take(builder.add(columns([trade]))[0])
    if (closed := builder.advance(trades[-1].ts_ns + 2 * SECOND)) is not None:
        take([closed])
    assert [latest[start] for start in sorted(latest)] == bars(trades, SECOND)


def test_no_bar_for_an_empty_interval() -> None:
    builder = BarBuilder(SECOND)
    first = NaiveTrade(1, 10 * SECOND, 1.0, 1.0, False)
    later = NaiveTrade(2, 15 * SECOND, 2.0, 1.0, False)
    builder.add(columns([first]))
    finished, _ = builder.add(columns([later]))
    assert [bar.start_ns for bar in finished] == [10 * SECOND]
    assert builder.advance(15 * SECOND) is None


def test_a_trade_older_than_anything_kept_is_counted() -> None:
    builder = BarBuilder(SECOND, keep=2)
    for i in range(10):
        builder.add(columns([NaiveTrade(i + 10, i * SECOND, 1.0, 1.0, False)]))
    finished, too_old = builder.add(columns([NaiveTrade(1, 0, 1.0, 1.0, False)]))
    assert (finished, too_old) == ([], 1)


@given(st.decimals(min_value="0.00000001", max_value="999999", places=8))
def test_units_stand_for_the_exact_decimal(value: Decimal) -> None:
    number = float(value)
    units, decimals = to_units(number, 0)
    assert Decimal(units).scaleb(-decimals) == Decimal(repr(number))
    assert from_units(units, decimals) == number


numbers = st.builds(
    lambda units, decimals: float(Decimal(units).scaleb(-decimals)),
    st.integers(0, 10**15 - 1), st.integers(0, 18),
)  # fmt: skip
"""What a venue may send: up to 15 digits, the point anywhere."""


@given(st.lists(numbers, min_size=1, max_size=4))
@example([0.00775720731, 1264495.3719])
def test_a_column_of_units_stands_for_exact_decimals_or_says_that_it_cannot(values: list[float]) -> None:
    try:
        units, decimals = to_units_array(np.array(values), 0)
    except OverflowError:
        return
    assert [Decimal(one).scaleb(-decimals) for one in units.tolist()] == [Decimal(repr(v)) for v in values]


@given(
    st.lists(st.tuples(st.integers(0, 3 * SECOND), numbers, numbers, st.booleans()), min_size=1, max_size=80),
    st.integers(1, 80),
)
def test_bars_of_the_oddest_numbers_are_exact(rows: list[tuple[int, float, float, bool]], size: int) -> None:
    """Sums far beyond 64 bits, too; and both the short and the long way through a batch."""
    rows.sort(key=lambda row: row[0])
    trades = [NaiveTrade(number, *row) for number, row in enumerate(rows)]
    builder = BarBuilder(SECOND)
    made: list[BarState] = []
    for at in range(0, len(trades), size):
        made += builder.add(columns(trades[at : at + size]))[0]
    if (last := builder.advance(10 * SECOND)) is not None:
        made.append(last)
    assert [as_naive(bar) for bar in made] == bars(trades, SECOND)
