"""Rules that will fire at a time if nothing changes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from tapestream.alerts.core.machine import Machine
from tapestream.alerts.core.metric import Source

NEVER = 1 << 62


class Timers:
    """Heaps of due rules, found by what tells the time: the venue's clock, and the trades that a rule is about.

    Trades tell it sooner than the clock, and while the price is still the one of the moment that is due.
    An entry whose rule has changed its mind meanwhile is passed over.
    """

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[int, int, Machine]]] = {}
        self._serial = 0

    def note(self, machine: Machine) -> None:
        """Remember when a rule is due, if it is."""
        due_ns = machine.state.due_ns
        if due_ns is None:
            return
        self._serial += 1
        conditions = zip(machine.rule.metrics, machine.rule.spec.conditions, strict=True)
        traded = {one.of for metric, one in conditions if metric.source in (Source.TRADE, Source.SILENCE)}
        for scope in {machine.venue, *traded}:
            heapq.heappush(self._heaps.setdefault(scope, []), (due_ns, self._serial, machine))

    def next_ns(self, scope: str) -> int:
        """When the next rule of a venue or an instrument may be due."""
        heap = self._heaps.get(scope)
        return heap[0][0] if heap else NEVER

    def due(self, scope: str, now_ns: int) -> Iterator[Machine]:
        """Rules that are due up to an instant, the earliest first."""
        heap = self._heaps.get(scope, [])
        while heap and heap[0][0] <= now_ns:
            due_ns, _, machine = heapq.heappop(heap)
            if machine.state.due_ns == due_ns:
                yield machine
