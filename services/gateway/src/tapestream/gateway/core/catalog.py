"""Which instruments there are, and which of them are on offer."""

from __future__ import annotations

from collections.abc import Iterable

from tapestream.common.contracts.feeds import MAJORS, available_symbols
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Instrument

SHOWN_IN_ERRORS = 50


class Catalog:
    """Instruments by ``SYMBOL@venue``, as ingest has published them."""

    def __init__(self, default_venue: str, configured: list[str], max_symbols: int) -> None:
        self.default_venue, self.configured, self.max_symbols = default_venue, configured, max_symbols
        self.instruments: dict[str, Instrument] = {}

    def replace(self, instruments: Iterable[Instrument]) -> None:
        self.instruments = {f"{one.symbol}@{one.venue}": one for one in instruments}

    def is_known(self, name: InstrumentName) -> bool:
        """Whether ingest lists it; until it has listed anything, whether it is on offer."""
        if self.instruments:
            return str(name) in self.instruments
        return name.venue == self.default_venue and name.symbol in self.available()

    def listed(self) -> list[str]:
        """Symbols of the default venue."""
        return [one.symbol for one in self.instruments.values() if one.venue == self.default_venue]

    def available(self) -> list[str]:
        """Symbols on offer."""
        listed = self.listed() or self.configured or MAJORS
        return available_symbols(listed, self.configured, self.max_symbols)

    def may_start(self, name: InstrumentName) -> bool:
        """Whether it may be streamed: it is listed, and on offer where the offer is configured."""
        if self.configured and name.venue == self.default_venue:
            return name.symbol in self.available()
        return self.is_known(name)

    def allowed_text(self) -> str:
        """What symbols are allowed, for an error's text."""
        shown = self.available()
        others = [symbol for symbol in self.listed() if symbol not in shown] if not self.configured else []
        shown = [*shown, *sorted(others)][:SHOWN_IN_ERRORS]
        more = len(self.listed()) - len(shown)
        return ", ".join(shown) + (f" and {more} more (see /api/v1/instruments)" if more > 0 else "")
