"""The truth about a tape, read by code that shares nothing with ours."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import NamedTuple

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


def trades(*paths: Path) -> dict[str, list[TapeTrade]]:
    """Symbol → its trades in the order of the tape."""
    found: dict[str, list[TapeTrade]] = {}
    for path in paths:
        open_text = gzip.open if path.suffix == ".gz" else open
        with open_text(path, "rt") as lines:
            for line in lines:
                if "trade" not in line:
                    continue
                whole = json.loads(line[line.index("{") :])
                data = whole.get("data", {})
                if data.get("e") == "trade":
                    found.setdefault(data["s"], []).append(
                        TapeTrade(
                            data["t"], data["T"], data["p"], data["q"], data["m"], data.get("X", "MARKET")
                        )
                    )
    return found
