"""Slow, obvious twins of the fast code: no cleverness, only what the words say."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import NamedTuple


class NaiveTrade(NamedTuple):
    id: int
    ts_ns: int
    price: float
    qty: float
    buyer_maker: bool


class NaiveBar(NamedTuple):
    start_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    buy_volume: float
    trades: int
    first_id: int
    last_id: int


def bars(trades: list[NaiveTrade], length_ns: int) -> list[NaiveBar]:
    """Group by interval, sort by id, add up with Decimal."""
    with localcontext(prec=200):  # the 28 digits that are usual would round
        return _bars(trades, length_ns)


def _bars(trades: list[NaiveTrade], length_ns: int) -> list[NaiveBar]:
    groups: dict[int, list[NaiveTrade]] = {}
    for trade in trades:
        groups.setdefault(trade.ts_ns // length_ns * length_ns, []).append(trade)
    result = []
    for start_ns in sorted(groups):
        group = sorted(groups[start_ns])
        prices = [Decimal(repr(t.price)) for t in group]
        quantities = [Decimal(repr(t.qty)) for t in group]
        result.append(
            NaiveBar(
                start_ns,
                group[0].price,
                float(max(prices)),
                float(min(prices)),
                group[-1].price,
                float(sum(quantities)),
                float(sum(p * q for p, q in zip(prices, quantities, strict=True))),
                float(
                    sum((q for t, q in zip(group, quantities, strict=True) if not t.buyer_maker), Decimal(0))
                ),
                len(group),
                group[0].id,
                group[-1].id,
            )
        )
    return result
