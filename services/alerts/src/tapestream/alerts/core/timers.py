"""Rules that will fire at a time if nothing changes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from tapestream.alerts.core.machine import Machine
from tapestream.alerts.core.metric import Source

NEVER = 1 << 62
SPARE = 64
"""Entries that may be left over in a heap beyond twice of what is in use."""
_Entry = tuple[int, int, Machine]


class Timers:
    """Heaps of due rules, found by what tells the time: the venue's clock, and the trades that a rule is about.

    Trades tell it sooner than the clock, and while the price is still the one of the moment that is due.
    A rule has one entry of each heap. Where it has changed its mind to a later time meanwhile, the entry is put
    back when its own time has come.
    """

    def __init__(self) -> None:
        self._heaps: dict[str, list[_Entry]] = {}
        self._noted: dict[str, dict[Machine, int]] = {}
        """Scope → rule → the time of its entry; entries of other times are left over."""
        self._serial = 0

    def note(self, machine: Machine) -> None:
        """Remember when a rule is due, if it is."""
        due_ns = machine.state.due_ns
        if due_ns is None:
            return
        for scope in _scopes(machine):
            if due_ns < self._noted.setdefault(scope, {}).get(machine, NEVER):
                self._push(scope, due_ns, machine)

    def forget(self, machine: Machine) -> None:
        """A rule that is taken away."""
        for scope in _scopes(machine):
            self._noted.get(scope, {}).pop(machine, None)

    def next_ns(self, scope: str) -> int:
        """When the next rule of a venue or an instrument may be due."""
        heap = self._heaps.get(scope)
        return heap[0][0] if heap else NEVER

    def due(self, scope: str, now_ns: int) -> Iterator[Machine]:
        """Rules that are due up to an instant, the earliest first."""
        noted = self._noted.setdefault(scope, {})
        while self.next_ns(scope) <= now_ns:
            at_ns, _, machine = heapq.heappop(self._heaps[scope])
            if noted.get(machine) != at_ns:
                continue
            del noted[machine]
            due_ns = machine.state.due_ns
            if due_ns == at_ns:
                yield machine
            elif due_ns is not None:
                self._push(scope, due_ns, machine)

    def _push(self, scope: str, due_ns: int, machine: Machine) -> None:
        noted, heap = self._noted[scope], self._heaps.setdefault(scope, [])
        noted[machine] = due_ns
        self._serial += 1
        heapq.heappush(heap, (due_ns, self._serial, machine))
        if len(heap) > SPARE + 2 * len(noted):
            live = {one[2]: one for one in heap if noted.get(one[2]) == one[0]}
            heap[:] = live.values()
            heapq.heapify(heap)


def _scopes(machine: Machine) -> set[str]:
    conditions = zip(machine.rule.metrics, machine.rule.spec.conditions, strict=True)
    traded = {one.of for metric, one in conditions if metric.source in (Source.TRADE, Source.SILENCE)}
    return {machine.venue, *traded}
