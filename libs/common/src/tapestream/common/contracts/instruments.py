"""How an instrument is named."""

from __future__ import annotations

from typing import NamedTuple, NewType

Venue = NewType("Venue", str)
Symbol = NewType("Symbol", str)


class InstrumentName(NamedTuple):
    """A symbol on a venue, written ``SYMBOL@venue`` (``BTCUSDT@binance_usdm``)."""

    symbol: str
    venue: str

    def __str__(self) -> str:
        return f"{self.symbol}@{self.venue}"

    @classmethod
    def parse(cls, text: str, default_venue: str) -> InstrumentName:
        """Read ``SYMBOL@venue``; a bare ``SYMBOL`` means the default venue."""
        symbol, at, venue = text.strip().rpartition("@")
        if not at:
            symbol, venue = venue, default_venue
        if not symbol or not venue:
            raise ValueError(f"instrument {text!r}: write SYMBOL or SYMBOL@venue")
        return cls(symbol.upper() if symbol.isascii() else symbol, venue)
