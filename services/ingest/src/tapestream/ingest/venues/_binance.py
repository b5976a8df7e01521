"""What Binance's markets have in common.

https://developers.binance.com/docs/derivatives/usds-margined-futures
https://developers.binance.com/docs/binance-spot-api-docs
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tapestream.common.contracts.messages import Bar, BarSource, GapReason, Instrument
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.ingest.core.trades import MARKET, Trade
from tapestream.ingest.rest import RestError, VenueRest
from tapestream.ingest.venue import FrameError, History, Sink

MS = 1_000_000
KLINE_INTERVALS = frozenset(["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"])
PAGE = 1000
SEARCH_WINDOW = -4166
"""Binance's code for "search window is restricted to recent months only"."""


# --- frames: {"stream": "btcusdt@trade", "data": {…}}, or the bare data on /ws


class _Trade(msgspec.Struct):
    """{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30",
    "q":"0.006","X":"MARKET","m":false}; spot has no X."""

    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    E: int
    X: str = MARKET


class _Quote(msgspec.Struct):
    """{"u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510",
    "T":1723161256313,"E":1723161256313}; spot has neither T nor E."""

    s: str
    u: int
    b: str
    B: str
    a: str
    A: str
    T: int = 0


class _TradeFrame(msgspec.Struct):
    data: _Trade


class _QuoteFrame(msgspec.Struct):
    data: _Quote


class _Error(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Reply(msgspec.Struct):
    """{"result":null,"id":1} or {"error":{"code":2,"msg":"…"},"id":1}."""

    id: int
    error: _Error | None = None


_trade_frame = msgspec.json.Decoder(_TradeFrame).decode
_bare_trade = msgspec.json.Decoder(_Trade).decode
_quote_frame = msgspec.json.Decoder(_QuoteFrame).decode
_bare_quote = msgspec.json.Decoder(_Quote).decode
_reply = msgspec.json.Decoder(_Reply).decode


def parse_trade(payload: bytes | memoryview, sink: Sink) -> None:
    """Read a frame of a connection that carries trades."""
    try:
        trade = _trade_frame(payload).data
    except msgspec.DecodeError as error:
        if _is_reply(payload, sink):
            return
        try:
            trade = _bare_trade(payload)
        except msgspec.DecodeError:
            raise FrameError(str(error)) from None
    try:
        price, qty = float(trade.p), float(trade.q)
    except ValueError as error:
        raise FrameError(str(error)) from None
    sink.trade(trade.s, trade.t, trade.T * MS, price, qty, trade.m, trade.X, trade.E * MS)


def parse_quote(payload: bytes | memoryview, sink: Sink) -> None:
    """Read a frame of a connection that carries best quotes."""
    try:
        quote = _quote_frame(payload).data
    except msgspec.DecodeError as error:
        if _is_reply(payload, sink):
            return
        try:
            quote = _bare_quote(payload)
        except msgspec.DecodeError:
            raise FrameError(str(error)) from None
    try:
        numbers = float(quote.b), float(quote.B), float(quote.a), float(quote.A)
    except ValueError as error:
        raise FrameError(str(error)) from None
    sink.quote(quote.s, quote.u, quote.T * MS, *numbers)


def _is_reply(payload: bytes | memoryview, sink: Sink) -> bool:
    try:
        reply = _reply(payload)
    except msgspec.DecodeError:
        return False
    sink.reply(reply.id, f"{reply.error.code}: {reply.error.msg}" if reply.error else "")
    return True


# --- REST


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815 - the venue's spelling
    tickSize: str = "0"  # noqa: N815
    stepSize: str = "0"  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[_Filter]
    contractType: str = ""  # noqa: N815


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


class _RestTrade(msgspec.Struct):
    id: int
    price: str
    qty: str
    time: int
    isBuyerMaker: bool  # noqa: N815


class Binance:
    """The answers that spot and USD-M share; a venue's file gives the rest."""

    name: str
    prefix: str
    spot: bool
    history_page: int
    """Trades that one look-up of history may ask for."""
    weights: dict[str, int]

    def subscribe(self, streams: Sequence[str], request_id: int) -> bytes:
        return _request("SUBSCRIBE", streams, request_id)

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> bytes:
        return _request("UNSUBSCRIBE", streams, request_id)

    async def instruments(self, rest: VenueRest) -> list[Instrument]:
        body = await rest.get(f"{self.prefix}/exchangeInfo", {}, self.weights["exchangeInfo"])
        info = msgspec.json.decode(body, type=_ExchangeInfo)
        return [self._instrument(symbol) for symbol in info.symbols if symbol.status == "TRADING"]

    def _instrument(self, symbol: _Symbol) -> Instrument:
        steps = {f.filterType: f for f in symbol.filters}
        price, lot = steps.get("PRICE_FILTER"), steps.get("LOT_SIZE")
        perpetual = symbol.contractType in ("PERPETUAL", "")
        return Instrument(
            venue=self.name,
            symbol=symbol.symbol,
            kind="spot" if self.spot else "perpetual" if perpetual else "future",
            currency=symbol.quoteAsset,
            base=symbol.baseAsset,
            price_step=float(price.tickSize) if price else 0.0,
            qty_step=float(lot.stepSize) if lot else 0.0,
        )

    async def trades_since(self, rest: VenueRest, symbol: str, from_id: int, to_id: int) -> History:
        """By key from any id on; without one, the latest thousand are all there is.

        The public ``aggTrades`` reach further back, but an aggregate of several trades gives only their
        sum: neither how it was shared nor, for sure, each one's time. Only aggregates of a single trade
        (f == l) are exact. Those would leave a hole with splinters in it, each its own range in the
        ledger, for bars that would be wrong all the same; so they are not used, and what is
        missing without a key is said to be missing.
        """
        if not rest.has_key:
            trades = await self.latest_trades(rest, symbol)
            if not trades or trades[-1].id < from_id:
                return History((), from_id - 1)
            if trades[0].id <= from_id:
                return History(trades, trades[-1].id)
            return History(trades, trades[-1].id, GapReason.NO_KEY, min(to_id, trades[0].id - 1))
        try:
            body = await rest.get(
                f"{self.prefix}/historicalTrades",
                {"symbol": symbol, "fromId": from_id, "limit": self.history_page},
                self.weights["historicalTrades"],
            )
        except RestError as error:
            if error.status == 401 or error.code in (-2014, -2015):
                return History((), from_id - 1, GapReason.NO_KEY, to_id)
            if error.code == SEARCH_WINDOW:
                return History((), from_id - 1, GapReason.EXPIRED, to_id)
            raise
        trades = _rest_trades(body)
        return History(trades, trades[-1].id if trades else from_id - 1)

    async def latest_trades(self, rest: VenueRest, symbol: str) -> Sequence[Trade]:
        body = await rest.get(
            f"{self.prefix}/trades", {"symbol": symbol, "limit": PAGE}, self.weights["trades"]
        )
        return _rest_trades(body)

    async def bars(
        self, rest: VenueRest, symbol: str, timeframe: str, start_ns: int, end_ns: int, limit: int
    ) -> list[Bar]:
        if timeframe not in KLINE_INTERVALS or (timeframe == "1s" and not self.spot):
            return []
        body = await rest.get(
            f"{self.prefix}/klines",
            {
                "symbol": symbol,
                "interval": timeframe,
                "startTime": start_ns // MS,
                "endTime": end_ns // MS - 1,
                "limit": min(limit, PAGE),
            },
            self.weights["klines"],
        )
        length_ns = timeframe_ns(timeframe)
        try:
            found = [self._bar(symbol, timeframe, row) for row in msgspec.json.decode(body)]
        except (ValueError, TypeError, LookupError) as error:
            raise msgspec.ValidationError(f"klines of {symbol}: {error!r}") from None
        return [bar for bar in found if bar.ts_ns + length_ns <= end_ns and bar.trades]

    def _bar(self, symbol: str, timeframe: str, row: list[Any]) -> Bar:
        """[open ms, open, high, low, close, volume, close ms, quote volume, trades, taker buy volume, …]"""
        return Bar(
            venue=self.name,
            symbol=symbol,
            timeframe=timeframe,
            ts_ns=row[0] * MS,
            open=float(row[1]),
            high=float(row[2]),
            low=float(row[3]),
            close=float(row[4]),
            volume=float(row[5]),
            quote_volume=float(row[7]),
            buy_volume=float(row[9]),
            trades=row[8],
            first_id=-1,
            last_id=-1,
            complete=True,
            source=BarSource.VENUE,
        )


def _rest_trades(body: bytes) -> list[Trade]:
    """Raises MsgspecError for anything but trades with finite numbers, as the socket's are checked."""
    rows = msgspec.json.decode(body, type=list[_RestTrade])
    try:
        trades = [Trade(r.id, r.time * MS, float(r.price), float(r.qty), r.isBuyerMaker) for r in rows]
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from None
    for one in trades:
        if not (0 <= one.price < math.inf and 0 <= one.qty < math.inf):
            raise msgspec.ValidationError(f"trade {one.id}: price {one.price}, quantity {one.qty}")
    return trades


def _request(method: str, streams: Sequence[str], request_id: int) -> bytes:
    return msgspec.json.encode({"method": method, "params": list(streams), "id": request_id})
