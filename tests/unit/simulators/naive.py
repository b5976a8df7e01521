"""Slow, obvious twins of the simulator's kernels."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

Row = tuple[int, int, str, str, bool]
"""Trade id, time in milliseconds, price, quantity, whether the buyer was the maker."""


def candles(rows: Iterable[Row], length_ms: int) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for trade_id, ts_ms, price_text, qty_text, maker in rows:
        price, qty = Decimal(price_text), Decimal(qty_text)
        start = ts_ms // length_ms * length_ms
        candle = found.setdefault(
            start,
            {
                "start": start,
                "open": price,
                "high": price,
                "low": price,
                "close": price,
                "volume": Decimal(0),
                "quote": Decimal(0),
                "taker": Decimal(0),
                "taker_quote": Decimal(0),
                "count": 0,
                "first": trade_id,
            },
        )
        candle["high"], candle["low"] = max(candle["high"], price), min(candle["low"], price)
        candle["close"], candle["last"] = price, trade_id
        candle["volume"] += qty
        candle["quote"] += price * qty
        candle["count"] += 1
        if not maker:
            candle["taker"] += qty
            candle["taker_quote"] += price * qty
    return [found[start] for start in sorted(found)]
