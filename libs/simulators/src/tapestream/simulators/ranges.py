"""Sets of integers as compact ranges, made for ids that mostly come in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator


class Ranges:
    """Integers as disjoint, ascending, closed ranges."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, value: int) -> None:
        """Add one integer; free of search when it follows the last range or lies in it."""
        ends = self._ends
        if ends:
            end = ends[-1]
            if value == end + 1:
                ends[-1] = value
                return
            if self._starts[-1] <= value <= end:
                return
            if value < end:
                self.add_range(value, value)
                return
        self._starts.append(value)
        ends.append(value)

    def add_range(self, first: int, last: int) -> None:
        """Add the integers from ``first`` to ``last``, both included."""
        if last < first:
            return
        # The ranges that touch or overlap the new one become one with it.
        low = bisect_right(self._ends, first - 2)
        high = bisect_right(self._starts, last + 1)
        if low < high:
            first, last = min(first, self._starts[low]), max(last, self._ends[high - 1])
        self._starts[low:high] = [first]
        self._ends[low:high] = [last]

    def update(self, other: Ranges) -> None:
        for first, last in other:
            self.add_range(first, last)

    def missing(self, first: int, last: int) -> Ranges:
        """The integers from ``first`` to ``last`` that are not here."""
        result = Ranges()
        for start, end in self:
            if end < first:
                continue
            if start > last:
                break
            result.add_range(first, start - 1)
            first = end + 1
        result.add_range(first, last)
        return result

    def __contains__(self, value: int) -> bool:
        at = bisect_right(self._starts, value) - 1
        return at >= 0 and value <= self._ends[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        return sum(end - start + 1 for start, end in self)

    def as_list(self) -> list[list[int]]:
        return [[start, end] for start, end in self]
