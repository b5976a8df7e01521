"""Conditions on a price, found by the values at which they may change."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from tapestream.alerts.core.levels import breakpoints
from tapestream.alerts.core.machine import Machine


class Thresholds:
    """Sorted breakpoints of all conditions on one price.

    A price that goes from one value to another can change only the conditions with a breakpoint between
    them, both ends included: two binary searches find these among thousands.
    """

    def __init__(self) -> None:
        self._levels: list[float] = []
        self._conditions: list[tuple[Machine, int]] = []

    def __len__(self) -> int:
        return len(self._levels)

    def add(self, machine: Machine, index: int) -> None:
        condition = machine.rule.spec.conditions[index]
        for level in breakpoints(condition.op, condition.value, condition.hysteresis):
            at = bisect_left(self._levels, level)
            self._levels.insert(at, level)
            self._conditions.insert(at, (machine, index))

    def remove(self, machine: Machine) -> None:
        keep = [at for at, (one, _) in enumerate(self._conditions) if one is not machine]
        self._levels = [self._levels[at] for at in keep]
        self._conditions = [self._conditions[at] for at in keep]

    def between(self, one: float, other: float) -> Iterable[tuple[Machine, int]]:
        """Conditions with a breakpoint from one price to another; some may come twice."""
        if one > other:
            one, other = other, one
        first, end = bisect_left(self._levels, one), bisect_right(self._levels, other)
        return self._conditions[first:end] if first < end else ()

    def is_quiet(self, lowest: float, highest: float) -> bool:
        """Whether no condition can change while the price stays between two values."""
        return bisect_left(self._levels, lowest) == bisect_right(self._levels, highest)
