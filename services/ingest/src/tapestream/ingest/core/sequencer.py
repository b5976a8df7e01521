"""Puts the trades of one symbol in order, without a silent hole.

A venue numbers its trades one after another. The sequencer lets the next number through at once.
When a number is missing it holds back what came behind it until the missing ones have come out of
order, were had over REST, or are declared with a reason. Everything it lets through, and
every range it declares, is in :meth:`TradeSequencer.take`, so that nothing is unaccounted for:

    received + filled = taken + late + duplicates + held
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tapestream.common.contracts.messages import GapRange, GapReason
from tapestream.ingest.core.ranges import IdRange, subtract
from tapestream.ingest.core.trades import Trade, TradeColumns

MAX_HELD = 500_000
"""Trades held back behind a hole at most; then the hole is declared lost early."""


MAX_DECLARED = 1000
"""Declared ranges that are remembered, in case a trade of them still comes."""


class Held(NamedTuple):
    """A trade that waits behind a hole, and when it came."""

    trade: Trade
    recv_ns: int


class Hole(NamedTuple):
    """Ids that are missing (both ends included) and when that was noticed."""

    from_id: int
    to_id: int
    since_ns: int


class Taken(NamedTuple):
    """What may be published: the trades after ``prev_id``, and what is missing among them."""

    prev_id: int
    trades: TradeColumns
    gaps: list[GapRange]


@dataclass(slots=True)
class Tally:
    """How many trades went which way."""

    received: int = 0
    filled: int = 0
    duplicates: int = 0
    reordered: int = 0
    late: int = 0
    by_reason: dict[GapReason, int] = field(default_factory=dict)


class TradeSequencer:
    """State of one symbol.

    ``last_id`` is the last id accounted for, -1 before the first trade ever: that one is taken as
    it comes. ``verified`` is false from a disconnect until it is known that nothing was missed.
    """

    __slots__ = (
        "_declared", "_gaps", "_held", "_held_min", "_out", "_prev_id", "last_id", "last_ts_ns", "late",
        "tally", "unverified_since_ns", "verified",
    )  # fmt: skip

    def __init__(self, last_id: int = -1, last_ts_ns: int = 0) -> None:
        self.last_id = last_id
        self.last_ts_ns = last_ts_ns
        self.verified = False
        self.unverified_since_ns = 0
        self.tally = Tally()
        self.late: list[Trade] = []
        """Trades that came after their ids were declared missing; the caller takes them away."""
        self._declared: deque[tuple[int, int]] = deque(maxlen=MAX_DECLARED)
        self._held: dict[int, Held] = {}
        self._held_min = 0
        self._prev_id = last_id
        self._out = TradeColumns()
        self._gaps: list[GapRange] = []

    # --- from the socket

    def offer(
        self, trade_id: int, ts_ns: int, price: float, qty: float, buyer_maker: bool, kind: str, recv_ns: int
    ) -> bool:
        """A trade came over the socket. True where something is ready to be published."""
        self.tally.received += 1
        expected = self.last_id + 1
        if trade_id == expected or not expected:
            self._out.append(trade_id, ts_ns, price, qty, buyer_maker, kind)
            self.last_id = trade_id
            self.last_ts_ns = ts_ns
            self.verified = True
            if self._held:
                self.tally.reordered += 1
                self._advance()
            return True
        if trade_id < expected and self._take_late(Trade(trade_id, ts_ns, price, qty, buyer_maker, kind)):
            return False
        if trade_id < expected or trade_id in self._held:
            self.tally.duplicates += 1
            return False
        if not self._held or trade_id < self._held_min:
            self._held_min = trade_id
        self._held[trade_id] = Held(Trade(trade_id, ts_ns, price, qty, buyer_maker, kind), recv_ns)
        if len(self._held) > MAX_HELD:
            self.give_up(self._held_min - 1, GapReason.LOST)
            return True
        return False

    # --- holes

    @property
    def hole(self) -> Hole | None:
        """The lowest hole, if there is one."""
        if not self._held:
            return None
        return Hole(self.last_id + 1, self._held_min - 1, self._held[self._held_min].recv_ns)

    @property
    def held(self) -> int:
        """How many trades wait behind a hole."""
        return len(self._held)

    def fill(self, trades: Iterable[Trade], covered_to: int) -> int:
        """The venue's history from ``last_id + 1`` up to ``covered_to``, as far as it was had.

        Trades that the socket brought already stay as they were. An id in the covered range that
        neither has was not published by the venue. Returns how many trades were filled in.
        """
        known = {trade.id: trade for trade in trades if self.last_id < trade.id <= covered_to}
        filled = 0
        for trade_id in sorted(known.keys() | {i for i in self._held if i <= covered_to}):
            self._declare(trade_id - 1, GapReason.NOT_PUBLISHED_BY_VENUE)
            held = self._held.pop(trade_id, None)
            if held is None:
                filled += 1
                self._note_gap(trade_id, trade_id, GapReason.FILLED)
            self._let_through(*(held.trade if held else known[trade_id]))
        self._declare(covered_to, GapReason.NOT_PUBLISHED_BY_VENUE)
        self.tally.filled += filled
        self._after_change()
        return filled

    def give_up(self, to_id: int, reason: GapReason) -> None:
        """Declare what is missing up to ``to_id`` and let what is behind it through."""
        for trade_id in sorted(i for i in self._held if i <= to_id):
            self._declare(trade_id - 1, reason)
            self._let_through(*self._held.pop(trade_id).trade)
        self._declare(to_id, reason)
        self._after_change()

    def recovered(self, from_id: int, to_id: int) -> None:
        """Declared ids have been had after all: should the socket still bring them, they are doubles."""
        ids = IdRange(from_id, to_id)
        left = [part for declared in self._declared for part in subtract(IdRange(*declared), [ids])]
        self._declared = deque(left, maxlen=MAX_DECLARED)

    # --- to the publisher

    @property
    def ready(self) -> bool:
        return bool(self._out.id)

    def take(self) -> Taken:
        """Trades that are ready; the next call starts where this one ended.

        Ranges declared behind the last of them wait for the next trade: what was not published with
        a trade is looked into again after a restart.
        """
        last_id = self._out.id[-1]
        taken = Taken(self._prev_id, self._out, [gap for gap in self._gaps if gap.to_id <= last_id])
        self._prev_id, self._out = last_id, TradeColumns()
        self._gaps = [gap for gap in self._gaps if gap.to_id > last_id]
        return taken

    # --- inside

    def _let_through(
        self, trade_id: int, ts_ns: int, price: float, qty: float, buyer_maker: bool, kind: str
    ) -> None:
        self._out.append(trade_id, ts_ns, price, qty, buyer_maker, kind)
        self.last_id = trade_id
        self.last_ts_ns = ts_ns

    def _declare(self, to_id: int, reason: GapReason) -> None:
        """Account for the ids after the last one up to ``to_id`` as missing."""
        if to_id > self.last_id >= 0:
            self._note_gap(self.last_id + 1, to_id, reason)
            self._declared.append((self.last_id + 1, to_id))
            self.last_id = to_id

    def _note_gap(self, from_id: int, to_id: int, reason: GapReason) -> None:
        self.tally.by_reason[reason] = self.tally.by_reason.get(reason, 0) + to_id - from_id + 1
        if self._gaps and self._gaps[-1].reason is reason and self._gaps[-1].to_id == from_id - 1:
            from_id = self._gaps.pop().from_id
        self._gaps.append(GapRange(from_id, to_id, reason))

    def _take_late(self, trade: Trade) -> bool:
        """Keep a trade whose id was declared missing, once."""
        for index, (first, last) in enumerate(self._declared):
            if first <= trade.id <= last:
                del self._declared[index]
                self._declared.extend(
                    part for part in ((first, trade.id - 1), (trade.id + 1, last)) if part[0] <= part[1]
                )
                self.tally.late += 1
                self.late.append(trade)
                return True
        return False

    def _advance(self) -> None:
        """Let through what has become contiguous."""
        while (held := self._held.pop(self.last_id + 1, None)) is not None:
            self._let_through(*held.trade)
        self._held_min = min(self._held, default=0)

    def _after_change(self) -> None:
        self._advance()
        self.verified = True
