"""The ring against a plain list."""

from __future__ import annotations

import random

import pytest

from tapestream.gateway.core.columns import TradeColumns, make_columns
from tapestream.gateway.core.trade_ring import TradeRing


def put(ring: TradeRing, ids: list[int], prev_id: int, seq: int = 0) -> int:
    count = len(ids)
    return ring.append(
        prev_id,
        ids,
        [one * 10 for one in ids],
        [float(one) for one in ids],
        [1.0] * count,
        [one % 2 == 0 for one in ids],
        0,
        range(seq, seq + count),
    )


def late(ids: list[int]) -> TradeColumns:
    count = len(ids)
    return make_columns(
        ids, [n * 10 for n in ids], ids, [1.0] * count, [False] * count, [0] * count, [0] * count
    )


@pytest.mark.parametrize("seed", range(20))
def test_equals_a_plain_list(seed: int) -> None:
    rng = random.Random(seed)
    size = rng.choice([1, 3, 50, 700])
    ring, held, last, prev = TradeRing(size), [], 0, -1
    for _ in range(300):
        count = rng.choice([1, 1, 2, 5, 40, 900])
        overlap = rng.choice([0, 0, 3])
        overtaken = rng.random() < 0.02 and last > 0
        first = last + 1 + (7 if overtaken else 0) - (0 if overtaken else min(overlap, last))
        ids = list(range(first, first + count))
        fresh = put(ring, ids, first - 1 if first > 1 else -1)
        new = [one for one in ids if one > last]
        assert fresh == count - len(new)
        if new:
            everything = new if overtaken or not held else held + new
            prev = (first - 1 if overtaken else prev) if len(everything) <= size else everything[-size - 1]
            held = everything[-size:]
            last = held[-1]
        assert ring.columns().id.tolist() == held
        assert ring.columns().price.tolist() == [float(one) for one in held]
        assert ring.prev_id == prev
        assert (ring.first_id, ring.last_id) == (held[0], held[-1])


def test_overtaken_stream_lets_go_of_what_was_held() -> None:
    ring = TradeRing(100)
    put(ring, [1, 2, 3], -1)
    put(ring, [10, 11], 9)

    assert ring.columns().id.tolist() == [10, 11]
    assert (ring.prev_id, ring.overtaken) == (9, 1)


def test_missing_ids_that_the_stream_never_had_are_no_hole() -> None:
    ring = TradeRing(100)
    put(ring, [1, 2], -1)
    put(ring, [6, 7], 2)

    assert ring.columns().id.tolist() == [1, 2, 6, 7]
    assert ring.overtaken == 0


def test_late_trades_go_where_they_belong_once() -> None:
    ring = TradeRing(5)
    put(ring, [10, 11, 15, 16, 17], -1, seq=100)

    assert list(ring.insert_late(late([8, 12, 13, 15]))) == [1, 2]
    assert ring.columns().id.tolist() == [12, 13, 15, 16, 17]
    assert ring.columns().seq.tolist() == [101, 101, 102, 103, 104]
    assert ring.prev_id == 11
    assert list(ring.insert_late(late([12, 13]))) == []


def test_rows_are_found_by_id_and_position() -> None:
    ring = TradeRing(10)
    put(ring, [10, 20, 30], -1, seq=5)

    assert [ring.index_after_id(n) for n in (9, 10, 15, 30)] == [0, 1, 1, 3]
    assert [ring.index_after_seq(n) for n in (4, 5, 7)] == [0, 1, 3]
