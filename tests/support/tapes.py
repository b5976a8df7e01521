"""The truth about a tape, read by code that shares nothing with ours."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
USDM = [
    SHARED / "a_binance_ws" / "usdm_btcusdt_20240808.frames.gz",
    SHARED / "a_binance_ws" / "usdm_ethusdt_20240808.frames.gz",
]


def need(*paths: Path) -> None:
    """Skip where the recorded data is not beside the project."""
    for path in paths:
        if not path.exists():
            pytest.skip(f"recorded data is not here: {path.name}")


class TapeTrade(NamedTuple):
    id: int
    ts_ms: int
    price: str
    qty: str
    buyer_maker: bool
    kind: str


def events(*paths: Path) -> Iterator[dict[str, Any]]:
    """Trades and aggregates of all files, whatever stands before each frame, and headings left out."""
    for path in paths:
        open_text = gzip.open if path.suffix == ".gz" else open
        with open_text(path, "rt") as lines:
            for line in lines:
                if "rade" not in line or "{" not in line:
                    continue
                whole = json.loads(line[line.index("{") :])
                data = whole.get("data", whole)
                if data.get("e") in ("trade", "aggTrade"):
                    yield data


def trades(*paths: Path) -> dict[str, list[TapeTrade]]:
    """Symbol → its trades in the order of the tape.

    Of a symbol with aggregates alone, each is one trade: the last of those that it sums up.
    """
    found: dict[str, list[TapeTrade]] = {}
    summed: dict[str, list[TapeTrade]] = {}
    for data in events(*paths):
        single = data["e"] == "trade"
        row = TapeTrade(
            data["t"] if single else data["l"],
            data["T"],
            data["p"],
            data["q"],
            data["m"],
            data.get("X", "MARKET"),
        )
        (found if single else summed).setdefault(data["s"], []).append(row)
    return summed | found


def venue(*paths: Path) -> str:
    """Whose recording it is, by a field that only the spot market has."""
    return "binance_spot" if any("M" in data for data in events(*paths)) else "binance_usdm"


def holes(rows: list[TapeTrade]) -> set[int]:
    """Ids between the first and the last that the tape itself lacks."""
    return set(range(rows[0].id, rows[-1].id)) - {row.id for row in rows}
