"""Which symbols there are, and which of them stream."""

from __future__ import annotations

import asyncio

import msgspec
import nats.errors
import structlog

from tapestream.common.bus.buckets import bucket_revision, read_bucket, read_wants
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.feeds import MAJORS, available_symbols, wanted_names
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Instrument, decoder
from tapestream.common.contracts.streams import BUCKET_INSTRUMENTS
from tapestream.common.settings import Settings

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
SHOWN_IN_ERRORS = 50
_decode = decoder(Instrument).decode


class Instruments:
    """What ingest has listed."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus, self._settings = bus, settings
        self._names: set[InstrumentName] = set()

    async def follow(self) -> None:
        """Keep up with the list until cancelled."""
        seen = -1
        while True:
            try:
                newest = await bucket_revision(self._bus, BUCKET_INSTRUMENTS)
                if newest != seen:
                    await self.read()
                    seen = newest
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("instruments_unreadable", error=repr(error))
            await asyncio.sleep(REFRESH_S)

    async def read(self) -> None:
        found: set[InstrumentName] = set()
        for value in (await read_bucket(self._bus, BUCKET_INSTRUMENTS)).values():
            try:
                one = _decode(value)
            except msgspec.DecodeError as error:
                log.warning("instrument_unreadable", error=str(error))
            else:
                found.add(InstrumentName(one.symbol, one.venue))
        self._names = found

    def is_known(self, name: InstrumentName) -> bool:
        """Whether it is listed; until anything is, whether it is on offer."""
        if self._names:
            return name in self._names
        return name.venue == self._settings.venue and name.symbol in self._available()

    def known_text(self) -> str:
        """What is allowed, for an error's text."""
        shown = self._available()
        others = sorted(one.symbol for one in self._names if one.symbol not in shown)
        names = [*shown, *others][:SHOWN_IN_ERRORS]
        more = len(shown) + len(others) - len(names)
        return ", ".join(names) + (f" and {more} more (see /api/v1/instruments)" if more else "")

    async def silent(self, names: set[InstrumentName]) -> list[InstrumentName]:
        """Those of some instruments that nobody wants streaming. Raises nats errors and TimeoutError."""
        wanted, _ = wanted_names(await read_wants(self._bus), self._settings.venue, self._available())
        return sorted(names - wanted)

    def _available(self) -> list[str]:
        settings = self._settings
        listed = sorted(one.symbol for one in self._names if one.venue == settings.venue)
        return available_symbols(
            listed or settings.available_symbols or MAJORS, settings.available_symbols, settings.max_symbols
        )
