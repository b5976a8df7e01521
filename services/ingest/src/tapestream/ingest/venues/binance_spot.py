"""Binance spot. One host for all streams; trades and quotes have connections of their own all the
same, so that a burst of quotes never delays a trade."""

from __future__ import annotations

from tapestream.ingest.venue import Route, Venue
from tapestream.ingest.venues._binance import Binance, parse_quote, parse_trade


class BinanceSpot(Binance):
    name = "binance_spot"
    prefix = "/api/v3"
    history_page = 1000
    spot = True
    ws_url = "wss://stream.binance.com:9443"
    rest_url = "https://api.binance.com"
    weight_per_minute = 6000
    weights = {"exchangeInfo": 20, "historicalTrades": 25, "trades": 25, "klines": 2}  # noqa: RUF012
    routes = (
        Route("trades", "/stream", lambda s: f"{s.lower()}@trade", parse_trade, True),
        Route("quotes", "/stream", lambda s: f"{s.lower()}@bookTicker", parse_quote, False),
    )


VENUE: Venue = BinanceSpot()
