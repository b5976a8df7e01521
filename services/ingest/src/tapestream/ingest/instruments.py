"""What a venue lists, kept in the bucket ``instruments``: new ones appear, delisted ones are removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import nats.errors
import structlog
from nats.js.kv import KeyValue

from tapestream.common.bus.buckets import read_bucket
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import Instrument, encode
from tapestream.common.contracts.streams import BUCKET_INSTRUMENTS
from tapestream.common.contracts.subjects import instrument_key
from tapestream.ingest.rest import RestError, VenueRest
from tapestream.ingest.venue import Venue

log = structlog.get_logger(__name__)


class InstrumentList:
    """The venue's list as it was last had, and the bucket made like it."""

    def __init__(self, venue: Venue, rest: VenueRest, bus: Bus, *, refresh_s: float) -> None:
        self._venue, self._rest, self._bus, self._refresh_s = venue, rest, bus, refresh_s
        self._listed: dict[str, Instrument] = {}
        self._absent: set[str] = set()
        """Symbols that the last list left out: a halt of an hour is no delisting."""

    @property
    def symbols(self) -> list[str]:
        return list(self._listed)

    async def load(self) -> None:
        """The first list; waits for as long as the venue does not answer."""
        while not await self._fetch():
            await asyncio.sleep(1)

    async def run(self, on_change: Callable[[list[str]], None]) -> None:
        """Keep the bucket like the venue's list until cancelled."""
        while True:
            await self._write()
            await asyncio.sleep(self._refresh_s)
            before = self.symbols
            if await self._fetch() and self.symbols != before:
                on_change(self.symbols)

    async def _fetch(self) -> bool:
        try:
            instruments = await self._venue.instruments(self._rest)
        except (RestError, msgspec.MsgspecError) as error:
            log.warning("venue_unreachable", venue=self._venue.name, error=str(error))
            return False
        if not instruments and self._listed:
            log.warning("empty_list_disregarded", venue=self._venue.name)
            return False
        self._take({one.symbol: one for one in instruments})
        return True

    def _take(self, fresh: dict[str, Instrument]) -> None:
        absent = self._listed.keys() - fresh.keys()
        gone = absent & self._absent
        if gone:
            log.warning("delisted", venue=self._venue.name, symbols=sorted(gone))
        self._absent = absent - gone
        self._listed = {s: one for s, one in self._listed.items() if s in self._absent} | fresh

    async def _write(self) -> None:
        """Make the bucket like the list; tries until the bus takes it."""
        while True:
            try:
                bucket = await self._bus.js.key_value(self._bus.subjects.stream(BUCKET_INSTRUMENTS))
                await self._write_changes(bucket)
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("instruments_not_written", error=repr(error))
                await asyncio.sleep(0.5)
            else:
                return

    async def _write_changes(self, bucket: KeyValue) -> None:
        """Write what is new or has changed, since each write waits for the disk; delete what has gone."""
        keys = {instrument_key(one.venue, one.symbol): one for one in self._listed.values()}
        ours = instrument_key(self._venue.name, "")
        held = await read_bucket(self._bus, BUCKET_INSTRUMENTS)
        known = {key for key in held if key.startswith(ours)}
        for key, instrument in keys.items():
            if held.get(key) != encode(instrument):
                await bucket.put(key, encode(instrument))
        for key in known - keys.keys():
            await bucket.delete(key)
