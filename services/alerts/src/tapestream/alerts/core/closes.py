"""Closes of the bars before a bar, for metrics that look back."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

SLACK = 1000
"""Closes kept beyond what is needed: after a restart, bars are read again behind ones that history gave."""


class Closes(msgspec.Struct):
    """Of one instrument and timeframe, by the start of the bar, ascending."""

    most: int = 0
    ts_ns: list[int] = []
    close: list[float] = []

    def before(self, ts_ns: int) -> list[float]:
        """Closes of the bars before one, as many as are needed."""
        end = bisect_left(self.ts_ns, ts_ns)
        return self.close[max(0, end - self.most) : end]

    def put(self, ts_ns: int, close: float) -> None:
        """Add a bar, or change it where it is there already."""
        at = bisect_left(self.ts_ns, ts_ns)
        if at < len(self.ts_ns) and self.ts_ns[at] == ts_ns:
            self.close[at] = close
            return
        self.ts_ns.insert(at, ts_ns)
        self.close.insert(at, close)
        if len(self.ts_ns) > self.most + 2 * SLACK:
            del self.ts_ns[:SLACK], self.close[:SLACK]
