"""Candles out of trades, and longer candles out of shorter ones, by column."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from tapestream.simulators.market import MS_NS, Ints, Trades

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_WEEK, _MONDAY = 7 * _DAY, 4 * _DAY  # 1970-01-05 was a Monday
FIXED_MS = {
    "1s": _SECOND,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
}
INTERVALS = (*FIXED_MS, "1w", "1M")
"""Binance's candle intervals; ``1s`` is spot's only."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles by column: times in milliseconds, prices in ticks, quantities in lots."""

    open_ms: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    lots: Ints
    notional: Ints
    """Sum of ticks times lots."""
    count: Ints
    taker_lots: Ints
    """Bought by takers."""
    taker_notional: Ints
    first_id: Ints
    last_id: Ints

    def __len__(self) -> int:
        return len(self.open_ms)

    def rows(self, chosen: slice) -> Candles:
        return Candles(*(getattr(self, field.name)[chosen] for field in fields(self)))


def open_ms(ts_ms: Ints, interval: str) -> Ints:
    """Start of the candle that holds each instant."""
    if interval == "1M":
        return (
            ts_ms.astype("datetime64[ms]").astype("datetime64[M]").astype("datetime64[ms]").astype(np.int64)
        )
    if interval == "1w":
        return (ts_ms - _MONDAY) // _WEEK * _WEEK + _MONDAY
    return ts_ms - ts_ms % FIXED_MS[interval]


def open_of(ts_ms: int, interval: str) -> int:
    return int(open_ms(np.array([ts_ms], dtype=np.int64), interval)[0])


def next_open(start_ms: int, interval: str) -> int:
    """Start of the candle after the one that starts at ``start_ms``."""
    if interval == "1M":
        month = np.datetime64(start_ms, "ms").astype("datetime64[M]") + np.timedelta64(1, "M")
        return int(month.astype("datetime64[ms]").astype(np.int64))
    return start_ms + (_WEEK if interval == "1w" else FIXED_MS[interval])


def of_trades(trades: Trades) -> Candles:
    """Each ordinary trade as a candle of its own, to be grouped."""
    trades = trades.ordinary()
    notional = trades.ticks * trades.lots
    taker = ~trades.buyer_maker
    return Candles(
        trades.ts_ns // MS_NS,
        trades.ticks,
        trades.ticks,
        trades.ticks,
        trades.ticks,
        trades.lots,
        notional,
        np.ones(len(trades), dtype=np.int64),
        trades.lots * taker,
        notional * taker,
        trades.ids,
        trades.ids,
    )


def group(candles: Candles, interval: str) -> Candles:
    """Candles of a longer interval; ``candles`` are in order of time."""
    return _grouped(candles, open_ms(candles.open_ms, interval))


def whole(candles: Candles) -> Candles:
    """All of them as one candle."""
    return _grouped(candles, np.full(len(candles), candles.open_ms[0] if len(candles) else 0))


def _grouped(candles: Candles, starts: Ints) -> Candles:
    if not len(candles):
        return candles
    first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    last = np.append(first[1:], len(starts)) - 1
    return Candles(
        starts[first],
        candles.open[first],
        np.maximum.reduceat(candles.high, first),
        np.minimum.reduceat(candles.low, first),
        candles.close[last],
        np.add.reduceat(candles.lots, first),
        np.add.reduceat(candles.notional, first),
        np.add.reduceat(candles.count, first),
        np.add.reduceat(candles.taker_lots, first),
        np.add.reduceat(candles.taker_notional, first),
        candles.first_id[first],
        candles.last_id[last],
    )


def join(parts: list[Candles]) -> Candles:
    return Candles(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Candles))
    )


def empty() -> Candles:
    return Candles(*(np.empty(0, dtype=np.int64) for _ in fields(Candles)))


class OpenCandle:
    """The candle of the moment, which trades are added to one by one."""

    __slots__ = (
        "close",
        "count",
        "end_ms",
        "first_id",
        "high",
        "last_id",
        "lots",
        "low",
        "notional",
        "open",
        "open_ms",
        "taker_lots",
        "taker_notional",
    )

    def __init__(self, open_ms: int, end_ms: int, price: int) -> None:
        """An empty candle: flat at ``price``, as Binance draws an interval without trades."""
        self.open_ms, self.end_ms = open_ms, end_ms
        self.open = self.high = self.low = self.close = price
        self.lots = self.notional = self.count = self.taker_lots = self.taker_notional = 0
        self.first_id = self.last_id = -1

    @classmethod
    def of(cls, candles: Candles, row: int, end_ms: int) -> OpenCandle:
        """A candle that has begun already."""
        made = cls(int(candles.open_ms[row]), end_ms, int(candles.open[row]))
        made.high, made.low = int(candles.high[row]), int(candles.low[row])
        made.close = int(candles.close[row])
        made.lots, made.notional = int(candles.lots[row]), int(candles.notional[row])
        made.taker_lots, made.taker_notional = int(candles.taker_lots[row]), int(candles.taker_notional[row])
        made.count = int(candles.count[row])
        made.first_id, made.last_id = int(candles.first_id[row]), int(candles.last_id[row])
        return made

    def add(self, trade_id: int, ticks: int, lots: int, buyer_maker: bool) -> None:
        if not self.count:
            self.open = self.high = self.low = ticks
            self.first_id = trade_id
        self.high, self.low = max(self.high, ticks), min(self.low, ticks)
        self.close, self.last_id = ticks, trade_id
        self.lots += lots
        self.notional += ticks * lots
        self.count += 1
        if not buyer_maker:
            self.taker_lots += lots
            self.taker_notional += ticks * lots
