"""Trade ids that were declared lost and may still be had from the venue's history.

It is a fold over the words on ``md.gap``: ``lost`` opens a range, any other word closes it. So a new
process that reads them again knows what is left to do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.ranges import IdRange, subtract, union

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0


class Task(NamedTuple):
    """Ids to ask a venue's history for."""

    symbol: str
    ids: IdRange


class Backlog:
    """What is still missing, by symbol.

    The oldest ids come first: a venue's history pages upwards from an id, and the oldest are the
    first to leave both its reach and the time for which bars can still be revised. Symbols take turns.
    """

    def __init__(self) -> None:
        self._missing: dict[str, list[IdRange]] = {}
        """By symbol, ascending and apart."""
        self._count = 0
        self._due_s: dict[str, float] = {}
        """Symbol → when it may be asked for again."""
        self._pause_s: dict[str, float] = {}

    def note(self, symbol: str, ids: IdRange, reason: GapReason) -> None:
        """Take in a word on what became of ids."""
        known = self._missing.setdefault(symbol, [])
        low = bisect_left(known, ids.first - 1, key=lambda one: one.last)
        high = bisect_right(known, ids.last + 1, key=lambda one: one.first)
        touched = known[low:high]
        if reason is GapReason.LOST:
            left = union([*touched, ids])
        else:
            left = [part for one in touched for part in subtract(one, [ids])]
        known[low:high] = left
        self._count += _ids(left) - _ids(touched)
        if not known:
            for table in (self._missing, self._due_s, self._pause_s):
                table.pop(symbol, None)

    def next(self, now_s: float) -> Task | None:
        """The oldest range of the symbol that has waited longest, if one may be asked for now."""
        symbol = min(self._missing, key=lambda one: self._due_s.get(one, 0.0), default=None)
        if symbol is None or self._due_s.get(symbol, 0.0) > now_s:
            return None
        return Task(symbol, self._missing[symbol][0])

    def answered(self, symbol: str, now_s: float, *, useful: bool) -> None:
        """The venue answered, or failed to: who has learnt nothing waits ever longer."""
        if useful:
            self._pause_s.pop(symbol, None)
            self._due_s[symbol] = now_s
        else:
            pause_s = self._pause_s.get(symbol, FIRST_PAUSE_S)
            self._pause_s[symbol] = min(LONGEST_PAUSE_S, pause_s * 2)
            self._due_s[symbol] = now_s + pause_s

    def postpone(self, symbol: str, now_s: float) -> None:
        """It cannot be asked for yet, though nobody has failed."""
        self._due_s[symbol] = now_s + FIRST_PAUSE_S

    def __len__(self) -> int:
        """How many ids are missing."""
        return self._count


def _ids(ranges: list[IdRange]) -> int:
    return sum(one.last - one.first + 1 for one in ranges)
