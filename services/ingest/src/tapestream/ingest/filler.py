"""Filling holes over REST while later trades wait, and looking for those that no later trade gives away.

A hole that takes longer than the patience allowed is released: declared ``lost`` and filled by
:mod:`tapestream.ingest.backfill` behind what is live.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from tapestream.common.backoff import full_jitter
from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.trades import Trade
from tapestream.ingest.market_sink import MarketSink
from tapestream.ingest.rest import RestError, VenueRest
from tapestream.ingest.symbol_feed import SymbolFeed
from tapestream.ingest.venue import History, Venue

log = structlog.get_logger(__name__)

TICK_S = 0.05
REORDER_GRACE_S = 0.1
"""A number that is merely late comes by itself within this time."""
SETTLE_S = 1.0
"""A trade that REST shows must have come over the socket by then, or it was missed."""
QUIET_S = 5.0
"""A symbol without trades for so long is looked up over REST, ever more rarely."""
PARALLEL = 4


class HoleFiller:
    """Watches all symbols of a venue and closes their holes within the patience allowed."""

    def __init__(self, sink: MarketSink, venue: Venue, rest: VenueRest, *, patience_s: float) -> None:
        self._sink, self._venue, self._rest = sink, venue, rest
        self._patience_s = patience_s
        self._busy: dict[SymbolFeed, asyncio.Task[None]] = {}
        self._audits: dict[SymbolFeed, asyncio.Task[None]] = {}
        self._next_look: dict[str, tuple[float, float]] = {}
        self._slots, self._audit_slots = asyncio.Semaphore(PARALLEL), asyncio.Semaphore(PARALLEL)
        self.trades_live: Callable[[], bool] = lambda: True

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                now_ns, now_s = time.time_ns(), time.monotonic()
                for feed in list(self._sink.feeds.values()):
                    self._look(feed, now_ns, now_s)
                await asyncio.sleep(TICK_S)
        finally:
            for task in (*self._busy.values(), *self._audits.values()):
                task.cancel()

    def audit_all(self) -> None:
        """A connection was made: find out for each symbol what was missed before it."""
        for feed in self._sink.feeds.values():
            self._start_audit(feed)

    def _look(self, feed: SymbolFeed, now_ns: int, now_s: float) -> None:
        sequencer = feed.sequencer
        hole = sequencer.hole
        if hole is None:
            since_ns = sequencer.unverified_since_ns
            if not self.trades_live():
                if since_ns:
                    sequencer.unverified_since_ns = now_ns  # the patience runs from the connection on
            elif not sequencer.verified and since_ns and (now_ns - since_ns) / 1e9 > self._patience_s:
                log.warning("symbol_unverified", symbol=feed.symbol, waited_s=self._patience_s)
                sequencer.verified = True  # one silent symbol must not stop the venue's clock
            self._look_at_quiet(feed, now_s)
            return
        age_s = (now_ns - hole.since_ns) / 1e9
        if age_s > self._patience_s:
            log.warning("hole_released", symbol=feed.symbol, from_id=hole.from_id, to_id=hole.to_id)
            self._sink.give_up(feed, hole.to_id, GapReason.LOST)
        elif age_s > REORDER_GRACE_S and feed not in self._busy:
            task = self._busy[feed] = asyncio.create_task(self._fill(feed))
            task.add_done_callback(lambda _: self._busy.pop(feed, None))

    def _serves(self, feed: SymbolFeed) -> bool:
        return self._sink.feeds.get(feed.symbol) is feed

    async def _fill(self, feed: SymbolFeed) -> None:
        """Ask for the hole until it is closed; :meth:`_look` ends it when patience does."""
        delays = full_jitter(0.2, 3.0, random.Random())
        while (hole := feed.sequencer.hole) is not None and self._serves(feed):
            try:
                async with self._slots:
                    history = await self._venue.trades_since(
                        self._rest, feed.symbol, hole.from_id, hole.to_id
                    )
            except (RestError, msgspec.MsgspecError) as error:
                log.info("fill_retry", symbol=feed.symbol, error=str(error))
                await asyncio.sleep(next(delays))
                continue
            if not self._apply(feed, history, hole.to_id):
                await asyncio.sleep(next(delays))  # its history lags behind its socket

    def _apply(self, feed: SymbolFeed, history: History, to_id: int) -> bool:
        """Use what history has of the ids up to ``to_id``; False where it was of no use."""
        before = feed.sequencer.last_id
        if history.missing is not None:
            self._sink.give_up(feed, min(history.missing_to, to_id), history.missing)
        covered_to = min(history.covered_to, to_id)
        if covered_to > feed.sequencer.last_id:
            self._sink.fill(feed, history.trades, covered_to)
        return feed.sequencer.last_id > before

    def _look_at_quiet(self, feed: SymbolFeed, now_s: float) -> None:
        """Look up symbols that say nothing: a missed last trade leaves no later number behind."""
        quiet_s = now_s - feed.last_trade_s
        if quiet_s < QUIET_S:
            self._next_look.pop(feed.symbol, None)
            return
        due_s, pause_s = self._next_look.get(feed.symbol, (0.0, QUIET_S))
        if now_s >= due_s:
            self._next_look[feed.symbol] = (now_s + pause_s, min(60.0, pause_s * 2))
            self._start_audit(feed)

    def _start_audit(self, feed: SymbolFeed) -> None:
        if feed not in self._audits:
            task = self._audits[feed] = asyncio.create_task(self._audit(feed))
            task.add_done_callback(lambda _: self._audits.pop(feed, None))

    async def _audit(self, feed: SymbolFeed) -> None:
        """Compare what REST shows now with what the socket has brought a little later."""
        delays = full_jitter(0.5, 10.0, random.Random())
        while self._serves(feed):
            epoch = feed.epoch
            try:
                async with self._audit_slots:  # a hole must not wait behind what is only looked up
                    latest = await self._venue.latest_trades(self._rest, feed.symbol)
            except (RestError, msgspec.MsgspecError) as error:
                log.info("audit_retry", symbol=feed.symbol, error=str(error))
                if isinstance(error, RestError) and not error.worth_retrying:
                    return
                await asyncio.sleep(next(delays))
                continue
            await asyncio.sleep(SETTLE_S)
            if feed.epoch != epoch:
                continue  # the connection broke meanwhile: look again
            await self._close_tail(feed, latest)
            if feed.sequencer.hole is None:
                feed.sequencer.verified = True
            return

    async def _close_tail(self, feed: SymbolFeed, latest: Sequence[Trade]) -> None:
        sequencer = feed.sequencer
        if not latest or sequencer.last_id < 0 or latest[-1].id <= sequencer.last_id:
            return
        if sequencer.hole is not None:
            return  # a later trade came meanwhile: the hole is known
        if latest[0].id <= sequencer.last_id + 1:
            filled = self._sink.fill(feed, latest, latest[-1].id)
            log.info("tail_filled", symbol=feed.symbol, trades=filled)
            return
        last_id = latest[-1].id
        while sequencer.hole is None and sequencer.last_id < last_id and self._serves(feed):
            try:
                async with self._slots:
                    history = await self._venue.trades_since(
                        self._rest, feed.symbol, sequencer.last_id + 1, last_id
                    )
            except (RestError, msgspec.MsgspecError) as error:
                log.info("audit_retry", symbol=feed.symbol, error=str(error))
                await asyncio.sleep(1)
                continue
            if sequencer.hole is not None or not self._apply(feed, history, last_id):
                return
