"""A hole too large for the patience: live goes on at once, and the hole is filled behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.chaos import gaps, stored
from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.integration
SYMBOL = "BTCUSDT"


def order(stack: Stack, kind: str, **detail: object) -> None:
    httpx.post(f"{stack.sim}/control/fault", json={"kind": kind, **detail}, timeout=10).raise_for_status()


def newest(stack: Stack) -> int:
    return stack.sql(
        "select coalesce(max(t.id), -1) from trades t join instruments i on i.id = t.instrument_id "
        "where i.symbol = %s",
        SYMBOL,
    )[0][0]


def test_a_released_hole_is_filled_later_even_by_another_process(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"SIM_SYMBOLS": SYMBOL, "SIM_RATE": "20", "HOLE_PATIENCE_S": "0.5"}
    with running_stack(tmp_path, without=["gateway"], **settings) as stack:
        first = wait_until(lambda: max(0, newest(stack)), "trades")
        order(stack, "rest_down", seconds=600)
        order(stack, "skip", n=1500, symbol=SYMBOL)
        lost = wait_until(lambda: gaps(stack, SYMBOL).get("lost"), "the hole on record", 60)
        assert len(lost) >= 1500
        wait_until(lambda: newest(stack) > max(lost) + 100, "live trades behind the open hole")
        assert gaps(stack, SYMBOL)["lost"] >= lost, "nobody can have filled it yet"

        stack.kill("ingest")
        httpx.post(f"{stack.sim}/control/reset_faults", timeout=10).raise_for_status()
        wait_until(lambda: not gaps(stack, SYMBOL).get("lost"), "nothing lost any more", 90)
        rows = {row[0] for row in stored(stack, SYMBOL)}
        report = httpx.get(f"{stack.sim}/control/report", timeout=10).json()["symbols"][f"{SYMBOL}@usdm"]
        unpublished = {i for a, b in report["unpublished"] for i in range(a, b + 1)}
        assert lost - unpublished <= rows
        wait_until(
            lambda: set(range(first, max(lost))) <= {r[0] for r in stored(stack, SYMBOL)} | unpublished,
            "every row up to the end of the hole",
        )
        assert stack.figure("ingest", "tapestream_venue_requests_total", endpoint="historicalTrades") > 0
