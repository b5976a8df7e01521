"""What became of every trade id: sent on a socket, served over REST, or neither."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tapestream.simulators.market import InstrumentKey
from tapestream.simulators.ranges import Ranges


@dataclass(slots=True)
class SymbolLedger:
    """One instrument's trade ids since its tape began (or, seeded, since it was first subscribed)."""

    first_id: int = -1
    last_id: int = -1
    emitted: int = 0
    socket: Ranges = field(default_factory=Ranges)
    rest: Ranges = field(default_factory=Ranges)
    unpublished: Ranges = field(default_factory=Ranges)
    gone: Ranges = field(default_factory=Ranges)
    """Ids that the market itself left out, so that nobody can have had them."""

    def emit(self, trade_id: int, kind: int) -> None:
        """A trade's time has come, whether somebody listens or not."""
        if self.first_id < 0:
            self.first_id = trade_id
        elif trade_id > self.last_id + 1:
            self.gone.add_range(self.last_id + 1, trade_id - 1)
        self.last_id = max(self.last_id, trade_id)
        self.emitted += 1
        if kind:
            self.unpublished.add(trade_id)

    def report(self) -> dict[str, Any]:
        had = Ranges()
        for ranges in (self.socket, self.rest, self.gone):
            had.update(ranges)
        never = had.missing(self.first_id, self.last_id) if self.emitted else Ranges()
        return {
            "first_id": self.first_id if self.emitted else None,
            "last_id": self.last_id if self.emitted else None,
            "emitted": self.emitted,
            "socket": self.socket.as_list(),
            "rest": self.rest.as_list(),
            "never": never.as_list(),
            "unpublished": self.unpublished.as_list(),
            "not_on_tape": self.gone.as_list(),
        }


class Ledger:
    """The ledgers of all instruments."""

    def __init__(self) -> None:
        self.symbols: dict[InstrumentKey, SymbolLedger] = {}

    def of(self, key: InstrumentKey) -> SymbolLedger:
        found = self.symbols.get(key)
        if found is None:
            found = self.symbols[key] = SymbolLedger()
        return found

    def report(self) -> dict[str, Any]:
        return {
            f"{key.symbol}@{key.market}": {"symbol": key.symbol, "market": str(key.market), **ledger.report()}
            for key, ledger in sorted(self.symbols.items())
        }
