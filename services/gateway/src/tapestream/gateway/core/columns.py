"""Trades column by column: the one form in which memory, history and the stream hand them on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Trades of one symbol, ids ascending, all arrays of one length."""

    id: Int64
    ts_ns: Int64
    price: Float64
    qty: Float64
    buyer_maker: Bool
    kind: Int8
    """Values of ``TradeKind``."""
    seq: Int64
    """Position that a WebSocket client resumes from; 0 where it is not known (history)."""

    def __len__(self) -> int:
        return len(self.id)

    def rows(self, start: int, stop: int) -> TradeColumns:
        """The rows ``start`` to ``stop`` (excluded)."""
        part = slice(start, stop)
        return TradeColumns(
            self.id[part],
            self.ts_ns[part],
            self.price[part],
            self.qty[part],
            self.buyer_maker[part],
            self.kind[part],
            self.seq[part],
        )

    def copy(self) -> TradeColumns:
        """The same rows in memory of their own."""
        return TradeColumns(
            self.id.copy(),
            self.ts_ns.copy(),
            self.price.copy(),
            self.qty.copy(),
            self.buyer_maker.copy(),
            self.kind.copy(),
            self.seq.copy(),
        )

    def where_rows(self, rows: npt.NDArray[np.intp]) -> TradeColumns:
        """The rows with these numbers, in their order."""
        return TradeColumns(
            self.id[rows],
            self.ts_ns[rows],
            self.price[rows],
            self.qty[rows],
            self.buyer_maker[rows],
            self.kind[rows],
            self.seq[rows],
        )

    def where(self, mask: Bool) -> TradeColumns:
        """The rows where ``mask`` is true."""
        return TradeColumns(
            self.id[mask],
            self.ts_ns[mask],
            self.price[mask],
            self.qty[mask],
            self.buyer_maker[mask],
            self.kind[mask],
            self.seq[mask],
        )


def no_trades() -> TradeColumns:
    """Columns of length zero."""
    return make_columns([], [], [], [], [], [], [])


def make_columns(
    ids: object, ts_ns: object, price: object, qty: object, buyer_maker: object, kind: object, seq: object
) -> TradeColumns:
    """Columns from any sequences of one length."""
    return TradeColumns(
        np.asarray(ids, np.int64),
        np.asarray(ts_ns, np.int64),
        np.asarray(price, np.float64),
        np.asarray(qty, np.float64),
        np.asarray(buyer_maker, np.bool_),
        np.asarray(kind, np.int8),
        np.asarray(seq, np.int64),
    )


def join_columns(parts: list[TradeColumns]) -> TradeColumns:
    """The parts one after another."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_trades()
    if len(parts) == 1:
        return parts[0]
    return TradeColumns(
        np.concatenate([p.id for p in parts]),
        np.concatenate([p.ts_ns for p in parts]),
        np.concatenate([p.price for p in parts]),
        np.concatenate([p.qty for p in parts]),
        np.concatenate([p.buyer_maker for p in parts]),
        np.concatenate([p.kind for p in parts]),
        np.concatenate([p.seq for p in parts]),
    )
