"""Payloads of WebSocket events, field by field as each market sends them."""

from __future__ import annotations

from tapestream.simulators.candles import OpenCandle
from tapestream.simulators.market import KIND_TEXT, Book, Instrument, Market, Quote

_BOOL = ("false", "true")


def trade(
    instrument: Instrument, ts_ms: int, trade_id: int, ticks: int, lots: int, buyer_maker: bool, kind: int
) -> bytes:
    price, qty, maker = instrument.price_text(ticks), instrument.qty_text(lots), _BOOL[buyer_maker]
    if instrument.key.market is Market.SPOT:
        return (
            f'{{"e":"trade","E":{ts_ms},"s":"{instrument.key.symbol}","t":{trade_id},"p":"{price}",'
            f'"q":"{qty}","T":{ts_ms},"m":{maker},"M":true}}'
        ).encode()
    return (
        f'{{"e":"trade","E":{ts_ms},"T":{ts_ms},"s":"{instrument.key.symbol}","t":{trade_id},"p":"{price}",'
        f'"q":"{qty}","X":"{KIND_TEXT[kind]}","m":{maker}}}'
    ).encode()


def agg_trade(
    instrument: Instrument,
    ts_ms: int,
    agg_id: int,
    ticks: int,
    lots: int,
    first_id: int,
    last_id: int,
    buyer_maker: bool,
) -> bytes:
    price, qty, maker = instrument.price_text(ticks), instrument.qty_text(lots), _BOOL[buyer_maker]
    if instrument.market is Market.SPOT:
        return (
            f'{{"e":"aggTrade","E":{ts_ms},"s":"{instrument.symbol}","a":{agg_id},"p":"{price}",'
            f'"q":"{qty}","f":{first_id},"l":{last_id},"T":{ts_ms},"m":{maker},"M":true}}'
        ).encode()
    return (
        f'{{"e":"aggTrade","E":{ts_ms},"a":{agg_id},"s":"{instrument.symbol}","p":"{price}",'
        f'"q":"{qty}","f":{first_id},"l":{last_id},"T":{ts_ms},"m":{maker}}}'
    ).encode()


def book_ticker(instrument: Instrument, quote: Quote) -> bytes:
    update_id, ts_ms, bid, bid_qty, ask, ask_qty = quote
    if instrument.key.market is Market.SPOT:
        return (
            f'{{"u":{update_id},"s":"{instrument.key.symbol}","b":"{bid}","B":"{bid_qty}",'
            f'"a":"{ask}","A":"{ask_qty}"}}'
        ).encode()
    return (
        f'{{"e":"bookTicker","u":{update_id},"s":"{instrument.key.symbol}","b":"{bid}","B":"{bid_qty}",'
        f'"a":"{ask}","A":"{ask_qty}","T":{ts_ms},"E":{ts_ms}}}'
    ).encode()


def levels_json(levels: list[tuple[str, str]]) -> str:
    return "[" + ",".join(f'["{price}","{qty}"]' for price, qty in levels) + "]"


def depth_update(
    instrument: Instrument,
    event_ms: int,
    book: Book,
    first_update: int,
    previous_update: int,
    bids: list[tuple[str, str]],
    asks: list[tuple[str, str]],
) -> bytes:
    """Changes of the book from ``first_update`` to ``book.update_id``."""
    head = f'{{"e":"depthUpdate","E":{event_ms},'
    body = f'"b":{levels_json(bids)},"a":{levels_json(asks)}}}'
    ids = f'"s":"{instrument.symbol}","U":{first_update},"u":{book.update_id},'
    if instrument.market is Market.SPOT:
        return (head + ids + body).encode()
    return (head + f'"T":{book.ts_ms},' + ids + f'"pu":{previous_update},' + body).encode()


def partial_depth(instrument: Instrument, event_ms: int, book: Book, previous_update: int) -> bytes:
    if instrument.market is Market.USDM:
        first = previous_update + 1
        return depth_update(instrument, event_ms, book, first, previous_update, book.bids, book.asks)
    return (
        f'{{"lastUpdateId":{book.update_id},"bids":{levels_json(book.bids)},"asks":{levels_json(book.asks)}}}'
    ).encode()


def kline(instrument: Instrument, event_ms: int, interval: str, candle: OpenCandle, closed: bool) -> bytes:
    text = instrument.price_text
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{instrument.symbol}","k":{{"t":{candle.open_ms},'
        f'"T":{candle.end_ms - 1},"s":"{instrument.symbol}","i":"{interval}","f":{candle.first_id},'
        f'"L":{candle.last_id},"o":"{text(candle.open)}","c":"{text(candle.close)}",'
        f'"h":"{text(candle.high)}","l":"{text(candle.low)}","v":"{instrument.qty_text(candle.lots)}",'
        f'"n":{candle.count},"x":{_BOOL[closed]},"q":"{instrument.notional_text(candle.notional)}",'
        f'"V":"{instrument.qty_text(candle.taker_lots)}",'
        f'"Q":"{instrument.notional_text(candle.taker_notional)}","B":"0"}}}}'
    ).encode()


def mark_price(instrument: Instrument, event_ms: int, price: str, next_funding_ms: int) -> bytes:
    return (
        f'{{"e":"markPriceUpdate","E":{event_ms},"s":"{instrument.symbol}","p":"{price}","i":"{price}",'
        f'"P":"{price}","r":"0.00010000","T":{next_funding_ms}}}'
    ).encode()
