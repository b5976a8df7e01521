"""Streams that follow from trades and books rather than from a tape: candles, tickers, marks, depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tapestream.simulators.binance import frames
from tapestream.simulators.binance.hub import Channel, Hub
from tapestream.simulators.binance.streams import Kind
from tapestream.simulators.binance.tickers import day_of, mini_ticker_event, ticker_event
from tapestream.simulators.candles import OpenCandle, next_open, open_of
from tapestream.simulators.market import MS_NS, Book, Instrument, InstrumentKey, MarketSource

PERIOD_MS = {
    Kind.KLINE: 250,
    Kind.TICKER: 1000,
    Kind.MINI_TICKER: 1000,
    Kind.MARK_PRICE: 3000,
    Kind.DEPTH: 100,
    Kind.PARTIAL_DEPTH: 100,
}
"""How often each stream speaks, at most, in the market's time."""

_FUNDING_MS = 8 * 3_600_000
BookAt = Callable[[InstrumentKey, int], Book]


@dataclass(slots=True)
class _Derived:
    channel: Channel
    period_ms: int
    turn: int = -1
    candle: OpenCandle | None = None
    changed: bool = True
    book: Book | None = None


class DerivedStreams:
    """Feeds the streams that are derived. ``grace_ms`` is how late a trade may come for its candle."""

    def __init__(
        self,
        source: MarketSource,
        hub: Hub,
        native: Callable[[Channel], bool],
        book_at: BookAt | None = None,
        grace_ms: int = 0,
    ) -> None:
        self._source, self._hub, self._native, self._book_at = source, hub, native, book_at
        self._grace_ms = grace_ms
        self._streams: dict[tuple[str, str], _Derived] = {}
        self._candles: dict[InstrumentKey, list[_Derived]] = {}
        hub.on_subscribe.append(self._subscribed)

    def _subscribed(self, channel: Channel) -> None:
        stream = channel.stream
        place = (stream.market, stream.name)
        if stream.kind not in PERIOD_MS or place in self._streams or self._native(channel):
            return
        if stream.symbol and stream.key not in self._source.logs:
            return
        if stream.kind is Kind.DEPTH and self._book_at is None:
            return
        period = 1000 if stream.argument == "1s" else PERIOD_MS[stream.kind]
        derived = self._streams[place] = _Derived(channel, period)
        if stream.kind is Kind.KLINE:
            self._candles.setdefault(stream.key, []).append(derived)

    def wants_trades(self, key: InstrumentKey) -> bool:
        return key in self._candles

    def trade(
        self, key: InstrumentKey, ts_ms: int, trade_id: int, ticks: int, lots: int, maker: bool
    ) -> None:
        """Count an ordinary trade into the open candles of its instrument."""
        for derived in self._candles.get(key, ()):
            candle = derived.candle
            if candle is None or trade_id <= candle.last_id:
                continue  # it begins at the next tick, from history
            while ts_ms >= candle.end_ms:
                candle = self._close(derived, candle)
            candle.add(trade_id, ticks, lots, maker)
            derived.changed = True

    def tick(self, now_ms: int) -> None:
        """Let every stream speak whose turn has come."""
        for derived in self._streams.values():
            turn = now_ms // derived.period_ms
            if turn == derived.turn:
                continue
            derived.turn = turn
            kind = derived.channel.stream.kind
            if not derived.channel:
                derived.candle, derived.book = None, None
            elif kind is Kind.KLINE:
                self._candle(derived, now_ms)
            elif kind in (Kind.TICKER, Kind.MINI_TICKER):
                self._ticker(derived)
            elif kind is Kind.MARK_PRICE:
                self._mark(derived, now_ms)
            elif kind is Kind.PARTIAL_DEPTH:
                self._partial(derived, now_ms)
            else:
                self._depth(derived, now_ms)

    def _instrument(self, key: InstrumentKey) -> Instrument:
        return self._source.logs[key].instrument

    def _candle(self, derived: _Derived, now_ms: int) -> None:
        stream = derived.channel.stream
        candle = derived.candle
        if candle is None:
            start = open_of(now_ms, stream.argument)
            past = self._source.candles(stream.key, stream.argument, start, now_ms)
            if not len(past):
                return
            candle = OpenCandle.of(past, len(past) - 1, next_open(start, stream.argument))
            derived.candle, derived.changed = candle, True
        while now_ms >= candle.end_ms + self._grace_ms:
            candle = self._close(derived, candle)
        if derived.changed:
            self._push_candle(derived, candle, now_ms, False)
            derived.changed = False

    def _close(self, derived: _Derived, candle: OpenCandle) -> OpenCandle:
        self._push_candle(derived, candle, candle.end_ms, True)
        end = next_open(candle.end_ms, derived.channel.stream.argument)
        following = OpenCandle(candle.end_ms, end, candle.close)
        following.last_id = candle.last_id
        derived.candle, derived.changed = following, True
        return following

    def _push_candle(self, derived: _Derived, candle: OpenCandle, now_ms: int, closed: bool) -> None:
        stream = derived.channel.stream
        payload = frames.kline(self._instrument(stream.key), now_ms, stream.argument, candle, closed)
        self._hub.publish(derived.channel, payload)

    def _ticker(self, derived: _Derived) -> None:
        stream = derived.channel.stream
        make = ticker_event if stream.kind is Kind.TICKER else mini_ticker_event
        if stream.symbol:
            day = day_of(self._source, stream.key)
            if day is not None:
                self._hub.publish(derived.channel, msgspec.json.encode(make(stream.key, day)))
            return
        keys = [key for key in self._source.logs if key.market is stream.market]
        days = [(key, day_of(self._source, key)) for key in keys]
        rows = [make(key, day) for key, day in days if day is not None]
        self._hub.publish(derived.channel, msgspec.json.encode(rows))

    def _mark(self, derived: _Derived, now_ms: int) -> None:
        stream = derived.channel.stream
        keys = (
            [stream.key]
            if stream.symbol
            else [key for key in self._source.logs if key.market is stream.market]
        )
        events: list[bytes] = []
        for key in keys:
            log = self._source.logs[key]
            last = log.ids(log.last_id(), log.last_id())
            if len(last):
                price = log.instrument.price_text(int(last.ticks[-1]))
                due = (now_ms // _FUNDING_MS + 1) * _FUNDING_MS
                events.append(frames.mark_price(log.instrument, now_ms, price, due))
        if stream.symbol and events:
            self._hub.publish(derived.channel, events[0])
        elif not stream.symbol:
            self._hub.publish(derived.channel, b"[" + b",".join(events) + b"]")

    def _partial(self, derived: _Derived, now_ms: int) -> None:
        stream = derived.channel.stream
        book = self._source.book(stream.key, int(stream.argument))
        previous = derived.book.update_id if derived.book else book.update_id - 1
        if book.update_id and (derived.book is None or book.update_id != previous):
            derived.book = book
            payload = frames.partial_depth(self._instrument(stream.key), now_ms, book, previous)
            self._hub.publish(derived.channel, payload)

    def _depth(self, derived: _Derived, now_ms: int) -> None:
        key = derived.channel.stream.key
        book_at = self._book_at
        if book_at is None:
            return
        border_ms = now_ms // derived.period_ms * derived.period_ms
        before = derived.book or book_at(key, (border_ms - derived.period_ms) * MS_NS)
        after = book_at(key, border_ms * MS_NS)
        derived.book = after
        if after.update_id == before.update_id:
            return
        zero = self._instrument(key).qty_text(0)
        payload = frames.depth_update(
            self._instrument(key),
            now_ms,
            after,
            before.update_id + 1,
            before.update_id,
            changes(before.bids, after.bids, zero),
            changes(before.asks, after.asks, zero),
        )
        self._hub.publish(derived.channel, payload)


def changes(before: list[tuple[str, str]], after: list[tuple[str, str]], zero: str) -> list[tuple[str, str]]:
    """Levels that differ; those that are gone come with quantity zero."""
    old, new = dict(before), dict(after)
    gone = [(price, zero) for price in old if price not in new]
    return gone + [(price, qty) for price, qty in after if old.get(price) != qty]
