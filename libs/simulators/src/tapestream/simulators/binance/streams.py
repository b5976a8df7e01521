"""Stream names: ``btcusdt@trade``, ``btcusdt@kline_1m``, ``!ticker@arr``."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from tapestream.simulators.candles import INTERVALS
from tapestream.simulators.market import InstrumentKey, Market


class Kind(StrEnum):
    TRADE = "trade"
    AGG_TRADE = "aggTrade"
    BOOK_TICKER = "bookTicker"
    DEPTH = "depth"
    PARTIAL_DEPTH = "partialDepth"
    KLINE = "kline"
    TICKER = "ticker"
    MINI_TICKER = "miniTicker"
    MARK_PRICE = "markPrice"
    UNKNOWN = "unknown"
    """Well-formed but not known here: accepted and silent, as on the real Binance."""


class Route(StrEnum):
    """Where a connection came in. USD-M has split its streams into two since April 2026."""

    SPOT = "spot"
    USDM_MARKET = "market"
    USDM_PUBLIC = "public"

    @property
    def market(self) -> Market:
        return Market.SPOT if self is Route.SPOT else Market.USDM


class Stream(NamedTuple):
    """A stream of one market. ``symbol`` is upper case, or ``""`` for a stream of all symbols."""

    market: Market
    name: str
    kind: Kind
    symbol: str
    argument: str
    """A candle's interval, a book's depth, a mark price's period."""

    @property
    def key(self) -> InstrumentKey:
        return InstrumentKey(self.market, self.symbol)


_FORM = re.compile(r"[!A-Za-z0-9_@.\-]{1,100}")
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500|1000)ms)?")
_SPOT_ONLY_INTERVAL = "1s"
# Binance's own notice puts @trade with the other trades; ccxt asks for it beside the books. Both work.
_PUBLIC = frozenset({Kind.BOOK_TICKER, Kind.DEPTH, Kind.PARTIAL_DEPTH, Kind.TRADE, Kind.UNKNOWN})
_NOT_MARKET = frozenset({Kind.BOOK_TICKER, Kind.DEPTH, Kind.PARTIAL_DEPTH})


def parse_stream(market: Market, name: str) -> Stream | None:
    """What a name asks for; None where it is no stream name at all."""
    if not _FORM.fullmatch(name):
        return None
    symbol, at, what = name.partition("@")
    kind, argument = _kind(market, what) if at else (Kind.UNKNOWN, "")
    if symbol.startswith("!"):
        all_kinds = {"!ticker": Kind.TICKER, "!miniTicker": Kind.MINI_TICKER, "!markPrice": Kind.MARK_PRICE}
        if name == "!bookTicker":
            return Stream(market, name, Kind.BOOK_TICKER, "", "")
        if what.partition("@")[0] == "arr" and symbol in all_kinds:
            return Stream(market, name, all_kinds[symbol], "", what.partition("@")[2])
        return Stream(market, name, Kind.UNKNOWN, "", "")
    if symbol != symbol.lower():
        kind = Kind.UNKNOWN  # symbols of streams are lower case; others never match anything
    return Stream(market, name, kind, symbol.upper(), argument)


def _kind(market: Market, what: str) -> tuple[Kind, str]:
    if what in {Kind.TRADE, Kind.AGG_TRADE, Kind.BOOK_TICKER, Kind.TICKER, Kind.MINI_TICKER}:
        return Kind(what), ""
    if what.startswith("kline_"):
        interval = what.removeprefix("kline_")
        known = interval in INTERVALS and (market is Market.SPOT or interval != _SPOT_ONLY_INTERVAL)
        return (Kind.KLINE, interval) if known else (Kind.UNKNOWN, "")
    if depth := _DEPTH.fullmatch(what):
        return (Kind.PARTIAL_DEPTH, depth[1]) if depth[1] else (Kind.DEPTH, "")
    if what in {"markPrice", "markPrice@1s"} and market is Market.USDM:
        return Kind.MARK_PRICE, what.partition("@")[2]
    return Kind.UNKNOWN, ""


def allowed_on(route: Route, stream: Stream) -> bool:
    """Whether a route carries a stream: books and trades do not mix on USD-M."""
    if route is Route.USDM_PUBLIC:
        return stream.kind in _PUBLIC
    return route is Route.SPOT or stream.kind not in _NOT_MARKET
