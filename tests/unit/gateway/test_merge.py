"""Memory and history as one answer, and positions that only grow."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tapestream.gateway.core.columns import TradeColumns, make_columns
from tapestream.gateway.core.merge import in_period, merge_trades
from tapestream.gateway.core.seq import Ascending, position, stream_seq_of

ids = st.sets(st.integers(0, 40)).map(sorted)
instants = st.none() | st.integers(-5, 45)


def trades(some: list[int], price: float) -> TradeColumns:
    """Trades whose time is their id less than the one before now and then."""
    count = len(some)
    times = [one - 3 * (one % 5 == 0) for one in some]
    return make_columns(some, times, [price] * count, [1.0] * count, [True] * count, [0] * count, some)


@given(ids, ids)
def test_each_trade_once_in_order_and_of_a_double_the_newer(older: list[int], newer: list[int]) -> None:
    merged = merge_trades(trades(older, 1.0), trades(newer, 2.0))
    assert merged.id.tolist() == sorted({*older, *newer})
    assert merged.price.tolist() == [2.0 if one in newer else 1.0 for one in merged.id.tolist()]


@given(ids, instants, instants)
def test_a_period_holds_its_start_and_not_its_end(
    some: list[int], start: int | None, end: int | None
) -> None:
    columns = trades(some, 1.0)
    kept = [
        one
        for one, ts_ns in zip(some, columns.ts_ns.tolist(), strict=True)
        if (start is None or ts_ns >= start) and (end is None or ts_ns < end)
    ]
    assert in_period(columns, start, end).id.tolist() == kept


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 3000)), max_size=30))
def test_positions_only_grow_whatever_a_crashed_server_forgets(messages: list[tuple[int, int]]) -> None:
    """Sequences may go back; messages may hold more items than a position has room for."""
    ascending, given_out = Ascending(), []
    for stream_seq, count in messages:
        taken = ascending.take(stream_seq, count)
        assert len(taken) == count
        given_out += taken
        if taken[0] == position(stream_seq):
            assert stream_seq_of(taken[0]) == stream_seq
    assert all(a < b for a, b in pairwise(given_out))
