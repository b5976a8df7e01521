"""Which symbols stream: the union of what owners want."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import nats.errors
import structlog

from tapestream.common.bus.buckets import bucket_revision, read_wants
from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.feeds import DEFAULT_OWNER, wanted_symbols
from tapestream.common.contracts.messages import FeedWant
from tapestream.common.contracts.streams import BUCKET_FEEDS

log = structlog.get_logger(__name__)

REFRESH_S = 1.0
"""Asking each second whether the bucket has changed needs no bookkeeping across reconnects."""


class FeedWatcher:
    """Tells when the union of the wants of a venue has changed."""

    def __init__(
        self,
        bus: Bus,
        venue: str,
        on_change: Callable[[list[str]], None],
    ) -> None:
        self._bus, self._venue = bus, venue
        self._available: list[str] = []
        self._listed: list[str] = []
        self._on_change = on_change
        self.current: list[str] = []
        self._warned: set[str] = set()

    def offer(self, available: list[str], listed: list[str]) -> None:
        """What is on offer by default, and all that may be wanted; a delisted symbol stops."""
        self._available, self._listed = available, listed
        self._warned.clear()

    async def run(self) -> None:
        """Watch until cancelled."""
        wants: dict[str, FeedWant] = {}
        seen = -1
        while True:
            try:
                newest = await bucket_revision(self._bus, BUCKET_FEEDS)
                if newest != seen:
                    wants, seen = await read_wants(self._bus), newest
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("feeds_unreadable", error=repr(error))
            else:
                self._apply(wants)  # also where nothing was written: what is listed may have changed
            await asyncio.sleep(REFRESH_S)

    def _apply(self, wants: dict[str, FeedWant]) -> None:
        wanted = wanted_symbols(wants, self._venue, self._available, self._listed)
        for symbol in wanted.unknown - self._warned:
            log.warning("wanted_symbol_not_listed", symbol=symbol, venue=self._venue)
            self._warned.add(symbol)
        if wanted.symbols != self.current:
            self.current = wanted.symbols
            log.info(
                "feeds_changed", venue=self._venue, symbols=wanted.symbols, default=DEFAULT_OWNER in wants
            )
            self._on_change(wanted.symbols)
