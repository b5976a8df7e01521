"""Bars out of trades by pandas and Decimal: slow, obvious, and no line of it is ours to test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

import numpy as np
import pandas as pd

from tests.support.tapes import TapeTrade

DIGITS = 60
"""More than any sum here has, so that Decimal never rounds."""


class ResampledBar(NamedTuple):
    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    buy_volume: float
    trades: int


def resample(trades: Sequence[TapeTrade], frequency: str) -> list[ResampledBar]:
    """Bars of the ordinary trades; an interval without any has none."""
    rows = [row for row in trades if row.kind == "MARKET"]
    if not rows:
        return []
    stamps = pd.to_datetime([row.ts_ms for row in rows], unit="ms", utc=True).floor(frequency)
    prices = pd.Series([float(row.price) for row in rows]).groupby(stamps, sort=True)
    bars = prices.agg(["first", "max", "min", "last", "size"])
    starts_of = stamps.asi8
    order = np.argsort(starts_of, kind="stable")
    begins = np.flatnonzero(np.append(True, np.diff(starts_of[order]) > 0))
    with localcontext(prec=DIGITS):
        qty = np.array([Decimal(row.qty) for row in rows], dtype=object)[order]
        price = np.array([Decimal(row.price) for row in rows], dtype=object)[order]
        bought = np.array([not row.buyer_maker for row in rows], dtype=object)[order]
        sums = [np.add.reduceat(values, begins) for values in (qty, qty * price, qty * bought)]
    columns = [bars[name].tolist() for name in ("first", "max", "min", "last")]
    volumes = [[float(value) for value in values] for values in sums]
    starts = pd.DatetimeIndex(bars.index).to_pydatetime().tolist()
    return list(map(ResampledBar, starts, *columns, *volumes, bars["size"].tolist()))
