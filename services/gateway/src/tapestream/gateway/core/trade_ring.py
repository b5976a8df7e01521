"""The newest trades of one symbol, in memory, column by column."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from tapestream.gateway.core.columns import TradeColumns

_FIRST_CAPACITY = 512
_DTYPES = (np.int64, np.int64, np.float64, np.float64, np.bool_, np.int8, np.int64)


class TradeRing:
    """Holds the last ``size`` trades, ids strictly ascending and without a hole.

    The arrays are up to twice as long as ``size``: rows are appended behind, and when the end is
    reached the newest ``size`` move to the front, so that any range of rows is one contiguous slice.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a ring holds at least one trade")
        self.size = size
        self.prev_id = -1
        """Id of the trade just before the oldest one held, -1 where there is none: history must
        reach up to it, or there is a hole at the border."""
        self.overtaken = 0
        """How often the stream had dropped trades before they were read."""
        self.received = 0
        """Trades taken in since the start."""
        self._start = self._end = 0
        self._columns = [np.empty(min(_FIRST_CAPACITY, 2 * size), dtype) for dtype in _DTYPES]

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def first_id(self) -> int:
        """Id of the oldest trade held, -1 when empty."""
        return int(self._columns[0][self._start]) if len(self) else -1

    @property
    def last_id(self) -> int:
        """Id of the newest trade held, -1 when empty."""
        return int(self._columns[0][self._end - 1]) if len(self) else -1

    @property
    def first_seq(self) -> int:
        """Resume position of the oldest trade held, 0 when empty."""
        return int(self._columns[6][self._start]) if len(self) else 0

    def append(
        self,
        prev_id: int,
        ids: Sequence[int],
        ts_ns: Sequence[int],
        price: Sequence[float],
        qty: Sequence[float],
        buyer_maker: Sequence[bool],
        kind: Sequence[int] | int,
        seq: Sequence[int],
    ) -> int:
        """Take a batch in; returns the index of its first new trade (its length when all are known).

        Where ``prev_id`` shows that the stream dropped trades which were never seen, what was held
        is let go: from here on the ring begins with this batch.
        """
        last = self.last_id
        fresh = bisect.bisect_right(ids, last)
        count = len(ids) - fresh
        if not count:
            return fresh
        if len(self) == 0:
            self.prev_id = prev_id
        elif prev_id > last:
            self.overtaken += 1
            self._start = self._end
            self.prev_id = prev_id
        self.received += count
        if count > self.size:  # a batch larger than the ring: only its tail fits
            skip = count - self.size
            self._start = self._end
            self.prev_id = ids[fresh + skip - 1]
            self._write(fresh + skip, ids, ts_ns, price, qty, buyer_maker, kind, seq)
            return fresh
        self._write(fresh, ids, ts_ns, price, qty, buyer_maker, kind, seq)
        self._evict()
        return fresh

    def insert_late(self, late: TradeColumns) -> Sequence[int]:
        """Put trades into their places by id; returns the rows of ``late`` that were new.

        Trades older than the oldest one held belong to history and are left out. A late trade takes
        the resume position of the one before it, so that positions ascend with the ids.
        """
        ids, held = late.id, self.columns()
        if not len(held):
            return []
        inside = (ids > held.id[0]) & (ids < held.id[-1])
        places = np.searchsorted(held.id, ids)
        new = inside & (held.id[np.minimum(places, len(held) - 1)] != ids)
        rows = np.flatnonzero(new)
        if not len(rows):
            return []
        at = places[rows]
        merged = [
            np.insert(own, at, other[rows])
            for own, other in zip(
                (held.id, held.ts_ns, held.price, held.qty, held.buyer_maker, held.kind, held.seq),
                (
                    late.id,
                    late.ts_ns,
                    late.price,
                    late.qty,
                    late.buyer_maker,
                    late.kind,
                    held.seq[places - 1],
                ),
                strict=True,
            )
        ]
        self._replace(merged)
        self.received += len(rows)
        return [int(row) for row in rows]

    def columns(self) -> TradeColumns:
        """All trades held, oldest first. The arrays are views: copy before the next append."""
        part = slice(self._start, self._end)
        return TradeColumns(*(column[part] for column in self._columns))  # pyright: ignore[reportArgumentType]

    def index_after_id(self, trade_id: int) -> int:
        """Row of the first trade with a greater id."""
        return int(np.searchsorted(self._columns[0][self._start : self._end], trade_id, side="right"))

    def index_after_seq(self, seq: int) -> int:
        """Row of the first trade with a greater resume position."""
        return int(np.searchsorted(self._columns[6][self._start : self._end], seq, side="right"))

    def _write(self, first: int, *values: Sequence[float] | int) -> None:
        ids = values[0]
        assert not isinstance(ids, int)
        count = len(ids) - first
        self._make_room(count)
        end = self._end
        for column, value in zip(self._columns, values, strict=True):
            column[end : end + count] = value if isinstance(value, int) else value[first:]
        self._end = end + count

    def _make_room(self, count: int) -> None:
        have = len(self._columns[0])
        if self._end + count <= have:
            return
        held = len(self)
        wanted = max(held + count, min(2 * have, 2 * self.size))
        for index, column in enumerate(self._columns):
            kept = column[self._start : self._end]
            fresh = np.empty(wanted, column.dtype) if wanted > have else column
            fresh[:held] = kept.copy() if fresh is column else kept
            self._columns[index] = fresh
        self._start, self._end = 0, held

    def _evict(self) -> None:
        surplus = len(self) - self.size
        if surplus > 0:
            self._start += surplus
            self.prev_id = int(self._columns[0][self._start - 1])

    def _replace(self, columns: list[np.ndarray]) -> None:
        self._columns = columns
        self._start, self._end = 0, len(columns[0])
        self._evict()
