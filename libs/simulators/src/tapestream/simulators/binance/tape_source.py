"""What has been played of a tape, as something that can be asked about its past and no more."""

from __future__ import annotations

from bisect import bisect_right

import msgspec
import numpy as np

from tapestream.simulators.binance.loop import shifted
from tapestream.simulators.binance.streams import Kind
from tapestream.simulators.binance.tape import Tape, TapeSymbol
from tapestream.simulators.candles import Candles, group, of_trades
from tapestream.simulators.market import (
    MINUTE_NS,
    MS_NS,
    Book,
    Instrument,
    InstrumentKey,
    Ints,
    Quote,
    Trades,
    join_trades,
)


class TapePosition:
    """How far a tape has been played: frames of the current round, and rounds before it."""

    __slots__ = ("frames", "rounds")

    def __init__(self) -> None:
        self.frames = self.rounds = 0


class TapeLog:
    """One instrument's trades (see ``TradeLog``), in all rounds so far."""

    def __init__(self, tape: Tape, symbol: TapeSymbol, position: TapePosition) -> None:
        self._tape, self._symbol, self._position = tape, symbol, position

    @property
    def instrument(self) -> Instrument:
        return self._symbol.instrument

    def start_ns(self) -> int:
        trades = self._symbol.trades
        return int(trades.ts_ns[0]) if len(trades) else 0

    def _played(self) -> int:
        """Trades of the current round that have been played."""
        return int(np.searchsorted(self._symbol.trade_at, self._position.frames, side="left"))

    def _last(self, column: Ints, kind: Kind) -> int:
        played, rounds = self._played(), self._position.rounds
        if not len(column) or not (played or rounds):
            return -1
        row, rounds = (played - 1, rounds) if played else (len(column) - 1, rounds - 1)
        return int(column[row]) + rounds * self._symbol.span.get(kind, 0)

    def last_id(self) -> int:
        return self._last(self._symbol.trades.ids, Kind.TRADE)

    def last_agg(self) -> int:
        return self._last(self._symbol.trades.agg, Kind.AGG_TRADE)

    def ids(self, first: int, last: int) -> Trades:
        span = self._symbol.span.get(Kind.TRADE, 0)
        return self._rounds(lambda trades, at: trades.ids + at * span, first, last + 1)

    def aggs(self, first: int, last: int) -> Trades:
        span = self._symbol.span.get(Kind.AGG_TRADE, 0)
        return self._rounds(lambda trades, at: trades.agg + at * span, first, last + 1)

    def between(self, start_ns: int, end_ns: int) -> Trades:
        loop_ns = self._tape.loop_ns
        return self._rounds(lambda trades, at: trades.ts_ns + at * loop_ns, start_ns, end_ns)

    def _rounds(self, column: object, low: int, high: int) -> Trades:
        """Played trades whose column is in ``low <= value < high``, over all rounds."""
        symbol, position = self._symbol, self._position
        parts: list[Trades] = []
        for at in range(position.rounds + 1):
            trades = symbol.trades
            if at == position.rounds:
                trades = trades.rows(slice(0, self._played()))
            if not len(trades):
                continue
            values: Ints = column(trades, at)  # type: ignore[operator]
            chosen = (values >= low) & (values < high)
            if chosen.any():
                parts.append(_moved(trades.rows(chosen), at, symbol, self._tape.loop_ns))
        return join_trades(parts)


def _moved(trades: Trades, rounds: int, symbol: TapeSymbol, loop_ns: int) -> Trades:
    if not rounds:
        return trades
    return Trades(
        trades.ids + rounds * symbol.span.get(Kind.TRADE, 0),
        trades.ts_ns + rounds * loop_ns,
        trades.ticks,
        trades.lots,
        trades.buyer_maker,
        trades.kind,
        trades.agg + rounds * symbol.span.get(Kind.AGG_TRADE, 0),
    )


class _BookState:
    """A book built from the depth events and snapshots of one symbol."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.update_id = self.ts_ms = 0
        self.applied = 0
        self.rounds = 0


class _Depth(msgspec.Struct):
    E: int = 0
    T: int = 0
    u: int = 0
    b: list[tuple[str, str]] = []
    a: list[tuple[str, str]] = []
    lastUpdateId: int = 0  # noqa: N815
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


class _QuoteFrame(msgspec.Struct):
    u: int
    b: str
    B: str
    a: str
    A: str
    E: int = 0


class TapeSource:
    """A tape as a market (see ``MarketSource``)."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.position = tape, TapePosition()
        self.logs = {key: TapeLog(tape, symbol, self.position) for key, symbol in tape.symbols.items()}
        self._books = {key: _BookState() for key in tape.symbols}
        self._depth = msgspec.json.Decoder(_Depth).decode
        self._quote = msgspec.json.Decoder(_QuoteFrame).decode

    def now_ns(self) -> int:
        at = min(max(self.position.frames - 1, 0), len(self.tape) - 1)
        return int(self.tape.event_ms[at]) * MS_NS + self.position.rounds * self.tape.loop_ns

    def payload(self, at: int, kind: Kind, key: InstrumentKey) -> bytes:
        """A frame as it is sent in the current round."""
        payload, rounds = self.tape.payloads[at], self.position.rounds
        if not rounds:
            return payload
        return shifted(payload, kind, rounds, self.tape.loop_ns, self.tape.symbols[key].span)

    def quote(self, key: InstrumentKey) -> Quote | None:
        """The last best quote; without any, the last trade's price on both sides."""
        symbol = self.tape.symbols[key]
        row = int(np.searchsorted(symbol.quote_at, self.position.frames, side="left")) - 1
        if row < 0 and self.position.rounds:
            row = len(symbol.quote_at) - 1
        if row >= 0:
            frame = self._quote(self.payload(int(symbol.quote_at[row]), Kind.BOOK_TICKER, key))
            return Quote(frame.u, frame.E or self.now_ns() // MS_NS, frame.b, frame.B, frame.a, frame.A)
        log = self.logs[key]
        last = log.ids(log.last_id(), log.last_id())
        if not len(last):
            return None
        price = log.instrument.price_text(int(last.ticks[-1]))
        qty = log.instrument.qty_text(int(last.lots[-1]))
        return Quote(int(last.ids[-1]), int(last.ts_ns[-1]) // MS_NS, price, qty, price, qty)

    def book(self, key: InstrumentKey, levels: int) -> Book:
        symbol, state = self.tape.symbols[key], self._books[key]
        if state.rounds != self.position.rounds:
            state.rounds, state.applied = self.position.rounds, 0
        until = bisect_right(symbol.book_at, self.position.frames - 1)
        for at in symbol.book_at[state.applied : until]:
            self._apply(state, self._depth(self.tape.payloads[at]), symbol)
        state.applied = until
        if not state.bids and not state.asks:
            quote = self.quote(key)
            if quote is None:
                return Book(0, self.now_ns() // MS_NS, [], [])
            return Book(
                quote.update_id, quote.ts_ms, [(quote.bid, quote.bid_qty)], [(quote.ask, quote.ask_qty)]
            )
        return Book(
            state.update_id,
            state.ts_ms,
            sorted(state.bids.items(), key=lambda level: -float(level[0]))[:levels],
            sorted(state.asks.items(), key=lambda level: float(level[0]))[:levels],
        )

    def _apply(self, state: _BookState, event: _Depth, symbol: TapeSymbol) -> None:
        moved = state.rounds * symbol.span.get(Kind.DEPTH, 0)
        state.ts_ms = (event.T or event.E) + state.rounds * self.tape.loop_ns // MS_NS
        if event.lastUpdateId:
            if event.lastUpdateId + moved < state.update_id:
                return  # an answer from before what has been applied already
            state.update_id = event.lastUpdateId + moved
            state.bids, state.asks = dict(event.bids), dict(event.asks)
            return
        if event.u + moved <= state.update_id:
            return
        state.update_id = event.u + moved
        for side, changes in ((state.bids, event.b), (state.asks, event.a)):
            for price, qty in changes:
                if float(qty) == 0.0:
                    side.pop(price, None)
                else:
                    side[price] = qty

    def candles(self, key: InstrumentKey, interval: str, start_ms: int, end_ms: int) -> Candles:
        found = group(of_trades(self.logs[key].between(0, self.now_ns() + self.tape.loop_ns)), interval)
        low = int(np.searchsorted(found.open_ms, start_ms, side="left"))
        high = int(np.searchsorted(found.open_ms, end_ms, side="right"))
        return found.rows(slice(low, high))

    def window(self, key: InstrumentKey, minutes: int) -> Candles:
        now = self.now_ns()
        return of_trades(self.logs[key].between(now - minutes * MINUTE_NS, now + self.tape.loop_ns))
