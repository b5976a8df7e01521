"""What memory holds, in figures."""

from __future__ import annotations

from pydantic import BaseModel, Field

from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import Gateway

STREAMING_WITHIN_S = 30.0
"""A symbol of which something came this lately streams."""


class SymbolBuffer(BaseModel):
    """What memory holds of one symbol."""

    ticks: int = Field(description="Trades held")
    capacity: int
    received: int = Field(description="Trades taken in since the start")
    first_ts: str | None
    last_ts: str | None
    first_id: int | None
    last_id: int | None
    last_price: float | None
    overtaken: int = Field(description="Times that the stream dropped trades before they were read")
    bars: dict[str, int] = Field(description="Timeframe → bars held")


class BufferStats(BaseModel):
    """What memory holds."""

    total_ticks: int
    total_received: int
    symbols: dict[str, SymbolBuffer]


def buffer_stats(gateway: Gateway) -> BufferStats:
    """Figures of every symbol in memory."""
    symbols: dict[str, SymbolBuffer] = {}
    for memory in gateway.memory.symbols.values():
        ring = memory.trades
        held = ring.columns()
        has = len(held) > 0
        symbols[memory.shown] = SymbolBuffer(
            ticks=len(held),
            capacity=ring.size,
            received=ring.received,
            first_ts=iso_utc(int(held.ts_ns[0])) if has else None,
            last_ts=iso_utc(int(held.ts_ns[-1])) if has else None,
            first_id=ring.first_id if has else None,
            last_id=ring.last_id if has else None,
            last_price=float(held.price[-1]) if has else None,
            overtaken=ring.overtaken,
            bars={timeframe: len(bars) for timeframe, bars in sorted(memory.bars.items())},
        )
    return BufferStats(
        total_ticks=sum(one.ticks for one in symbols.values()),
        total_received=sum(one.received for one in symbols.values()),
        symbols=symbols,
    )


def streaming_symbols(gateway: Gateway) -> list[str]:
    """Symbols of which something came lately, while NATS is connected."""
    if not gateway.nats_connected:
        return []
    return sorted(memory.shown for memory in gateway.memory.heard_within(STREAMING_WITHIN_S))
