"""Client libraries that nobody here wrote work against the simulator by their URL settings alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tapestream.simulators.process import BinanceSimulatorProcess

DEADLINE_S = 15
SYMBOLS = ["BTC/USDT", "BTC/USDT:USDT"]


@pytest.fixture(scope="module", name="simulator")
def _simulator() -> Iterator[BinanceSimulatorProcess]:
    with BinanceSimulatorProcess(SIM_RATE="3") as simulator:
        yield simulator


def point_ccxt_at(exchange: Any, simulator: BinanceSimulatorProcess) -> Any:
    exchange.urls["api"]["public"] = simulator.rest_url + "/api/v3"
    exchange.urls["api"]["fapiPublic"] = simulator.rest_url + "/fapi/v1"
    if "ws" in exchange.urls["api"]:
        # ccxt tells spot from futures by "/stream" in the address, which the real host's name has:
        # here a user's name has it.
        ws = exchange.urls["api"]["ws"]
        ws["spot"] = simulator.ws_url.replace("://", "://stream@") + "/ws"
        ws["linear" if "linear" in ws else "future"] = simulator.ws_url + "/ws"
    exchange.options["fetchMarkets"] = {"types": ["spot", "linear"]}
    return exchange


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_ccxt_rest(simulator: BinanceSimulatorProcess, symbol: str) -> None:
    ccxt = pytest.importorskip("ccxt")
    exchange = point_ccxt_at(ccxt.binance(), simulator)
    markets = exchange.load_markets()
    assert markets[symbol]["precision"]["amount"] in (0.001, 0.00001)
    assert markets[symbol]["active"]
    trades = exchange.fetch_trades(symbol, limit=50)
    assert len(trades) == 50
    assert all(trade["price"] > 0 and trade["side"] in ("buy", "sell") for trade in trades)
    candles = exchange.fetch_ohlcv(symbol, "1m", limit=10)
    assert len(candles) == 10
    assert all(low <= min(opened, closed) <= high for _, opened, high, low, closed, _ in candles)
    since = candles[0][0]
    assert exchange.fetch_trades(symbol, since=since, limit=5)[0]["timestamp"] >= since
    book = exchange.fetch_order_book(symbol, limit=10)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert exchange.fetch_ticker(symbol)["last"] > 0
    with pytest.raises(ccxt.BadSymbol):
        exchange.public_get_trades({"symbol": "NOSUCH"})


@pytest.fixture(name="pro")
async def _pro(simulator: BinanceSimulatorProcess) -> AsyncIterator[Any]:
    pro = pytest.importorskip("ccxt.pro")
    exchange = point_ccxt_at(pro.binance(), simulator)
    yield exchange
    await exchange.close()


@pytest.mark.parametrize("symbol", SYMBOLS)
async def test_ccxt_pro_streams(pro: Any, symbol: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        trades = await pro.watch_trades(symbol)
        assert trades[-1]["symbol"] == symbol
        assert (await pro.watch_ohlcv(symbol, "1m"))[-1][4] > 0
        assert (await pro.watch_ticker(symbol))["last"] > 0
        book = await pro.watch_order_book(symbol)
        for _ in range(4):  # a break in the update ids would raise ChecksumError
            book = await pro.watch_order_book(symbol)
        assert book["bids"][0][0] < book["asks"][0][0]
        quotes = await pro.watch_bids_asks([symbol])
        assert quotes[symbol]["bid"] < quotes[symbol]["ask"]


@pytest.fixture(name="binance")
async def _binance(
    simulator: BinanceSimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Any, Any]]:
    binance = pytest.importorskip("binance")
    monkeypatch.setattr(binance.AsyncClient, "API_URL", simulator.rest_url + "/api")
    monkeypatch.setattr(binance.AsyncClient, "FUTURES_URL", simulator.rest_url + "/fapi")
    monkeypatch.setattr(binance.BinanceSocketManager, "STREAM_URL", simulator.ws_url + "/")
    monkeypatch.setattr(binance.BinanceSocketManager, "FSTREAM_URL", simulator.ws_url + "/")
    client = await binance.AsyncClient.create(api_key="tapestream-sim", api_secret="none")
    yield client, binance.BinanceSocketManager(client)
    await client.close_connection()


async def test_python_binance_rest(binance: tuple[Any, Any]) -> None:
    client, _ = binance
    info = await client.get_symbol_info("BTCUSDT")
    assert info["baseAsset"] == "BTC"
    assert len(await client.get_klines(symbol="BTCUSDT", interval="1m", limit=5)) == 5
    assert len(await client.get_recent_trades(symbol="BTCUSDT", limit=7)) == 7
    assert len(await client.get_historical_trades(symbol="BTCUSDT", limit=7)) == 7
    assert 118 <= len(await client.get_historical_klines("BTCUSDT", "1m", "2 hours ago UTC")) <= 121
    futures = await client.futures_exchange_info()
    assert {symbol["contractType"] for symbol in futures["symbols"]} == {"PERPETUAL"}
    assert len(await client.futures_klines(symbol="ETHUSDT", interval="5m", limit=3)) == 3
    assert len(await client.futures_historical_trades(symbol="ETHUSDT", limit=9)) == 9
    assert (await client.futures_mark_price(symbol="ETHUSDT"))["symbol"] == "ETHUSDT"


async def test_python_binance_sockets(binance: tuple[Any, Any]) -> None:
    _, sockets = binance
    async with asyncio.timeout(DEADLINE_S):
        async with sockets.trade_socket("BTCUSDT") as stream:
            first, second = await stream.recv(), await stream.recv()
            assert second["t"] == first["t"] + 1
        async with sockets.aggtrade_futures_socket("BTCUSDT") as stream:
            assert (await stream.recv())["data"]["e"] == "aggTrade"
        async with sockets.futures_multiplex_socket(["btcusdt@trade", "ethusdt@trade"]) as stream:
            assert (await stream.recv())["data"]["X"] in ("MARKET", "INSURANCE_FUND", "ADL")
