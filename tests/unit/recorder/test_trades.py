"""Checking, trimming and what counts as overtaken."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestream.common.contracts.messages import TradeBatch, decoder, encode
from tapestream.ingest.core.ranges import IdRange
from tapestream.ingest.recorder.core.batches import Columns, decode, trade_columns
from tapestream.ingest.recorder.core.trades import Head, TradePlan, plan_trades

T0 = 1_723_100_000_000_000_000
LISTS = ("ts_ns", "price", "qty", "buyer_maker")


def batch(ids: list[int], prev_id: int = -1, **fields: Any) -> TradeBatch:
    values: dict[str, Any] = {
        "venue": "v", "symbol": "s", "recv_ns": time.time_ns(), "prev_id": prev_id, "id": ids,
        "ts_ns": [T0 + id_ for id_ in ids], "price": [1.0] * len(ids), "qty": [2.0] * len(ids),
        "buyer_maker": [True] * len(ids),
    }  # fmt: skip
    return TradeBatch(**(values | fields))


def columns_of(*batches: TradeBatch) -> Columns[TradeBatch]:
    columns, refused = trade_columns(list(enumerate(batches)))
    assert refused == []
    return columns


def plan(head: int | None, *batches: TradeBatch) -> tuple[TradePlan, list[int]]:
    columns = columns_of(*batches)
    heads = {7: Head(head, T0 + head)} if head is not None else {}
    made = plan_trades(columns, [False] * len(batches), [7] * len(batches), heads)
    kept = columns.id if made.live is None else columns.id[made.live]
    return made, kept.tolist()


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=1, unique=True).map(sorted), min_size=1),
    st.integers(0, 60),
)
def test_trimming_keeps_each_id_above_the_head_once(batches: list[list[int]], head: int) -> None:
    made, kept = plan(head, *(batch(ids) for ids in batches))
    expected: list[int] = []
    last = head
    for ids in batches:
        expected += [id_ for id_ in ids if id_ > last]
        last = max(last, ids[-1])
    assert kept == expected
    assert made.duplicates == sum(map(len, batches)) - len(expected)
    assert made.heads.get(7, Head(head, 0)).id == last


@pytest.mark.parametrize(
    ("head", "first", "prev_id", "missing"),
    [
        (None, 10, 9, None),  # nothing is known: no hole
        (9, 10, 9, None),
        (9, 20, 9, None),  # the jump is ingest's to declare
        (9, 20, 15, IdRange(10, 15)),
        (9, 20, 19, IdRange(10, 19)),
        (9, 20, -1, IdRange(10, 19)),  # the publisher's stream is new, ours is not
        (9, 10, -1, None),
        (9, 5, 4, None),
    ],
)
def test_overtaken(head: int | None, first: int, prev_id: int, missing: IdRange | None) -> None:
    made, _ = plan(head, batch(list(range(first, first + 10)), prev_id))
    assert [one.ids for one in made.overtaken] == ([missing] if missing else [])


def test_ids_that_start_again_are_no_duplicates() -> None:
    made, kept = plan(1000, batch([1, 2], ts_ns=[T0 + 3600 * 10**9] * 2))
    assert kept == []
    assert made.duplicates == 0
    assert [one.reason for one in made.refused] == ["restarted_ids"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"price": [1.0, float("nan"), 1.0]}, "number"),
        ({"qty": [1.0, float("inf"), 1.0]}, "number"),
        ({"price": [-0.5, 1.0, 1.0]}, "number"),
        ({"id": [1, 1, 2]}, "order"),
        ({"id": [-1, 1, 2]}, "order"),
        ({"id": [1, 2, 1 << 70]}, "number"),
        ({"ts_ns": [T0, T0, 1]}, "time"),
        ({"ts_ns": [T0, T0, 1 << 62]}, "time"),
        ({"kind": ["MARKET"]}, "columns"),
    ],
)
def test_a_bad_batch_is_refused_and_its_neighbours_are_not(fields: dict[str, Any], reason: str) -> None:
    good = batch([1, 2, 3])
    columns, refused = trade_columns([(0, good), (1, batch([1, 2, 3], **fields)), (2, good)])
    assert [(one.index, one.reason, one.rows) for one in refused] == [(1, reason, 3)]
    assert columns.origins == [0, 2]
    assert np.array_equal(columns.id, [1, 2, 3, 1, 2, 3])


def test_decoding_refuses_what_is_no_batch() -> None:
    payloads = [
        b"", b"[]", b'{"venue": 1}', b"\xff", encode(batch([])), encode(batch([1], price=[])),
        encode(batch([1], venue="")), encode(batch([1])),
    ]  # fmt: skip
    good, refused = decode(decoder(TradeBatch), payloads, LISTS)
    assert [index for index, _ in good] == [7]
    assert [one.reason for one in refused] == ["undecodable"] * 4 + ["columns"] * 2 + ["instrument"]
