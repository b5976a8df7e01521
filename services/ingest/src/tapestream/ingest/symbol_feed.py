"""What is known of one streamed symbol between its frames and its messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from tapestream.ingest.core.sequencer import TradeSequencer


@dataclass(slots=True)
class QuoteColumns:
    id: list[int] = field(default_factory=list)
    ts_ns: list[int] = field(default_factory=list)
    bid: list[float] = field(default_factory=list)
    bid_qty: list[float] = field(default_factory=list)
    ask: list[float] = field(default_factory=list)
    ask_qty: list[float] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SymbolFeed:
    """One streamed symbol."""

    symbol: str
    sequencer: TradeSequencer
    trade_subject: str
    quote_subject: str
    last_quote_id: int = -1
    epoch: int = 0
    """Raised by each break of the connection: what was asked before it verifies nothing after it."""
    leap_id: int = -1
    """The last id that was too far ahead to be believed by itself."""
    quotes: QuoteColumns = field(default_factory=QuoteColumns)
    first_recv_ns: int = 0
    quotes_dirty: bool = False
    traded: bool = False
    """A trade came over the socket since the last second's tick."""
    last_trade_s: float = 0.0
    """Monotonic time of the last such tick, 0 before the first."""
