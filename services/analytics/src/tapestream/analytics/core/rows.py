"""The newest joined rows of a pair."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

import numpy as np
import numpy.typing as npt

from tapestream.analytics.core.series import Float64, Int64, Saved, Series, join

Joined = tuple[Int64, Float64, Float64]
"""Starts of bars, closes of one leg, closes of the other one."""
_FOREVER = (1 << 63) - 1


class Rows:
    """Bars that both legs have, oldest first.

    They reach further back than the series of the legs: where one leg has few bars, the other one's push
    those out that were common.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.ts_ns, self.y, self.x = array("q"), array("d"), array("d")

    def __len__(self) -> int:
        return len(self.ts_ns)

    def put(self, ts_ns: int, y: float, x: float) -> None:
        """Take a row in, or the new state of one; rows older than all that is kept are left out."""
        at = bisect_left(self.ts_ns, ts_ns)
        if at < len(self) and self.ts_ns[at] == ts_ns:
            self.y[at], self.x[at] = y, x
            return
        if at == 0 and len(self) >= self._most:
            return
        self.ts_ns.insert(at, ts_ns)
        self.y.insert(at, y)
        self.x.insert(at, x)
        over = len(self) - self._most
        if over > 0:
            del self.ts_ns[:over], self.y[:over], self.x[:over]

    def at(self, ts_ns: int) -> tuple[float, float] | None:
        """The row of a bar; None where it is not kept."""
        at = bisect_left(self.ts_ns, ts_ns)
        return (self.y[at], self.x[at]) if at < len(self) and self.ts_ns[at] == ts_ns else None

    def part(self, rows: int | None, up_to_ns: int) -> Joined:
        """The last ``rows`` (all by default) that start at ``up_to_ns`` at the latest, as copies."""
        end = bisect_right(self.ts_ns, up_to_ns)
        begin = 0 if rows is None else max(0, end - rows)
        return (
            np.array(self.ts_ns[begin:end], np.int64),
            np.array(self.y[begin:end], np.float64),
            np.array(self.x[begin:end], np.float64),
        )

    def follow(self, a: Series, b: Series, up_to_ns: int) -> None:
        """Take over what both series have; where they reach no further back, rows stay as they are."""
        end = self._before(a, b)
        mine = self.part(None, _FOREVER)
        found = join(a.part(None, up_to_ns), b.part(None, up_to_ns))
        self._take([(old[:end], new) for old, new in zip(mine, found, strict=True)])

    def prepend(self, older: Joined) -> None:
        """Take in rows that are older than all there are; others are left out."""
        mine = self.part(None, _FOREVER)
        end = int(np.searchsorted(older[0], self.ts_ns[0])) if len(self) else None
        self._take([(old[:end], new) for old, new in zip(older, mine, strict=True)])

    def _take(self, columns: list[tuple[npt.NDArray, npt.NDArray]]) -> None:
        ts, y, x = (np.concatenate(parts)[-self._most :] for parts in columns)
        self.ts_ns, self.y, self.x = array("q", ts.tolist()), array("d", y.tolist()), array("d", x.tolist())

    def saved(self, a: Series, b: Series) -> Saved:
        """The rows that the series of the legs no longer have."""
        end = self._before(a, b)
        return Saved(self.ts_ns[:end].tobytes(), self.y[:end].tobytes(), self.x[:end].tobytes())

    def restore(self, saved: Saved) -> None:
        """Rows as they were saved; :meth:`follow` brings the others. Raises ValueError for cut off ones."""
        for column, data in zip((self.ts_ns, self.y, self.x), saved, strict=True):
            del column[:]
            column.frombytes(data)
        if not len(self.ts_ns) == len(self.y) == len(self.x):
            raise ValueError("columns of joined rows differ in length")

    def _before(self, a: Series, b: Series) -> int:
        """How many rows are older than what both series hold: from there on these have them all."""
        if not len(a) or not len(b):
            return len(self)
        return bisect_left(self.ts_ns, max(a.ts_ns[0], b.ts_ns[0]))
