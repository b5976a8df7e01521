"""Bars of the venue's own making: when a feed starts, and when somebody asks for a period."""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog
from nats.aio.msg import Msg

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import (
    BackfillReply,
    BackfillRequest,
    Bar,
    KlineBatch,
    decoder,
    encode,
)
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.ingest.rest import RestError, VenueRest
from tapestream.ingest.settings import IngestSettings
from tapestream.ingest.venue import Venue

log = structlog.get_logger(__name__)

PAGE = 1000
UNFINISHED_NS = 2_000_000_000
"""A venue may still change a bar that has just ended."""
MAX_BARS = 50_000
"""Bars that one request may ask for: fifty pages."""
_decode = decoder(BackfillRequest).decode


class VenueHistory:
    """Fetches klines and hands them to the program that writes bars."""

    def __init__(
        self, venue: Venue, rest: VenueRest, bus: Bus, publisher: ResumingPublisher, settings: IngestSettings
    ) -> None:
        self._venue, self._rest, self._bus, self._publisher = venue, rest, bus, publisher
        self._settings = settings
        self._ordinal = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def warm(self, symbols: list[str]) -> None:
        """Fetch recent bars of new feeds in the background, so that windows are filled at once."""
        if symbols and self._settings.warm_bars:
            task = asyncio.create_task(self._warm(symbols))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _warm(self, symbols: list[str]) -> None:
        for symbol in symbols:
            for timeframe in self._settings.resample_intervals:
                end_ns = time.time_ns()
                start_ns = end_ns - self._settings.warm_bars * timeframe_ns(timeframe)
                try:
                    await self._fetch(symbol, timeframe, start_ns, end_ns)
                except (RestError, msgspec.MsgspecError) as error:
                    log.warning("warm_bars_missing", symbol=symbol, timeframe=timeframe, error=str(error))

    async def _fetch(self, symbol: str, timeframe: str, start_ns: int, end_ns: int) -> int:
        """Publish the venue's bars of a period; returns how many."""
        published = 0
        length_ns = timeframe_ns(timeframe)
        end_ns = min(end_ns, time.time_ns() - UNFINISHED_NS)
        while start_ns < end_ns:
            page_ns = min(end_ns, start_ns + PAGE * length_ns)
            bars = await self._venue.bars(self._rest, symbol, timeframe, start_ns, page_ns, PAGE)
            if bars:
                self._publish(symbol, bars)
                published += len(bars)
            start_ns = page_ns
        return published

    def _publish(self, symbol: str, bars: list[Bar]) -> None:
        for begin in range(0, len(bars), PAGE):
            batch = KlineBatch(venue=self._venue.name, symbol=symbol, bars=bars[begin : begin + PAGE])
            self._ordinal = max(time.time_ns(), self._ordinal + 1)
            subject = self._bus.subjects.kline(self._venue.name, symbol)
            self._publisher.put(subject, self._ordinal, encode(batch))

    async def serve_requests(self) -> None:
        """Answer ``rpc.ingest.backfill`` until cancelled."""
        subject = self._bus.subjects.rpc("ingest", "backfill")
        subscription = await self._bus.nc.subscribe(subject, queue="ingest")
        async for message in subscription.messages:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            request = _decode(message.data)
            name = InstrumentName.parse(request.symbol, self._venue.name)
            length_ns = timeframe_ns(request.timeframe)
        except (msgspec.DecodeError, ValueError) as error:
            await message.respond(encode(BackfillReply(error=str(error))))
            return
        if name.venue != self._venue.name:
            reply = BackfillReply(error=f"symbol: this process serves {self._venue.name} only")
        elif (request.end_ns - request.start_ns) // length_ns > MAX_BARS:
            reply = BackfillReply(error=f"period: more than {MAX_BARS} bars of {request.timeframe}")
        else:
            try:
                published = await self._fetch(
                    name.symbol, request.timeframe, request.start_ns, request.end_ns
                )
                reply = BackfillReply(published=published)
            except (RestError, msgspec.MsgspecError) as error:
                reply = BackfillReply(error=str(error))
        await message.respond(encode(reply))
