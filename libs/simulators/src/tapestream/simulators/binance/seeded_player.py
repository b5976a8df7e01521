"""Plays the seeded market: every trade and quote goes out when its time comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from tapestream.simulators.binance import frames
from tapestream.simulators.binance.derived import DerivedStreams
from tapestream.simulators.binance.hub import Channel, Hub
from tapestream.simulators.binance.streams import Kind, Stream
from tapestream.simulators.market import MINUTE_NS, MS_NS, InstrumentKey
from tapestream.simulators.seeded import SeededInstrument
from tapestream.simulators.seeded_source import SeededSource, quote_of

_IDLE_S = 0.02
_TRADE, _QUOTE = 1, 0


class _Cursor:
    """How far one instrument has been played. It begins when somebody first wants the instrument."""

    def __init__(self, market: SeededInstrument, hub: Hub, now_ns: int) -> None:
        self.market, self.key = market, market.instrument.key
        name = self.key.symbol.lower()
        self.trade, self.agg, self.quote = (
            hub.channel(Stream(self.key.market, f"{name}@{kind}", kind, self.key.symbol, ""))
            for kind in (Kind.TRADE, Kind.AGG_TRADE, Kind.BOOK_TICKER)
        )
        self.with_quotes = False
        self.minute = now_ns // MINUTE_NS
        self._load(now_ns)

    def _load(self, after_ns: int) -> None:
        """Line up what happens in the minute after an instant: quotes before the trade they precede."""
        block = self.market.block(self.minute)
        trades = block.trades
        ts = trades.ts_ns
        what = np.full(len(ts), _TRADE)
        row = np.arange(len(ts))
        if self.with_quotes:
            self.updates = self.market.book_updates(self.minute)
            quotes = self.updates.ts_ns
            ts = np.concatenate((quotes, ts))
            what = np.concatenate((np.full(len(quotes), _QUOTE), what))
            row = np.concatenate((np.arange(len(quotes)), row))
        order = np.argsort(ts, kind="stable")
        order = order[ts[order] > after_ns]
        self.ts: list[int] = ts[order].tolist()
        self.what: list[int] = what[order].tolist()
        self.row: list[int] = row[order].tolist()
        self.at = 0
        self.rows = list(
            zip(
                trades.ids.tolist(),
                (trades.ts_ns // MS_NS).tolist(),
                trades.ticks.tolist(),
                trades.lots.tolist(),
                trades.buyer_maker.tolist(),
                trades.kind.tolist(),
                strict=True,
            )
        )
        last_of_order = np.append(np.diff(trades.agg) != 0, True)
        self.ends_order: list[bool] = last_of_order.tolist()

    def want_quotes(self, now_ns: int) -> None:
        if not self.with_quotes:
            self.with_quotes = True
            played = self.ts[self.at - 1] if self.at else now_ns
            self._load(max(played, now_ns))

    def due_ns(self) -> int:
        return self.ts[self.at] if self.at < len(self.ts) else (self.minute + 1) * MINUTE_NS

    def next_minute(self) -> None:
        self.minute += 1
        self._load(-1)


class SeededPlayer:
    """Pushes the seeded market to the hub. ``speed`` is how much faster than the wall its clock runs."""

    def __init__(self, source: SeededSource, hub: Hub, clock: Callable[[], int], speed: float) -> None:
        self._source, self._hub, self._clock, self._speed = source, hub, clock, speed
        self._played_ns = clock()
        self._cursors: dict[InstrumentKey, _Cursor] = {}
        self._derived = DerivedStreams(source, hub, lambda _: False, source.book_at)
        self._prefetched = 0
        self._all_quotes = [
            hub.channel(Stream(market, "!bookTicker", Kind.BOOK_TICKER, "", ""))
            for market in {key.market for key in source.logs}
        ]
        hub.on_subscribe.append(self._subscribed)

    def status(self) -> dict[str, Any]:
        return {
            "source": "seeded",
            "started": True,
            "finished": False,
            "position_ns": self._clock(),
            "playing": [f"{key.symbol}@{key.market}" for key in self._cursors],
        }

    def start(self) -> None:
        """The seeded market never stands still; there is nothing to start."""

    def _subscribed(self, channel: Channel) -> None:
        stream = channel.stream
        if stream.kind is Kind.UNKNOWN:
            return
        wanted = (
            [stream.key]
            if stream.symbol
            else [key for key in self._source.logs if key.market is stream.market]
        )
        for key in wanted:
            market = self._source.markets.get(key)
            if market is None:
                continue
            if key not in self._cursors:
                self._cursors[key] = _Cursor(market, self._hub, self._played_ns)
            if stream.kind is Kind.BOOK_TICKER:
                self._cursors[key].want_quotes(self._played_ns)

    async def run(self) -> None:
        while True:
            self._hub.wake.clear()
            self.step()
            await self._sleep()

    def step(self) -> None:
        """Send all that has become due."""
        now = self._clock()
        for cursor in self._cursors.values():
            while cursor.due_ns() <= now:
                if cursor.at >= len(cursor.ts):
                    cursor.next_minute()
                else:
                    self._play(cursor, now)
        self._played_ns = now
        self._derived.tick(now // MS_NS)
        self._hub.release()
        self._hub.flush()
        self._prefetch(now)

    def _play(self, cursor: _Cursor, now: int) -> None:
        instrument = cursor.market.instrument
        ledger = self._hub.ledger.of(cursor.key)
        all_quotes = next(
            channel for channel in self._all_quotes if channel.stream.market is cursor.key.market
        )
        wants_trades = self._derived.wants_trades(cursor.key)
        publish = self._hub.publish
        while cursor.at < len(cursor.ts) and cursor.ts[cursor.at] <= now:
            what, row = cursor.what[cursor.at], cursor.row[cursor.at]
            cursor.at += 1
            if what == _QUOTE:
                if cursor.quote or all_quotes:
                    payload = frames.book_ticker(instrument, quote_of(instrument, cursor.updates, row))
                    publish(cursor.quote, payload)
                    publish(all_quotes, payload)
                continue
            trade_id, ts_ms, ticks, lots, maker, kind = cursor.rows[row]
            ledger.emit(trade_id, kind)
            if cursor.trade:
                publish(
                    cursor.trade,
                    frames.trade(instrument, ts_ms, trade_id, ticks, lots, maker, kind),
                    trade_id,
                )
            if cursor.agg and cursor.ends_order[row]:
                self._aggregate(cursor, row)
            if wants_trades and not kind:
                self._derived.trade(cursor.key, ts_ms, trade_id, ticks, lots, maker)

    def _aggregate(self, cursor: _Cursor, row: int) -> None:
        """Send the order whose last fill is this row; unpublished fills stay out."""
        first = row
        while first > 0 and not cursor.ends_order[first - 1]:
            first -= 1
        fills = [fill for fill in cursor.rows[first : row + 1] if not fill[5]]
        agg_id = int(cursor.market.block(cursor.minute).trades.agg[row])
        payload = frames.agg_trade(
            cursor.market.instrument,
            fills[0][1],
            agg_id,
            fills[0][2],
            sum(fill[3] for fill in fills),
            fills[0][0],
            fills[-1][0],
            fills[0][4],
        )
        self._hub.publish(cursor.agg, payload)

    def _prefetch(self, now: int) -> None:
        """Draw the minute to come ahead of time, one instrument a step, so that no border stutters."""
        minute = (now + MINUTE_NS // 3) // MINUTE_NS
        cursors = list(self._cursors.values())
        if not cursors:
            return
        self._prefetched = (self._prefetched + 1) % len(cursors)
        cursor = cursors[self._prefetched]
        if minute > cursor.minute:
            cursor.market.block(minute)
            if cursor.with_quotes:
                cursor.market.book_updates(minute)

    async def _sleep(self) -> None:
        now = self._clock()
        due = min((cursor.due_ns() for cursor in self._cursors.values()), default=now + MINUTE_NS)
        wait_s = min((due - now) / 1e9 / self._speed, _IDLE_S)
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._hub.wake.wait()
        except TimeoutError:
            pass
