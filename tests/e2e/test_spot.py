"""The spot market through the whole system: rows, bars and the WebSocket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.naive import NaiveTrade, bars
from tests.support.chaos import gaps, stored
from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.integration
SYMBOL = "BTCUSDT"
ROWS = 300
SECOND_NS = 1_000_000_000


async def first_trades(stack: Stack, count: int) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    async with websockets.connect(f"ws://127.0.0.1:{stack.http_port}/ws", max_queue=None) as ws:
        await ws.send(json.dumps({"action": "subscribe", "channels": [f"trades:{SYMBOL}"]}))
        async with asyncio.timeout(60):
            while len(seen) < count:
                frame = json.loads(await ws.recv())
                if frame["type"] == "trade":
                    seen.append(frame)
    return seen


def truth(stack: Stack, first: int, last: int) -> dict[int, tuple[int, float, float, bool]]:
    """What the simulator's own REST says of these ids."""
    found: dict[int, tuple[int, float, float, bool]] = {}
    while first <= last:
        answer = httpx.get(
            f"{stack.sim}/api/v3/historicalTrades",
            params={"symbol": SYMBOL, "fromId": first, "limit": 1000},
            headers={"X-MBX-APIKEY": "tapestream-sim"},
            timeout=10,
        )
        answer.raise_for_status()
        rows = answer.json()
        for row in rows:
            found[row["id"]] = (row["time"], float(row["price"]), float(row["qty"]), row["isBuyerMaker"])
        first = rows[-1]["id"] + 1
    return found


def test_spot_is_recorded_built_and_served(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"VENUE": "binance_spot", "SIM_SYMBOLS": SYMBOL, "SIM_RATE": "10"}
    with running_stack(tmp_path, **settings) as stack:
        served = asyncio.run(first_trades(stack, 20))
        wait_until(lambda: len(stored(stack, SYMBOL)) >= ROWS, f"{ROWS} rows", 60)
        rows = {row[0]: row[1:5] for row in stored(stack, SYMBOL)}
        assert stack.sql("select distinct venue from instruments") == [("binance_spot",)]
        said = truth(stack, min(rows), max(rows))
        assert {i: one for i, one in said.items() if i <= max(rows)} == rows
        assert not gaps(stack, SYMBOL).get("lost")

        for frame in served:
            assert (frame["price"], frame["qty"]) == said[frame["id"]][1:3]
        assert_bars(stack, said)


def assert_bars(stack: Stack, said: dict[int, tuple[int, float, float, bool]]) -> None:
    """The closed bars between the first, which began before us, and the last that is all recorded."""
    newest_ms = max(row[0] for row in said.values())
    query = (
        "select (extract(epoch from ts) * 1000)::bigint * 1000000, open, high, low, close, volume, quote_volume, "
        "buy_volume, trades, first_id, last_id from bars where timeframe = '1s' and source <> 'venue' order by ts"
    )
    trades = [NaiveTrade(i, t * 1_000_000, p, q, m) for i, (t, p, q, m) in sorted(said.items())]
    expected = [
        one for one in bars(trades, SECOND_NS) if one.start_ns + SECOND_NS <= newest_ms // 1000 * SECOND_NS
    ]
    wait_until(lambda: len(stack.sql(query)) >= len(expected), "the bars")
    found = {row[0]: tuple(row) for row in stack.sql(query)}
    assert expected
    for one in expected:
        assert found[one.start_ns] == tuple(one)
