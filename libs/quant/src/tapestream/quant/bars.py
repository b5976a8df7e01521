"""Bars from trades: open, high, low, close and exact volumes per interval.

Trades of one symbol come in the order of their ids; late ones may come after their interval was
closed and then revise it. The result does not depend on how the trades were cut into batches: that
is what makes a bar the same after a restart in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapestream.quant.exact import dot_units, from_units, sum_units, to_units, to_units_array

VECTOR_FROM = 32
"""From this many trades on, numpy is faster than a loop."""


@dataclass(slots=True)
class BarState:
    """One bar being built. Sums are integers in units of ``10**-decimals``."""

    start_ns: int
    open: float
    high: float
    low: float
    close: float
    first_id: int
    last_id: int
    trades: int = 0
    price_decimals: int = 0
    qty_decimals: int = 0
    volume_units: int = 0
    buy_units: int = 0
    quote_units: int = 0
    """In units of ``10**-(price_decimals + qty_decimals)``."""
    rev: int = 0

    @property
    def volume(self) -> float:
        return from_units(self.volume_units, self.qty_decimals)

    @property
    def buy_volume(self) -> float:
        return from_units(self.buy_units, self.qty_decimals)

    @property
    def quote_volume(self) -> float:
        return from_units(self.quote_units, self.price_decimals + self.qty_decimals)

    def merge(self, other: BarState) -> None:
        """Take in trades of the same interval; which came first is told by their ids."""
        if other.first_id < self.first_id:
            self.first_id, self.open = other.first_id, other.open
        if other.last_id > self.last_id:
            self.last_id, self.close = other.last_id, other.close
        # This runs for each trade and timeframe; max() and min() would take a third of it.
        if other.high > self.high:  # noqa: PLR1730
            self.high = other.high
        if other.low < self.low:  # noqa: PLR1730
            self.low = other.low
        self.trades += other.trades
        if other.qty_decimals > self.qty_decimals or other.price_decimals > self.price_decimals:
            self._refine(other.price_decimals, other.qty_decimals)
        if other.qty_decimals == self.qty_decimals and other.price_decimals == self.price_decimals:
            self.volume_units += other.volume_units
            self.buy_units += other.buy_units
            self.quote_units += other.quote_units
            return
        quantity = 10 ** (self.qty_decimals - other.qty_decimals)
        price = 10 ** (self.price_decimals - other.price_decimals)
        self.volume_units += other.volume_units * quantity
        self.buy_units += other.buy_units * quantity
        self.quote_units += other.quote_units * quantity * price

    def _refine(self, price_decimals: int, qty_decimals: int) -> None:
        """The same sums in units that are at least as fine as these."""
        price = max(self.price_decimals, price_decimals)
        qty = max(self.qty_decimals, qty_decimals)
        finer = 10 ** (qty - self.qty_decimals)
        self.volume_units *= finer
        self.buy_units *= finer
        self.quote_units *= finer * 10 ** (price - self.price_decimals)
        self.price_decimals, self.qty_decimals = price, qty

    def starting(self, start_ns: int) -> BarState:
        """The same as the bar of an interval, independent of this one.

        Spelt out: ``copy`` takes six times as long, and this runs for each timeframe.
        """
        return BarState(
            start_ns, self.open, self.high, self.low, self.close, self.first_id, self.last_id, self.trades,
            self.price_decimals, self.qty_decimals, self.volume_units, self.buy_units, self.quote_units,
            self.rev,
        )  # fmt: skip


class Units(NamedTuple):
    """Prices and quantities of a batch as whole units."""

    price: NDArray[np.int64]
    price_decimals: int
    qty: NDArray[np.int64]
    qty_decimals: int


@dataclass(slots=True)
class Columns:
    """Trades of one symbol as columns, ids ascending."""

    id: Sequence[int]
    ts_ns: Sequence[int]
    price: Sequence[float]
    qty: Sequence[float]
    buyer_maker: Sequence[bool]
    _single: list[BarState] | None = None
    _units: Units | None = None

    def single_bars(self) -> list[BarState]:
        """Each trade as a bar of its own, made once for all timeframes; ``start_ns`` is its time."""
        if self._single is None:
            self._single = [
                _single_bar(*row)
                for row in zip(self.id, self.ts_ns, self.price, self.qty, self.buyer_maker, strict=True)
            ]
        return self._single

    def units(self) -> Units:
        """Raises OverflowError where one number of decimals does not do for all of them."""
        if self._units is None:
            price, price_decimals = to_units_array(np.asarray(self.price, dtype=np.float64), 0)
            qty, qty_decimals = to_units_array(np.asarray(self.qty, dtype=np.float64), 0)
            self._units = Units(price, price_decimals, qty, qty_decimals)
        return self._units


def _single_bar(trade_id: int, ts_ns: int, price: float, qty: float, buyer_maker: bool) -> BarState:
    price_units, price_decimals = to_units(price, 0)
    qty_units, qty_decimals = to_units(qty, 0)
    return BarState(
        ts_ns, price, price, price, price, trade_id, trade_id, 1, price_decimals, qty_decimals,
        qty_units, 0 if buyer_maker else qty_units, price_units * qty_units,
    )  # fmt: skip


def split_into_bars(trades: Columns, length_ns: int) -> Iterator[BarState]:
    """Partial bars of a batch, one for each run of trades in the same interval."""
    if len(trades.id) >= VECTOR_FROM:
        try:
            units = trades.units()
        except OverflowError:
            pass
        else:
            yield from _split_vector(trades, units, length_ns)
            return
    bar: BarState | None = None
    for single in trades.single_bars():
        start_ns = single.start_ns - single.start_ns % length_ns
        if bar is not None and bar.start_ns == start_ns:
            bar.merge(single)
        else:
            if bar is not None:
                yield bar
            bar = single.starting(start_ns)
    if bar is not None:
        yield bar


def _split_vector(trades: Columns, units: Units, length_ns: int) -> Iterator[BarState]:
    ts = np.asarray(trades.ts_ns, dtype=np.int64)
    starts = ts - ts % length_ns
    borders = (np.flatnonzero(np.diff(starts)) + 1).tolist()
    price = np.asarray(trades.price, dtype=np.float64)
    bought = ~np.asarray(trades.buyer_maker, dtype=np.bool_)
    for begin, end in zip([0, *borders], [*borders, len(ts)], strict=True):
        part = slice(begin, end)
        qty = units.qty[part]
        yield BarState(
            start_ns=int(starts[begin]),
            open=trades.price[begin],
            high=float(price[part].max()),
            low=float(price[part].min()),
            close=trades.price[end - 1],
            first_id=trades.id[begin],
            last_id=trades.id[end - 1],
            trades=end - begin,
            price_decimals=units.price_decimals,
            qty_decimals=units.qty_decimals,
            volume_units=sum_units(qty),
            buy_units=sum_units(qty[bought[part]]),
            quote_units=dot_units(units.price[part], qty),
        )


@dataclass(slots=True)
class BarBuilder:
    """The bars of one symbol at one timeframe."""

    length_ns: int
    keep: int = 120
    """Closed bars that late trades can still revise."""
    current: BarState | None = None
    closed: dict[int, BarState] = field(default_factory=dict)
    first_ns: int = -1
    """Start of the first interval: whether it was seen from its beginning is not known."""
    horizon_ns: int = 0
    """Intervals that start before this can no longer be placed."""

    def add(self, trades: Columns) -> tuple[list[BarState], int]:
        """Take in trades. Returns the bars that this closed or revised, in order, and how many trades were too old."""
        if self._merge_lone(trades):
            return [], 0
        finished: dict[int, BarState] = {}
        too_old = 0
        if self.first_ns < 0 and trades.id and not self.closed:
            self.first_ns = trades.ts_ns[0] - trades.ts_ns[0] % self.length_ns
        for part in split_into_bars(trades, self.length_ns):
            start_ns = part.start_ns
            known = self.closed.get(start_ns)
            if self.current is not None and start_ns == self.current.start_ns:
                self.current.merge(part)
            elif known is not None:
                known.merge(part)
                known.rev += start_ns not in finished  # each call hands a bar out once
                finished[start_ns] = known
            elif start_ns < self.horizon_ns:
                too_old += part.trades
            elif start_ns < self._newest_ns():
                self._keep_closed(part)  # an interval that had no bar when it passed
                finished[start_ns] = part
            else:
                if self.current is not None:
                    closed = self._close()
                    finished[closed.start_ns] = closed
                self.current = part
        return [finished[start] for start in sorted(finished)], too_old

    def advance(self, ts_ns: int) -> BarState | None:
        """The watermark passed ``ts_ns``: close the current bar if it has ended."""
        if self.current is not None and self.current.start_ns + self.length_ns <= ts_ns:
            return self._close()
        return None

    def _merge_lone(self, trades: Columns) -> bool:
        """The usual live case, without a bar in between: one trade that belongs to the current bar."""
        current = self.current
        if current is None or len(trades.id) != 1:
            return False
        if not 0 <= trades.ts_ns[0] - current.start_ns < self.length_ns:
            return False
        current.merge(trades.single_bars()[0])
        return True

    def _newest_ns(self) -> int:
        if self.current is not None:
            return self.current.start_ns
        return max(self.closed, default=0)

    def _close(self) -> BarState:
        bar = self.current
        assert bar is not None
        self.current = None
        self._keep_closed(bar)
        return bar

    def _keep_closed(self, bar: BarState) -> None:
        self.closed[bar.start_ns] = bar
        while len(self.closed) > self.keep:
            oldest = min(self.closed)
            del self.closed[oldest]
            self.horizon_ns = max(self.horizon_ns, oldest + self.length_ns)
