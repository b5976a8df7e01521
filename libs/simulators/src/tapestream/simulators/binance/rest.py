"""The REST side: Binance's market data endpoints for both markets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tapestream.simulators.binance.errors import (
    ApiError,
    BadCombinationError,
    BadDepthLimitError,
    KeyFormatInvalidError,
    KeyRejectedError,
    MissingParameterError,
    NotServedError,
    TooManyRequestsError,
)
from tapestream.simulators.binance.faults import FaultKind, Faults
from tapestream.simulators.binance.ledger import Ledger
from tapestream.simulators.binance.params import Params
from tapestream.simulators.binance.queries import (
    aggs_between,
    aggs_from,
    recent_aggs,
    recent_trades,
    trades_from,
)
from tapestream.simulators.binance.rows import agg_rows, exchange_info, kline_rows, trade_rows
from tapestream.simulators.binance.tickers import day_of, ticker_row
from tapestream.simulators.binance.weights import WeightCounter, weight_of
from tapestream.simulators.candles import FIXED_MS, next_open, open_of
from tapestream.simulators.market import MS_NS, InstrumentKey, Market, MarketSource, Trades

_PATHS = {Market.SPOT: "/api/v3/", Market.USDM: "/fapi/v1/"}
_USDM_DEPTHS = (5, 10, 20, 50, 100, 500, 1000)
_WEEK_MS, _MONTH_MS = 7 * 86_400_000, 31 * 86_400_000


class RestApi:
    """Answers requests out of a market's past."""

    def __init__(
        self,
        source: MarketSource,
        ledger: Ledger,
        faults: Faults,
        api_key: str,
        weight_limit: int,
        limits: dict[Market, int],
    ) -> None:
        self._source, self._ledger, self._faults, self._api_key = source, ledger, faults, api_key
        self._weights = {market: WeightCounter(weight_limit or limits[market]) for market in Market}
        self._endpoints: dict[str, Callable[[Params, Request], Any]] = {
            "ping": lambda _params, _request: {},
            "time": lambda _params, _request: {"serverTime": self._now_ms()},
            "exchangeInfo": self._exchange_info,
            "trades": self._trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._agg_trades,
            "klines": self._klines,
            "depth": self._depth,
            "ticker/24hr": self._day,
            "ticker/price": self._price,
            "ticker/bookTicker": self._book_ticker,
            "premiumIndex": self._premium_index,
            "avgPrice": self._average,
            "uiKlines": self._klines,
        }

    def routes(self) -> list[Route]:
        return [
            Route(prefix + "{endpoint:path}", self._handler(market), methods=["GET"])
            for market, prefix in _PATHS.items()
        ]

    def _handler(self, market: Market) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            endpoint = request.path_params["endpoint"]
            headers: dict[str, str] = {}
            try:
                self._check_faults(self._weights[market].limit)
                params = Params(market, request.query_params, self._source.logs)
                self._count(market, endpoint, request, headers)
                handler = self._endpoints.get(endpoint)
                only_usdm, only_spot = endpoint == "premiumIndex", endpoint in ("avgPrice", "uiKlines")
                if (
                    handler is None
                    or (only_usdm and market is Market.SPOT)
                    or (only_spot and market is Market.USDM)
                ):
                    raise NotServedError(404, -1000, f"Path {request.url.path} is not served here.")
                if endpoint in ("klines", "uiKlines"):  # may be drawn from years of minutes: not on the loop
                    body = await asyncio.to_thread(handler, params, request)
                else:
                    body = handler(params, request)
                return _json(200, body, headers)
            except ApiError as error:
                if isinstance(error, TooManyRequestsError):
                    headers["Retry-After"] = str(error.retry_after_s)
                return _json(error.status, {"code": error.code, "msg": error.message}, headers)

        return handle

    def _check_faults(self, limit: int) -> None:
        now = time.monotonic()
        if self._faults.is_on(FaultKind.REST_DOWN, now):
            raise NotServedError(503, -1016, "This service is no longer available.")
        if fault := self._faults.is_on(FaultKind.REST_429, now):
            if fault.left is not None:
                fault.left -= 1
            seconds = 1 if fault.until is None else max(1, int(fault.until - now) + 1)
            raise TooManyRequestsError(limit, seconds)

    def _count(self, market: Market, endpoint: str, request: Request, headers: dict[str, str]) -> None:
        asked = request.query_params.get("limit", "")
        limit = int(asked) if asked.isdecimal() and len(asked) < 10 else None
        weight = weight_of(market, endpoint, limit, bool(request.query_params.get("symbol")))
        address = request.client.host if request.client else ""
        used = self._weights[market].use(address, weight, time.time())
        headers["X-MBX-USED-WEIGHT-1M"] = str(used)
        if market is Market.SPOT:
            headers["X-MBX-USED-WEIGHT"] = str(used)

    def _now_ms(self) -> int:
        return self._source.now_ns() // MS_NS

    def _keys(self, market: Market) -> list[InstrumentKey]:
        return [key for key in self._source.logs if key.market is market]

    def _chosen(self, params: Params) -> tuple[list[InstrumentKey], bool]:
        """The instruments that a ticker endpoint is asked about, and whether the answer is a list."""
        if params.has("symbol"):
            return [params.symbol()], False
        if names := params.text("symbols"):
            try:
                symbols = msgspec.json.decode(names, type=list[str])
            except msgspec.DecodeError:
                raise MissingParameterError("symbols") from None
            return [params.known(symbol) for symbol in symbols], True
        return self._keys(params.market), True

    def _exchange_info(self, params: Params, _request: Request) -> dict[str, Any]:
        # USD-M lists all its symbols whatever is asked.
        keys = self._chosen(params)[0] if params.market is Market.SPOT else self._keys(params.market)
        instruments = [self._source.logs[key].instrument for key in keys]
        return exchange_info(params.market, instruments, self._now_ms(), self._weights[params.market].limit)

    def _served(self, key: InstrumentKey, trades: Trades) -> list[dict[str, Any]]:
        ranges = self._ledger.of(key).rest
        for trade_id in trades.ids.tolist():
            ranges.add(trade_id)
        return trade_rows(self._source.logs[key].instrument, trades)

    def _trades(self, params: Params, _request: Request) -> list[dict[str, Any]]:
        key, limit = params.symbol(), params.limit(500, 1000)
        return self._served(key, recent_trades(self._source.logs[key], limit))

    def _historical_trades(self, params: Params, request: Request) -> list[dict[str, Any]]:
        sent = request.headers.get("X-MBX-APIKEY")
        if not sent:
            raise KeyFormatInvalidError
        if sent != self._api_key:
            raise KeyRejectedError
        key = params.symbol()
        limit = params.limit(100, 500) if params.market is Market.USDM else params.limit(500, 1000)
        from_id = params.integer("fromId")
        log = self._source.logs[key]
        trades = recent_trades(log, limit) if from_id is None else trades_from(log, from_id, limit)
        return self._served(key, trades)

    def _agg_trades(self, params: Params, _request: Request) -> list[dict[str, Any]]:
        key, limit = params.symbol(), params.limit(500, 1000)
        log = self._source.logs[key]
        from_id, start, end = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
        if from_id is not None:
            if start is not None or end is not None:
                raise BadCombinationError
            aggs = aggs_from(log, from_id, limit)
        elif start is None and end is None:
            aggs = recent_aggs(log, limit)
        else:
            aggs = aggs_between(log, start, end, limit, params.market is Market.USDM)
        ranges = self._ledger.of(key).rest
        for first, last in zip(aggs.first_id.tolist(), aggs.last_id.tolist(), strict=True):
            ranges.add_range(first, last)
        return agg_rows(log.instrument, aggs)

    def _klines(self, params: Params, _request: Request) -> list[list[Any]]:
        key, interval = params.symbol(), params.interval()
        limit = params.limit(500, 1500 if params.market is Market.USDM else 1000)
        start, end = params.integer("startTime"), params.integer("endTime")
        if start is not None and end is not None and end < start:
            raise BadCombinationError
        length = FIXED_MS.get(interval) or (_WEEK_MS if interval == "1w" else _MONTH_MS)
        now = self._now_ms()
        end = now if end is None else min(end, now)
        log = self._source.logs[key]
        if start is None:
            start = max(0, open_of(end, interval) - (limit - 1) * length)
        else:
            start = max(start, log.start_ns() // MS_NS)
            opens = open_of(start, interval)
            start = opens if opens == start else next_open(opens, interval)
            end = min(end, start + limit * length)
        if end < start:
            return []
        candles = self._source.candles(key, interval, start, end)
        rows = kline_rows(log.instrument, interval, candles)
        return rows[:limit] if params.has("startTime") else rows[-limit:]

    def _depth(self, params: Params, _request: Request) -> dict[str, Any]:
        key = params.symbol()
        usdm = params.market is Market.USDM
        limit = params.integer("limit") or (500 if usdm else 100)
        if usdm and limit not in _USDM_DEPTHS:
            raise BadDepthLimitError(limit)
        book = self._source.book(key, min(limit, 5000))
        answer: dict[str, Any] = {"lastUpdateId": book.update_id}
        if usdm:
            answer |= {"E": self._now_ms(), "T": book.ts_ms}
        return answer | {"bids": book.bids, "asks": book.asks}

    def _day(self, params: Params, _request: Request) -> Any:
        keys, many = self._chosen(params)
        days = [(key, day_of(self._source, key)) for key in keys]
        return _one_or_all([ticker_row(key, day) for key, day in days if day is not None], many)

    def _price(self, params: Params, _request: Request) -> Any:
        keys, many = self._chosen(params)
        rows: list[dict[str, Any]] = []
        for key in keys:
            log = self._source.logs[key]
            last = recent_trades(log, 1)
            if len(last):
                row: dict[str, Any] = {
                    "symbol": key.symbol,
                    "price": log.instrument.price_text(int(last.ticks[-1])),
                }
                if key.market is Market.USDM:
                    row["time"] = int(last.ts_ns[-1]) // MS_NS
                rows.append(row)
        return _one_or_all(rows, many)

    def _book_ticker(self, params: Params, _request: Request) -> Any:
        keys, many = self._chosen(params)
        rows: list[dict[str, Any]] = []
        for key in keys:
            quote = self._source.quote(key)
            if quote is None:
                continue
            row: dict[str, Any] = {
                "symbol": key.symbol,
                "bidPrice": quote.bid,
                "bidQty": quote.bid_qty,
                "askPrice": quote.ask,
                "askQty": quote.ask_qty,
            }
            if key.market is Market.USDM:
                row |= {"time": quote.ts_ms, "lastUpdateId": quote.update_id}
            rows.append(row)
        return _one_or_all(rows, many)

    def _premium_index(self, params: Params, _request: Request) -> Any:
        keys, many = self._chosen(params)
        now = self._now_ms()
        rows: list[dict[str, Any]] = []
        for key in keys:
            log = self._source.logs[key]
            last = recent_trades(log, 1)
            if len(last):
                price = log.instrument.price_text(int(last.ticks[-1]))
                rows.append(
                    {
                        "symbol": key.symbol,
                        "markPrice": price,
                        "indexPrice": price,
                        "estimatedSettlePrice": price,
                        "lastFundingRate": "0.00010000",
                        "interestRate": "0.00010000",
                        "nextFundingTime": (now // 28_800_000 + 1) * 28_800_000,
                        "time": now,
                    }
                )
        return _one_or_all(rows, many)

    def _average(self, params: Params, _request: Request) -> dict[str, Any]:
        key = params.symbol()
        now = self._now_ms()
        found = self._source.candles(key, "5m", now - 300_000, now)
        log = self._source.logs[key]
        lots, notional = int(found.lots.sum()), int(found.notional.sum())
        return {"mins": 5, "price": log.instrument.price_text(notional // max(lots, 1)), "closeTime": now}


def _one_or_all(rows: list[dict[str, Any]], many: bool) -> Any:
    return rows if many else rows[0] if rows else {}


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")
