"""Binance USD-M futures.

Since April 2026 its host splits routes, and a connection must not mix them: ``/market`` carries
trades, ``/public`` the book.
"""

from __future__ import annotations

from tapestream.ingest.venue import Route, Venue
from tapestream.ingest.venues._binance import Binance, parse_quote, parse_trade


class BinanceUsdm(Binance):
    name = "binance_usdm"
    prefix = "/fapi/v1"
    history_page = 500
    spot = False
    ws_url = "wss://fstream.binance.com"
    rest_url = "https://fapi.binance.com"
    weight_per_minute = 2400
    weights = {"exchangeInfo": 1, "historicalTrades": 20, "trades": 5, "klines": 5}  # noqa: RUF012
    routes = (
        Route("market", "/market/stream", lambda s: f"{s.lower()}@trade", parse_trade, True),
        Route("public", "/public/stream", lambda s: f"{s.lower()}@bookTicker", parse_quote, False),
    )


VENUE: Venue = BinanceUsdm()
