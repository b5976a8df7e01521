"""A day's statistics of an instrument, for the ticker streams and the ticker endpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

from tapestream.simulators.candles import whole
from tapestream.simulators.market import MS_NS, InstrumentKey, Market, MarketSource, Quote, decimal_text

_DAY_MINUTES = 1440


class Day(NamedTuple):
    """The last 24 hours, as text in the venue's form."""

    change: str
    change_percent: str
    average: str
    open: str
    high: str
    low: str
    last: str
    last_qty: str
    volume: str
    quote_volume: str
    open_ms: int
    close_ms: int
    first_id: int
    last_id: int
    trades: int
    quote: Quote


def day_of(source: MarketSource, key: InstrumentKey) -> Day | None:
    """None before the first trade."""
    log = source.logs[key]
    instrument = log.instrument
    window = whole(source.window(key, _DAY_MINUTES))
    quote = source.quote(key)
    last = log.ids(log.last_id(), log.last_id())
    if not len(window) or quote is None or not len(last):
        return None
    opened, closed = int(window.open[0]), int(window.close[0])
    lots, notional = int(window.lots[0]), int(window.notional[0])
    now_ms = source.now_ns() // MS_NS
    return Day(
        instrument.price_text(closed - opened),
        f"{(closed - opened) * 100 / opened:.3f}",
        decimal_text(notional * instrument.tick // max(lots, 1), instrument.price_decimals),
        instrument.price_text(opened),
        instrument.price_text(int(window.high[0])),
        instrument.price_text(int(window.low[0])),
        instrument.price_text(closed),
        instrument.qty_text(int(last.lots[-1])),
        instrument.qty_text(lots),
        instrument.notional_text(notional),
        now_ms - _DAY_MINUTES * 60_000,
        now_ms,
        int(window.first_id[0]),
        int(window.last_id[0]),
        int(window.count[0]),
        quote,
    )


def ticker_event(key: InstrumentKey, day: Day) -> dict[str, Any]:
    event: dict[str, Any] = {
        "e": "24hrTicker",
        "E": day.close_ms,
        "s": key.symbol,
        "p": day.change,
        "P": day.change_percent,
        "w": day.average,
    }
    if key.market is Market.SPOT:
        quote = day.quote
        event |= {"x": day.open, "c": day.last, "Q": day.last_qty}
        event |= {"b": quote.bid, "B": quote.bid_qty, "a": quote.ask, "A": quote.ask_qty}
    else:
        event |= {"c": day.last, "Q": day.last_qty}
    return event | {
        "o": day.open,
        "h": day.high,
        "l": day.low,
        "v": day.volume,
        "q": day.quote_volume,
        "O": day.open_ms,
        "C": day.close_ms,
        "F": day.first_id,
        "L": day.last_id,
        "n": day.trades,
    }


def mini_ticker_event(key: InstrumentKey, day: Day) -> dict[str, Any]:
    return {
        "e": "24hrMiniTicker",
        "E": day.close_ms,
        "s": key.symbol,
        "c": day.last,
        "o": day.open,
        "h": day.high,
        "l": day.low,
        "v": day.volume,
        "q": day.quote_volume,
    }


def ticker_row(key: InstrumentKey, day: Day) -> dict[str, Any]:
    """A row of ``ticker/24hr``."""
    row: dict[str, Any] = {
        "symbol": key.symbol,
        "priceChange": day.change,
        "priceChangePercent": day.change_percent,
        "weightedAvgPrice": day.average,
    }
    if key.market is Market.SPOT:
        quote = day.quote
        row |= {
            "prevClosePrice": day.open,
            "lastPrice": day.last,
            "lastQty": day.last_qty,
            "bidPrice": quote.bid,
            "bidQty": quote.bid_qty,
            "askPrice": quote.ask,
            "askQty": quote.ask_qty,
        }
    else:
        row |= {"lastPrice": day.last, "lastQty": day.last_qty}
    return row | {
        "openPrice": day.open,
        "highPrice": day.high,
        "lowPrice": day.low,
        "volume": day.volume,
        "quoteVolume": day.quote_volume,
        "openTime": day.open_ms,
        "closeTime": day.close_ms,
        "firstId": day.first_id,
        "lastId": day.last_id,
        "count": day.trades,
    }
