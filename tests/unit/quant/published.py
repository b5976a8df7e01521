"""Series and results that others published or recorded, read from beside the project."""

from __future__ import annotations

import csv
import gzip
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.tapes import SHARED, need

Column = NDArray[np.float64]


def reference(name: str) -> Any:
    path = SHARED / "d_reference" / f"{name}.json"
    need(path)
    return json.loads(path.read_text())


def columns(name: str) -> dict[str, Column]:
    """A table of d_reference as columns."""
    path = SHARED / "d_reference" / f"{name}.csv"
    need(path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


def closes(name: str) -> dict[str, float]:
    """Time → close of a file of klines."""
    path = SHARED / "b_ticks_klines" / f"{name}.csv.gz"
    need(path)
    with gzip.open(path, "rt") as lines:
        rows = csv.reader(lines)
        header = [field.lower() for field in next(rows)]
        return {row[0]: float(row[header.index("close")]) for row in rows}


def joined(y: dict[str, float], x: dict[str, float]) -> tuple[Column, Column]:
    times = sorted(y.keys() & x.keys())
    return np.array([y[t] for t in times]), np.array([x[t] for t in times])


def bybit() -> tuple[Column, Column]:
    """BTC and ETH, 25,920 bars of five minutes."""
    return joined(closes("bybit_BTCUSDT_5m_20250403_20250702"), closes("bybit_ETHUSDT_5m_20250403_20250702"))


def bitvavo() -> tuple[Column, Column]:
    """BTC and ETH, two years of hours."""
    return joined(
        closes("bitvavo_BTC-EUR_1h_20211222_20231231"), closes("bitvavo_ETH-EUR_1h_20211222_20231231")
    )


def yahoo(symbol: str, first: str, last: str) -> dict[str, float]:
    """Date → adjusted close."""
    found: dict[str, float] = {}
    for year in range(int(first[:4]), int(last[:4]) + 1):
        path = SHARED / "c_nifty_stocks" / f"yahoo_{symbol}_{year}.csv"
        need(path)
        for row in csv.DictReader(path.read_text().splitlines()):
            if first <= row["Date"] <= last:
                found[row["Date"]] = float(row["Adj Close"])
    return found
