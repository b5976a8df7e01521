"""The newest closes of one instrument and timeframe, and joining those of two."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from enum import Enum, auto
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tapestream.common.contracts.messages import Bar

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_TRADES_BITS, _REV_BITS = 40, 20


class Change(Enum):
    """What a bar did to a series."""

    NEW = auto()
    """It was not there."""
    REVISED = auto()
    """It was there with another close."""
    NOTHING = auto()
    """It was known, or changes no close, or is older than all that is kept."""


class Saved(NamedTuple):
    """A series as it is saved."""

    ts_ns: bytes
    close: bytes
    rank: bytes


class Series:
    """Closes by start time, oldest first; the oldest go when there are more than ``depth``."""

    def __init__(self, depth: int, saved: Saved | None = None) -> None:
        self.depth = depth
        self.ts_ns, self.close, self._rank = array("q"), array("d"), array("q")
        if saved is not None:
            self.ts_ns.frombytes(saved.ts_ns)
            self.close.frombytes(saved.close)
            self._rank.frombytes(saved.rank)

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def is_full(self) -> bool:
        """Whether older bars may have been there and gone."""
        return len(self) >= self.depth

    def saved(self) -> Saved:
        return Saved(self.ts_ns.tobytes(), self.close.tobytes(), self._rank.tobytes())

    def put(self, bar: Bar) -> Change:
        """Take a complete bar in, unless what is held of its interval stands before it."""
        at = bisect_left(self.ts_ns, bar.ts_ns)
        rank = _rank(bar)
        if at < len(self) and self.ts_ns[at] == bar.ts_ns:
            if rank <= self._rank[at]:
                return Change.NOTHING
            self._rank[at] = rank
            if self.close[at] == bar.close:
                return Change.NOTHING
            self.close[at] = bar.close
            return Change.REVISED
        if at == 0 and len(self) >= self.depth:
            return Change.NOTHING
        self._insert(at, bar.ts_ns, bar.close, rank)
        self._trim()
        return Change.NEW

    def fill(self, ts_ns: Int64, close: Float64) -> None:
        """Take recorded bars in where none is held: whatever comes from the stream stands before them."""
        for start_ns, price in zip(ts_ns.tolist(), close.tolist(), strict=True):
            at = bisect_left(self.ts_ns, start_ns)
            if at == len(self) or self.ts_ns[at] != start_ns:
                self._insert(at, start_ns, price, 0)
        self._trim()

    def close_at(self, ts_ns: int) -> float | None:
        """The close of the bar that starts then; None where there is none."""
        at = bisect_left(self.ts_ns, ts_ns)
        return self.close[at] if at < len(self) and self.ts_ns[at] == ts_ns else None

    def count_between(self, after_ns: int, before_ns: int) -> int:
        """Bars that start strictly between two times."""
        return max(0, bisect_left(self.ts_ns, before_ns) - bisect_right(self.ts_ns, after_ns))

    def part(self, rows: int | None = None, up_to_ns: int | None = None) -> tuple[Int64, Float64]:
        """The last ``rows`` bars (all by default) that start at ``up_to_ns`` at the latest, as copies."""
        end = len(self) if up_to_ns is None else bisect_right(self.ts_ns, up_to_ns)
        begin = 0 if rows is None else max(0, end - rows)
        return np.array(self.ts_ns[begin:end], np.int64), np.array(self.close[begin:end], np.float64)

    def _insert(self, at: int, ts_ns: int, close: float, rank: int) -> None:
        self.ts_ns.insert(at, ts_ns)
        self.close.insert(at, close)
        self._rank.insert(at, rank)

    def _trim(self) -> None:
        over = len(self) - self.depth
        if over > 0:
            del self.ts_ns[:over], self.close[:over], self._rank[:over]


def _rank(bar: Bar) -> int:
    """The order of :func:`tapestream.common.bars.is_newer` as one number above 0."""
    rev, trades = min(bar.rev, (1 << _REV_BITS) - 2), min(bar.trades, (1 << _TRADES_BITS) - 1)
    return (bar.source.rank << (_REV_BITS + _TRADES_BITS)) + ((rev + 1) << _TRADES_BITS) + trades


def join(a: tuple[Int64, Float64], b: tuple[Int64, Float64]) -> tuple[Int64, Float64, Float64]:
    """Inner join on the start of the bar: times, closes of ``a``, closes of ``b``."""
    (ts_a, close_a), (ts_b, close_b) = a, b
    if len(ts_a) == len(ts_b) and np.array_equal(ts_a, ts_b):
        return ts_a, close_a, close_b
    ts, at_a, at_b = np.intersect1d(ts_a, ts_b, assume_unique=True, return_indices=True)
    return ts, close_a[at_a], close_b[at_b]


def joined(a: Series, b: Series, rows: int, up_to_ns: int) -> tuple[Int64, Float64, Float64]:
    """The last ``rows`` joined bars that start at ``up_to_ns`` at the latest; fewer where there are fewer."""
    ts, y, x = join(a.part(rows, up_to_ns), b.part(rows, up_to_ns))
    if len(ts) < rows:  # bars that only one of them has push older common ones out
        ts, y, x = join(a.part(None, up_to_ns), b.part(None, up_to_ns))
    return ts[-rows:], y[-rows:], x[-rows:]


def resample_closes(ts_ns: Int64, close: Float64, part_ns: int, length_ns: int) -> tuple[Int64, Float64]:
    """Closes of longer bars; the last one is left out while its interval may still go on."""
    if part_ns == length_ns or not len(ts_ns):
        return ts_ns, close
    groups = ts_ns // length_ns
    last = np.append(np.flatnonzero(np.diff(groups)), len(groups) - 1)
    if (ts_ns[-1] + part_ns) % length_ns:
        last = last[:-1]
    return groups[last] * length_ns, close[last]
