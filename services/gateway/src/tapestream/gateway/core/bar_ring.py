"""The newest bars of one symbol and timeframe."""

from __future__ import annotations

import bisect

from tapestream.common.bars import is_newer
from tapestream.common.contracts.messages import Bar, BarSource


class BarRing:
    """The last ``size`` bars by start time; a bar is replaced by a newer state of itself."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.whole_from_ns: int | None = None
        """From this start time on no bar is missing; before it only history can tell."""
        self._starts: list[int] = []
        self._bars: list[Bar] = []
        self._seqs: list[int] = []

    def __len__(self) -> int:
        return len(self._bars)

    def is_known(self, bar: Bar) -> bool:
        """Whether this state of the bar or a newer one is already held."""
        place = bisect.bisect_left(self._starts, bar.ts_ns)
        held = place < len(self._starts) and self._starts[place] == bar.ts_ns
        return held and not is_newer(bar, self._bars[place])

    def put(self, bar: Bar, seq: int) -> None:
        """Take a bar in that is not known."""
        place = bisect.bisect_left(self._starts, bar.ts_ns)
        if place < len(self._starts) and self._starts[place] == bar.ts_ns:
            self._bars[place], self._seqs[place] = bar, seq
            return
        if len(self) >= self.size and place == 0:
            return  # a correction of a bar that only history still holds
        self._starts.insert(place, bar.ts_ns)
        self._bars.insert(place, bar)
        self._seqs.insert(place, seq)
        if self.whole_from_ns is None and bar.rev == 0 and bar.source == BarSource.TRADES:
            # corrections and the venue's own history may be of any age; live bars come in order
            self.whole_from_ns = bar.ts_ns
        if len(self) > self.size:
            del self._starts[0], self._bars[0], self._seqs[0]
            if self.whole_from_ns is not None:
                self.whole_from_ns = max(self.whole_from_ns, self._starts[0])

    def between(self, start_ns: int | None, end_ns: int | None) -> list[Bar]:
        """Bars that start in ``[start_ns, end_ns)``, oldest first."""
        low = 0 if start_ns is None else bisect.bisect_left(self._starts, start_ns)
        high = len(self) if end_ns is None else bisect.bisect_left(self._starts, end_ns)
        return self._bars[low:high]

    def after_seq(self, seq: int) -> list[tuple[int, Bar]]:
        """``(seq, bar)`` of every state held that came after a resume position, in that order."""
        return sorted(
            ((s, bar) for s, bar in zip(self._seqs, self._bars, strict=True) if s > seq), key=lambda p: p[0]
        )

    def newest(self, most: int) -> list[tuple[int, Bar]]:
        """``(seq, bar)`` of the last bars, oldest first."""
        return list(zip(self._seqs[-most:], self._bars[-most:], strict=True))

    @property
    def last(self) -> Bar | None:
        return self._bars[-1] if self._bars else None
