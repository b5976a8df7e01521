"""Trades on the WebSocket: every one, in order, once."""

from __future__ import annotations

import pytest
from tests.integration.gateway.feeder import Feeder, price_of, qty_of
from tests.integration.gateway.running import Listener, RunningGateway

pytestmark = pytest.mark.integration


async def test_trades_arrive_once_and_in_order(gateway: RunningGateway, feeder: Feeder, symbol: str) -> None:
    listener = await Listener.open(gateway.ws_url)
    answer = await listener.subscribe(symbols=[symbol])
    assert answer["status"] == "subscribed"
    assert answer["symbols"] == [symbol]

    for size in (1, 3, 1, 200, 1):
        feeder.trades(symbol, size)
        feeder.trades("ETHUSDT", size)
    frames = await listener.collect("trade", 206)

    assert [frame["id"] for frame in frames] == list(range(1, 207))
    assert {frame["symbol"] for frame in frames} == {symbol}
    seqs = [frame["seq"] for frame in frames]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] < 2**53
    first = frames[0]
    assert first["price"] == price_of(1)
    assert first["qty"] == qty_of(1)
    assert first["ts"] == "2024-05-01T10:00:00.001Z"
    assert first["side"] == "buy"
    assert first["kind"] == "MARKET"
    await listener.close()
