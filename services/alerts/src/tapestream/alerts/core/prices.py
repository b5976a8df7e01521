"""What is known of one instrument's trades, and the conditions on them."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tapestream.alerts.core.machine import Machine
from tapestream.alerts.core.thresholds import Thresholds


class LastTrade(msgspec.Struct):
    """What a restart needs."""

    id: int = -1
    price: float | None = None
    """Of the last ``MARKET`` trade."""
    ts_ns: int = 0
    """Newest event time; 0 before the first trade. Silence without any trade counts from the first clock."""


@dataclass(slots=True)
class Prices:
    """One instrument."""

    of: str
    last: LastTrade = field(default_factory=LastTrade)
    thresholds: Thresholds = field(default_factory=Thresholds)
    silences: list[tuple[Machine, int, int]] = field(default_factory=list)
    """Conditions on silence, with their thresholds in nanoseconds."""
    shortest_ns: int = 1 << 62
    """The lowest of these thresholds."""
    stale: bool = False
    """One of them may hold, or has not been looked at: the next trade ends that."""
    waiting: list[Machine] = field(default_factory=list)
    """Rules that have not seen a trade of it since they were made, or restored."""

    def add_silence(self, machine: Machine, index: int) -> None:
        threshold_ns = round(machine.rule.spec.conditions[index].value * 1e9)
        self.silences.append((machine, index, threshold_ns))
        self.shortest_ns = min(self.shortest_ns, threshold_ns)
        self.stale = True

    def remove(self, machine: Machine) -> None:
        self.thresholds.remove(machine)
        self.silences = [one for one in self.silences if one[0] is not machine]
        self.waiting = [one for one in self.waiting if one is not machine]
        self.shortest_ns = min((one[2] for one in self.silences), default=1 << 62)
