"""Which quotes are new, against a plain walk through them."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from tapestream.common.contracts.messages import QuoteBatch
from tapestream.ingest.recorder.core.batches import quote_columns
from tapestream.ingest.recorder.core.quotes import new_quotes
from tapestream.ingest.recorder.core.trades import Head

T0 = 1_723_100_000_000_000_000
# A venue may send one update id twice in a row.
batches = st.tuples(st.integers(1, 3), st.lists(st.integers(0, 30), min_size=1, max_size=8).map(sorted))


def quote_batch(ids: list[int]) -> QuoteBatch:
    values = [1.0] * len(ids)
    return QuoteBatch(
        venue="v", symbol="s", recv_ns=time.time_ns(), id=ids, ts_ns=[T0 + one for one in ids],
        bid=values, bid_qty=values, ask=values, ask_qty=values,
    )  # fmt: skip


@given(st.lists(batches, min_size=1, max_size=12), st.dictionaries(st.integers(1, 3), st.integers(0, 30)))
def test_rows_above_the_head_of_their_instrument(
    some: list[tuple[int, list[int]]], known: dict[int, int]
) -> None:
    columns, refused = quote_columns([(index, quote_batch(ids)) for index, (_, ids) in enumerate(some)])
    assert refused == []
    mask, moved = new_quotes(
        columns, [instrument for instrument, _ in some], {n: Head(one, T0 + one) for n, one in known.items()}
    )
    heads, expected = dict(known), []
    for instrument, ids in some:
        head = heads.get(instrument, -1)
        expected += [one > head for one in ids]
        heads[instrument] = max(head, ids[-1])
    assert mask.tolist() == expected
    assert known | {n: head.id for n, head in moved.items()} == heads
    assert all(head.ts_ns == T0 + head.id for head in moved.values())
