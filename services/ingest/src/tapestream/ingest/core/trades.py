"""Trades in columns: what is ready to be published, or was parsed from a venue's history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

MARKET = "MARKET"


class Trade(NamedTuple):
    """One trade as a venue tells it."""

    id: int
    ts_ns: int
    price: float
    qty: float
    buyer_maker: bool
    kind: str = MARKET


@dataclass(slots=True)
class TradeColumns:
    """Trades of one symbol, column by column, ids ascending."""

    id: list[int] = field(default_factory=list)
    ts_ns: list[int] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    qty: list[float] = field(default_factory=list)
    buyer_maker: list[bool] = field(default_factory=list)
    kind: list[str] | None = None
    """None while all are ``MARKET``."""

    def append(
        self, trade_id: int, ts_ns: int, price: float, qty: float, buyer_maker: bool, kind: str
    ) -> None:
        if kind != MARKET and self.kind is None:
            self.kind = [MARKET] * len(self.id)
        if self.kind is not None:
            self.kind.append(kind)
        self.id.append(trade_id)
        self.ts_ns.append(ts_ns)
        self.price.append(price)
        self.qty.append(qty)
        self.buyer_maker.append(buyer_maker)
