"""The seeded market as something that can be asked about its past, up to the clock and no further."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapestream.simulators.candles import Candles, group, join, next_open, of_trades, open_of, whole
from tapestream.simulators.market import (
    MINUTE_NS,
    MS_NS,
    Book,
    Instrument,
    InstrumentKey,
    Quote,
    Trades,
    join_trades,
)
from tapestream.simulators.noise import uniform
from tapestream.simulators.seeded import ANCHOR_MINUTE, BookUpdates, SeededInstrument

BOOK_LEVELS = 100
BOOK_STEP_NS = 100 * MS_NS
_EXACT_UP_TO = ("1s", "1m", "3m", "5m")


class SeededLog:
    """One instrument's trades (see ``TradeLog``)."""

    def __init__(self, market: SeededInstrument, clock: Callable[[], int]) -> None:
        self.market, self._clock = market, clock

    @property
    def instrument(self) -> Instrument:
        return self.market.instrument

    def start_ns(self) -> int:
        return ANCHOR_MINUTE * MINUTE_NS

    def last_id(self) -> int:
        now = self._clock()
        minute = now // MINUTE_NS
        if minute < ANCHOR_MINUTE:
            return -1
        trades = self.market.block(minute).trades
        return self.market.first_id(minute) + int(np.searchsorted(trades.ts_ns, now, side="right")) - 1

    def last_agg(self) -> int:
        now = self._clock()
        minute = now // MINUTE_NS
        if minute < ANCHOR_MINUTE:
            return -1
        block = self.market.block(minute)
        return self.market.first_agg(minute) + int(np.searchsorted(block.order_ts_ns, now, side="right")) - 1

    def ids(self, first: int, last: int) -> Trades:
        first, last = max(first, 1), min(last, self.last_id())
        if last < first:
            return join_trades(())
        trades = self._minutes(self.market.minute_of_id(first), self.market.minute_of_id(last))
        return trades.rows((trades.ids >= first) & (trades.ids <= last))

    def aggs(self, first: int, last: int) -> Trades:
        first, last = max(first, 1), min(last, self.last_agg())
        if last < first:
            return join_trades(())
        trades = self._minutes(self.market.minute_of_agg(first), self.market.minute_of_agg(last))
        return trades.rows((trades.agg >= first) & (trades.agg <= last))

    def between(self, start_ns: int, end_ns: int) -> Trades:
        start_ns, end_ns = max(start_ns, self.start_ns()), min(end_ns, self._clock() + 1)
        if end_ns <= start_ns:
            return join_trades(())
        trades = self._minutes(start_ns // MINUTE_NS, (end_ns - 1) // MINUTE_NS)
        return trades.rows((trades.ts_ns >= start_ns) & (trades.ts_ns < end_ns))

    def _minutes(self, first: int, last: int) -> Trades:
        return join_trades(self.market.block(minute).trades for minute in range(first, last + 1))


class SeededSource:
    """The whole seeded market (see ``MarketSource``)."""

    def __init__(self, markets: list[SeededInstrument], clock: Callable[[], int]) -> None:
        self._clock = clock
        self.markets = {market.instrument.key: market for market in markets}
        self.logs = {key: SeededLog(market, clock) for key, market in self.markets.items()}
        self._windows: dict[InstrumentKey, tuple[tuple[int, int], Candles]] = {}
        self._candle_of_minute: dict[tuple[InstrumentKey, int], Candles] = {}

    def now_ns(self) -> int:
        return self._clock()

    def quote(self, key: InstrumentKey) -> Quote | None:
        market = self.markets[key]
        updates, row = self._update_at(market, self._clock())
        return quote_of(market.instrument, updates, row)

    def book(self, key: InstrumentKey, levels: int) -> Book:
        """The book as of the last 100 ms border, where the depth stream's events end too."""
        return self.book_at(key, self._clock() // BOOK_STEP_NS * BOOK_STEP_NS, levels)

    def book_at(self, key: InstrumentKey, ts_ns: int, levels: int = BOOK_LEVELS) -> Book:
        market = self.markets[key]
        updates, row = self._update_at(market, ts_ns)
        update_id, bid = int(updates.update_id[row]), int(updates.bid[row])
        depth = np.arange(min(levels, BOOK_LEVELS, bid - 1), dtype=np.int64)
        instrument = market.instrument
        sides: list[list[tuple[str, str]]] = []
        for prices, best in ((bid - depth, updates.bid_lots[row]), (bid + 1 + depth, updates.ask_lots[row])):
            lots = market.level_lots(prices, update_id)
            lots[0] = best
            sides.append(
                [
                    (instrument.price_text(price), instrument.qty_text(qty))
                    for price, qty in zip(prices.tolist(), lots.tolist(), strict=True)
                ]
            )
        return Book(update_id, int(updates.ts_ns[row]) // MS_NS, sides[0], sides[1])

    def _update_at(self, market: SeededInstrument, ts_ns: int) -> tuple[BookUpdates, int]:
        minute = ts_ns // MINUTE_NS
        updates = market.book_updates(minute)
        row = int(np.searchsorted(updates.ts_ns, ts_ns, side="right")) - 1
        if row < 0:
            updates = market.book_updates(minute - 1)
            row = len(updates.ts_ns) - 1
        return updates, row

    def candles(self, key: InstrumentKey, interval: str, start_ms: int, end_ms: int) -> Candles:
        """Candles that open from ``start_ms`` up to ``end_ms``, both included, as far as the clock has come.

        Up to five minutes long they are what the trades sum to in every field. In longer ones prices,
        volume, count and ids are exact, while quote volume and the takers' share are estimates: years of
        candles would need billions of trades.
        """
        log = self.logs[key]
        now = self._clock()
        start_ms = max(open_of(start_ms, interval), ANCHOR_MINUTE * 60_000)
        end_ns = min(_after(end_ms, interval) * MS_NS, now + 1)
        if end_ns <= start_ms * MS_NS:
            return of_trades(join_trades(()))
        if interval == "1s":
            return group(of_trades(log.between(start_ms * MS_NS, end_ns)), interval)
        first, current = start_ms // 60_000, now // MINUTE_NS
        last = (end_ns - 1) // MINUTE_NS
        full_until = min(last + 1, current)
        parts: list[Candles] = []
        if interval in _EXACT_UP_TO:
            parts += [self._exact_minute(key, minute) for minute in range(first, full_until)]
        elif first < full_until:
            parts.append(self._outlined(key, first, full_until - first))
        if last >= current:
            parts.append(of_trades(log.between(current * MINUTE_NS, end_ns)))
        return group(join(parts), interval) if parts else of_trades(join_trades(()))

    def window(self, key: InstrumentKey, minutes: int) -> Candles:
        """The last so many minutes and the current one, to be seen as one candle."""
        now = self._clock()
        current = now // MINUTE_NS
        first = max(current - minutes, ANCHOR_MINUTE)
        live = of_trades(self.logs[key].between(current * MINUTE_NS, now + 1))
        known = self._windows.get(key)
        if known is None or known[0] != (first, current):
            known = ((first, current), whole(self._outlined(key, first, current - first)))
            self._windows[key] = known
        return join([known[1], live])

    def _exact_minute(self, key: InstrumentKey, minute: int) -> Candles:
        found = self._candle_of_minute.get((key, minute))
        if found is None:
            if len(self._candle_of_minute) > 100_000:
                self._candle_of_minute.clear()
            found = group(of_trades(self.markets[key].block(minute).trades), "1m")
            self._candle_of_minute[key, minute] = found
        return found

    def _outlined(self, key: InstrumentKey, first: int, count: int) -> Candles:
        market = self.markets[key]
        shapes = market.shapes(first, count)
        opened, closed = shapes.open_bid + shapes.first_side, shapes.close_bid + shapes.last_side
        high, low = shapes.high_bid + 1, shapes.low_bid
        typical = (opened + closed + high + low) // 4
        taken = (
            shapes.lots * (0.35 + 0.3 * uniform(market.character.trades_per_minute, shapes.minute))
        ).astype(np.int64)
        first_id = (shapes.minute - ANCHOR_MINUTE) * market.trades_per_minute + 1
        return Candles(
            shapes.minute * 60_000,
            opened,
            high,
            low,
            closed,
            shapes.lots,
            typical * shapes.lots,
            market.trades_per_minute - shapes.unpublished.astype(np.int64),
            taken,
            typical * taken,
            first_id,
            first_id + market.trades_per_minute - 1,
        )


def _after(ms: int, interval: str) -> int:
    return next_open(open_of(ms, interval), interval)


def quote_of(instrument: Instrument, updates: BookUpdates, row: int) -> Quote:
    bid = int(updates.bid[row])
    return Quote(
        int(updates.update_id[row]),
        int(updates.ts_ns[row]) // MS_NS,
        instrument.price_text(bid),
        instrument.qty_text(int(updates.bid_lots[row])),
        instrument.price_text(bid + 1),
        instrument.qty_text(int(updates.ask_lots[row])),
    )
