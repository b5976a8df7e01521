"""What the gateway keeps in memory of one symbol, and of all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Gap, QuoteBatch
from tapestream.gateway.core.bar_ring import BarRing
from tapestream.gateway.core.ticker import Ticker
from tapestream.gateway.core.trade_ring import TradeRing

GAPS_REMEMBERED = 1000
"""Gap messages that are recognised when a stream is read again after a reconnect."""


@dataclass
class SymbolMemory:
    """One symbol."""

    name: InstrumentName
    shown: str
    """How the symbol is written outside: bare on the default venue."""
    trades: TradeRing
    bars: dict[str, BarRing] = field(default_factory=dict)
    ticker: Ticker = field(default_factory=Ticker)
    quote: QuoteBatch | None = None
    """The last batch of quotes; its last row is the newest."""
    quote_seq: int = 0
    last_quote_id: int = -1
    heard_at: float = 0.0
    """When anything last came, by the monotonic clock."""
    ticker_due: bool = False
    _gaps: dict[tuple[int, int, str], None] = field(default_factory=dict)
    trades_source: str = field(init=False)
    """What topics with its trades are fed from: made once, as it is looked up for each batch."""

    def __post_init__(self) -> None:
        self.trades_source = f"trades::{self.name}"

    def note_gap(self, gap: Gap) -> bool:
        """Remember a gap message; False where it was read before."""
        key = (gap.from_id, gap.to_id, str(gap.reason))
        if key in self._gaps:
            return False
        self._gaps[key] = None
        if len(self._gaps) > GAPS_REMEMBERED:
            del self._gaps[next(iter(self._gaps))]
        return True


class Memory:
    """All symbols by ``SYMBOL@venue``."""

    def __init__(self, default_venue: str, tick_buffer_size: int, bar_buffer_size: int) -> None:
        self.default_venue = default_venue
        self._tick_size, self._bar_size = tick_buffer_size, bar_buffer_size
        self.symbols: dict[str, SymbolMemory] = {}
        self.clock_ns: dict[str, int] = {}
        """Watermark by venue."""

    def of(self, venue: str, symbol: str) -> SymbolMemory:
        """The memory of a symbol, made at first need."""
        key = f"{symbol}@{venue}"
        found = self.symbols.get(key)
        if found is None:
            name = InstrumentName(symbol, venue)
            found = self.symbols[key] = SymbolMemory(name, self.shown(name), TradeRing(self._tick_size))
        return found

    def get(self, name: InstrumentName) -> SymbolMemory | None:
        return self.symbols.get(str(name))

    def bars_of(self, memory: SymbolMemory, timeframe: str) -> BarRing:
        ring = memory.bars.get(timeframe)
        if ring is None:
            ring = memory.bars[timeframe] = BarRing(self._bar_size)
        return ring

    def shown(self, name: InstrumentName) -> str:
        return name.symbol if name.venue == self.default_venue else str(name)

    def heard_within(self, seconds: float) -> list[SymbolMemory]:
        """Symbols of which something came lately."""
        since = time.monotonic() - seconds
        return [memory for memory in self.symbols.values() if memory.heard_at >= since]
