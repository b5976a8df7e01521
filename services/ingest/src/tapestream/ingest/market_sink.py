"""Taking in what a venue's frames say: the hot path of ingest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

import structlog

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest import metrics
from tapestream.ingest.core.sequencer import Tally
from tapestream.ingest.core.trades import MARKET, Trade
from tapestream.ingest.core.watermark import Watermark
from tapestream.ingest.market_publisher import MarketPublisher
from tapestream.ingest.symbol_feed import SymbolFeed

log = structlog.get_logger(__name__)

LEAP_NS = 86_400_000_000_000
"""An event this far ahead of all others is believed when a second one says the same."""
LEAP_IDS, LEAP_IDS_PER_S = 10_000, 5_000
"""An id further ahead than this, and this for each second since the last trade, is believed when the
next one is near it: no symbol is traded so fast for long."""


class MarketSink:
    """The sink of a venue's parsers.

    Frames of one read from the socket are gathered; :meth:`flush` then publishes one batch a symbol,
    so a lone trade travels at once and batches grow under load by themselves.
    """

    def __init__(self, venue: str, publisher: MarketPublisher, watermark: Watermark) -> None:
        self._venue, self._publisher, self._watermark = venue, publisher, watermark
        self.on_reply: Callable[[int, str], None] = lambda _id, _error: None
        self.feeds: dict[str, SymbolFeed] = {}
        self._dirty: list[SymbolFeed] = []
        self.pending = 0
        """Trades and quotes gathered since the last flush."""
        self._now_ns = 0
        self._clock_due = False
        self._newest_event_ns = self._leap_ns = 0
        self._newest_quote_ns = 0
        self._received = self._received_quotes = 0

    # --- symbols

    def add_symbol(self, symbol: str) -> SymbolFeed:
        """Begin or go on with a symbol, after the last id that the stream holds."""
        feed = self.feeds.get(symbol)
        if feed is None:
            feed = self.feeds[symbol] = self._publisher.open_feed(symbol)
        return feed

    def remove_symbol(self, symbol: str) -> None:
        """Publish what is ready and forget the symbol; what waits behind a hole is had again later."""
        self.flush()
        self.feeds.pop(symbol, None)

    def unverify(self) -> None:
        """The trade connection broke: until told otherwise each symbol may have missed something."""
        now_ns = time.time_ns()
        for feed in self.feeds.values():
            if feed.sequencer.verified or not feed.sequencer.unverified_since_ns:
                feed.sequencer.unverified_since_ns = now_ns
            feed.sequencer.verified = False
            feed.epoch += 1

    # --- Sink

    def trade(
        self,
        symbol: str,
        trade_id: int,
        ts_ns: int,
        price: float,
        qty: float,
        buyer_maker: bool,
        kind: str,
        event_ns: int,
    ) -> None:
        self._received += 1
        feed = self.feeds.get(symbol)
        if feed is None:
            self.refuse("unknown_symbol", symbol)
            return
        if not (0 < price < math.inf and 0 < qty < math.inf) and (
            kind == MARKET or not math.isfinite(price + qty)
        ):
            self.refuse("bad_number", f"{symbol} trade {trade_id}: price {price}, quantity {qty}")
            return
        if event_ns > self._newest_event_ns + LEAP_NS and not self._leap_is_real(event_ns):
            self.refuse("bad_time", f"{symbol} trade {trade_id}: event time {event_ns}")
            return
        if ts_ns > event_ns + LEAP_NS:
            self.refuse("bad_time", f"{symbol} trade {trade_id}: trade time {ts_ns}")
            return
        if trade_id > feed.sequencer.last_id + LEAP_IDS and not self._id_is_real(feed, trade_id, ts_ns):
            self.refuse("implausible_id", f"{symbol} trade {trade_id} after {feed.sequencer.last_id}")
            return
        now_ns = self._now_ns or self._begin_read()
        feed.traded = True
        sequencer = feed.sequencer
        if sequencer.offer(trade_id, ts_ns, price, qty, buyer_maker, kind, now_ns):
            if not feed.first_recv_ns:
                self._mark(feed, now_ns)
            self.pending += 1
        elif sequencer.late:
            self._publisher.late(feed, now_ns)
        if event_ns > self._newest_event_ns:
            self._newest_event_ns = event_ns
            if self._watermark.see(event_ns):
                self._clock_due = True

    def quote(
        self, symbol: str, update_id: int, ts_ns: int, bid: float, bid_qty: float, ask: float, ask_qty: float
    ) -> None:
        self._received_quotes += 1
        feed = self.feeds.get(symbol)
        if feed is None or update_id <= feed.last_quote_id:
            return
        if not math.isfinite(bid + bid_qty + ask + ask_qty) or min(bid, bid_qty, ask, ask_qty) < 0:
            self.refuse("bad_number", f"{symbol} quote {update_id}")
            return
        feed.last_quote_id = update_id
        now_ns = self._now_ns or self._begin_read()
        self._newest_quote_ns = max(self._newest_quote_ns, ts_ns or now_ns)
        quotes = feed.quotes
        quotes.id.append(update_id)
        quotes.ts_ns.append(ts_ns or now_ns)
        quotes.bid.append(bid)
        quotes.bid_qty.append(bid_qty)
        quotes.ask.append(ask)
        quotes.ask_qty.append(ask_qty)
        feed.quotes_dirty = True
        if not feed.first_recv_ns:
            self._mark(feed, now_ns)
        self.pending += 1

    def _leap_is_real(self, event_ns: int) -> bool:
        """One frame from the far future is rubbish; a second one like it means that time has leapt."""
        seen, self._leap_ns = self._leap_ns, event_ns
        return not self._newest_event_ns or abs(event_ns - seen) < LEAP_NS

    def _id_is_real(self, feed: SymbolFeed, trade_id: int, ts_ns: int) -> bool:
        """One id from far ahead is rubbish; a next one near it means that much was missed.

        Behind a restart the time of the last trade is unknown (0), so that any id is plausible.
        """
        last_id, last_ts_ns = feed.sequencer.last_id, feed.sequencer.last_ts_ns
        if last_id < 0 or trade_id - last_id <= LEAP_IDS + (ts_ns - last_ts_ns) / 1e9 * LEAP_IDS_PER_S:
            return True
        seen, feed.leap_id = feed.leap_id, trade_id
        return seen >= 0 and 0 < abs(trade_id - seen) <= LEAP_IDS

    def reply(self, request_id: int, error: str) -> None:
        self.on_reply(request_id, error)

    def refuse(self, reason: str, detail: str) -> None:
        """Count and say what was refused."""
        metrics.refused.labels(self._venue, reason).inc()
        log.warning("venue_data_refused", venue=self._venue, reason=reason, detail=detail[:200])

    def _begin_read(self) -> int:
        """One look at the clock for all frames of a read."""
        self._now_ns = time.time_ns()
        return self._now_ns

    def _mark(self, feed: SymbolFeed, now_ns: int) -> None:
        feed.first_recv_ns = now_ns
        self._dirty.append(feed)

    # --- holes

    def fill(self, feed: SymbolFeed, trades: Iterable[Trade], covered_to: int) -> int:
        """Put a venue's history where the socket left a hole."""
        filled = feed.sequencer.fill(trades, covered_to)
        self._after_hole(feed)
        return filled

    def give_up(self, feed: SymbolFeed, to_id: int, reason: GapReason) -> None:
        """Declare ids as missing."""
        feed.sequencer.give_up(to_id, reason)
        self._after_hole(feed)

    def _after_hole(self, feed: SymbolFeed) -> None:
        if feed.sequencer.ready and not feed.first_recv_ns:
            self._mark(feed, time.time_ns())
        self._clock_due = True
        self.flush()

    # --- out

    def flush(self) -> None:
        """Publish what has been gathered, then the watermark where it is due."""
        self._now_ns = 0
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            self.pending = 0
            for feed in dirty:
                if feed.sequencer.ready:
                    self._publisher.trades(feed)
                if feed.quotes_dirty:
                    self._publisher.quotes(feed)
                feed.first_recv_ns = 0
        if self._clock_due:
            self.publish_clock()

    def publish_clock(self) -> None:
        """Say how far everything has been published, if that has moved."""
        self._clock_due = False
        ts_ns = self._watermark.advance(feed.sequencer for feed in self.feeds.values())
        if ts_ns is not None:
            self._publisher.clock(ts_ns)

    def tick(self, trades_live: bool) -> None:
        """Once a second: keep the clock going by quotes where there are no trades, and report."""
        now_s = time.monotonic()
        traded = False
        for feed in self.feeds.values():
            if feed.traded:
                feed.traded, feed.last_trade_s, traded = False, now_s, True
        if trades_live and not traded:
            self._watermark.see(self._newest_quote_ns - 1_000_000_000)
        self.publish_clock()
        self._report()

    def _report(self) -> None:
        """Counting in Prometheus on each trade would cost more than parsing it."""
        venue = self._venue
        metrics.received.labels(venue).inc(self._received)
        metrics.received_quotes.labels(venue).inc(self._received_quotes)
        self._received = self._received_quotes = 0
        for feed in self.feeds.values():
            tally = feed.sequencer.tally
            metrics.duplicates.labels(venue).inc(tally.duplicates)
            metrics.reordered.labels(venue).inc(tally.reordered)
            metrics.late.labels(venue).inc(tally.late)
            metrics.filled.labels(venue).inc(tally.filled)
            for reason, count in tally.by_reason.items():
                metrics.gap_ids.labels(venue, reason).inc(count)
            feed.sequencer.tally = Tally()
        metrics.holes.labels(venue).set(sum(1 for f in self.feeds.values() if f.sequencer.held))
        metrics.backlog.labels(venue).set(self._publisher.backlog_bytes)
