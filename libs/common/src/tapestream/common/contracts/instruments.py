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


def parse_pair(text: str, default_venue: str) -> tuple[InstrumentName, InstrumentName]:
    """Read ``A-B`` where neither name has a hyphen, else ``A,B``.

    Raises ValueError for anything else and for an instrument with itself.
    """
    parts = text.split(",") if "," in text else text.split("-")
    if len(parts) != 2:
        raise ValueError(f"pair {text!r}: write A-B, or A,B where a name has a hyphen")
    a, b = (InstrumentName.parse(part, default_venue) for part in parts)
    if a == b:
        raise ValueError(f"pair {text!r}: two different instruments make a pair")
    return a, b


def pair_text(a: str, b: str) -> str:
    """The inverse of :func:`parse_pair`."""
    return f"{a},{b}" if "-" in a + b else f"{a}-{b}"
