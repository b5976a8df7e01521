"""Filling behind what is live: ids that were declared ``lost`` are asked for until the venue has spoken.

What is left to do is read from ``md.gap`` in the stream, where each release of a hole, each loss that
the recorder noticed and each success is on record: a restart goes on where the last process ended. A
page is published first and called ``filled`` when the stream holds it; a crash between the two
publishes the same page again, which every reader recognises by its ids.

A process killed in the instant between a batch of trades and the gap message beside it leaves the
hole ``lost`` in the ledger, where the batch itself has declared it.
"""

from __future__ import annotations

import asyncio
import time

import msgspec
import structlog

from tapestream.common.bus.fold import Incoming
from tapestream.common.contracts.messages import Gap, GapReason, decoder
from tapestream.ingest import metrics
from tapestream.ingest.core.backlog import Backlog, Task
from tapestream.ingest.core.ranges import IdRange, runs, subtract
from tapestream.ingest.market_publisher import MarketPublisher
from tapestream.ingest.market_sink import MarketSink
from tapestream.ingest.rest import RestError, VenueRest
from tapestream.ingest.venue import History, Venue

log = structlog.get_logger(__name__)

IDLE_S = 0.25
_decode = decoder(Gap).decode


class Backfiller:
    """One request at a time, and only of the weight that live holes leave over."""

    def __init__(self, sink: MarketSink, publisher: MarketPublisher, venue: Venue, rest: VenueRest) -> None:
        self._sink, self._publisher, self._venue, self._rest = sink, publisher, venue, rest
        self._backlog = Backlog()
        self._gauge = metrics.to_backfill.labels(venue.name)

    def on_gap(self, message: Incoming) -> None:
        """Take in a message of ``md.gap``."""
        try:
            gap = _decode(message.data)
        except msgspec.DecodeError as error:
            log.warning("gap_unreadable", subject=message.subject, error=str(error))
            return
        if gap.venue == self._venue.name and 0 <= gap.from_id <= gap.to_id:
            self._backlog.note(gap.symbol, IdRange(gap.from_id, gap.to_id), gap.reason)
            self._gauge.set(len(self._backlog))

    async def run(self, caught_up: asyncio.Event) -> None:
        """Fill until cancelled, once all that was said about gaps has been read."""
        await caught_up.wait()
        if len(self._backlog):
            log.info("backfill_resumed", ids=len(self._backlog))
        while True:
            task = self._backlog.next(time.monotonic())
            # What was released is followed by a trade in the stream; until then it may yet come in order.
            last = min(task.ids.last, self._publisher.stored_id(task.symbol)) if task else -1
            if task is None or last < task.ids.first:
                if task is not None:
                    self._backlog.postpone(task.symbol, time.monotonic())
                await asyncio.sleep(IDLE_S)
                continue
            await self._ask(Task(task.symbol, IdRange(task.ids.first, last)))

    async def _ask(self, task: Task) -> None:
        useful = False
        try:
            await self._rest.until_spare()
            history = await self._venue.trades_since(self._rest, task.symbol, *task.ids)
        except (RestError, msgspec.MsgspecError) as error:
            log.info("backfill_retry", symbol=task.symbol, error=str(error))
        else:
            useful = await self._apply(task, history)
        self._backlog.answered(task.symbol, time.monotonic(), useful=useful)

    async def _apply(self, task: Task, history: History) -> bool:
        """Publish what history has of the ids; False where it says nothing about them."""
        symbol, ids = task
        begin = ids.first
        if history.missing is not None and history.missing_to >= begin:
            begin = min(history.missing_to, ids.last) + 1
            self._say(symbol, IdRange(ids.first, begin - 1), history.missing, 0)
        covered = IdRange(begin, min(history.covered_to, ids.last))
        if covered.last >= covered.first:
            trades = [trade for trade in history.trades if covered.first <= trade.id <= covered.last]
            await self._stored(symbol, self._publisher.backfill(symbol, trades, time.time_ns()))
            metrics.filled.labels(self._venue.name).inc(len(trades))
            filled = runs([trade.id for trade in trades])
            for one in filled:
                self._say(symbol, one, GapReason.FILLED, trades[-1].ts_ns)
            for one in subtract(covered, filled):
                self._say(symbol, one, GapReason.NOT_PUBLISHED_BY_VENUE, 0)
            log.info(
                "backfilled", symbol=symbol, from_id=covered.first, to_id=covered.last, trades=len(trades)
            )
        return begin > ids.first or covered.last >= begin

    async def _stored(self, symbol: str, ordinal: int) -> None:
        """Wait for the stream: a word that overtook its trades would outlive them in a crash."""
        while self._publisher.backfilled(symbol) < ordinal:
            await asyncio.sleep(0.005)

    def _say(self, symbol: str, ids: IdRange, reason: GapReason, ts_ns: int) -> None:
        self._publisher.gap(symbol, ids.first, ids.last, reason, ts_ns)
        metrics.gap_ids.labels(self._venue.name, reason).inc(ids.last - ids.first + 1)
        self._backlog.note(symbol, ids, reason)
        self._gauge.set(len(self._backlog))
        feed = self._sink.feeds.get(symbol)
        if feed is not None and reason is GapReason.FILLED:
            feed.sequencer.recovered(*ids)
