"""Recorded candles of a pair, read by code that shares nothing with ours."""

from __future__ import annotations

import pandas as pd

from tests.support.tapes import SHARED, need

BTC = SHARED / "b_ticks_klines" / "bybit_BTCUSDT_5m_20250403_20250702.csv.gz"
ETH = SHARED / "b_ticks_klines" / "bybit_ETHUSDT_5m_20250403_20250702.csv.gz"


def closes(rows: int) -> pd.DataFrame:
    """The first closes of both, by start in nanoseconds; skips the test where they are not at hand."""
    need(BTC, ETH)
    legs = {}
    for name, path in (("a", BTC), ("b", ETH)):
        table = pd.read_csv(path, nrows=rows, parse_dates=["timestamp"])
        legs[name] = table.set_index(table["timestamp"].astype("datetime64[ns, UTC]").astype("int64"))[
            "close"
        ]
    return pd.DataFrame(legs)
