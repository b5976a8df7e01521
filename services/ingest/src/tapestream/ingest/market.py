"""From parsed frames to messages on the bus: the hot path of ingest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from msgspec import UNSET

from tapestream.common.bus.publisher import Outgoing, ResumingPublisher
from tapestream.common.contracts.messages import (
    Clock,
    Gap,
    GapReason,
    QuoteBatch,
    TradeBatch,
    encode,
)
from tapestream.common.contracts.subjects import Subjects
from tapestream.ingest import metrics
from tapestream.ingest.core.sequencer import Tally, TradeSequencer
from tapestream.ingest.core.trades import MARKET, Trade
from tapestream.ingest.core.watermark import Watermark

log = structlog.get_logger(__name__)

LEAP_NS = 86_400_000_000_000
"""An event this far ahead of all others is believed when a second one says the same."""
LEAP_IDS = 100_000_000
"""No venue makes so many trades of a symbol while nobody looks."""
BATCH_MOST = 1000
"""Trades in one message at most: about 60 KB."""


@dataclass(slots=True)
class QuoteColumns:
    id: list[int] = field(default_factory=list)
    ts_ns: list[int] = field(default_factory=list)
    bid: list[float] = field(default_factory=list)
    bid_qty: list[float] = field(default_factory=list)
    ask: list[float] = field(default_factory=list)
    ask_qty: list[float] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SymbolFeed:
    """One streamed symbol."""

    symbol: str
    sequencer: TradeSequencer
    trade_subject: str
    quote_subject: str
    last_quote_id: int = -1
    epoch: int = 0
    """Raised by each break of the connection: what was asked before it verifies nothing after it."""
    quotes: QuoteColumns = field(default_factory=QuoteColumns)
    first_recv_ns: int = 0
    trades_dirty: bool = False
    quotes_dirty: bool = False
    traded: bool = False
    """A trade came over the socket since the last second's tick."""
    last_trade_s: float = 0.0
    """Monotonic time of the last such tick, 0 before the first."""


class MarketWriter:
    """The sink of a venue's parsers.

    Frames of one read from the socket are gathered; :meth:`flush` then publishes one batch a symbol,
    so a lone trade travels at once and batches grow under load by themselves.
    """

    def __init__(
        self,
        venue: str,
        subjects: Subjects,
        publisher: ResumingPublisher,
        gap_publisher: ResumingPublisher,
        watermark: Watermark,
    ) -> None:
        self._venue, self._subjects = venue, subjects
        self._publisher, self._gap_publisher = publisher, gap_publisher
        self._watermark = watermark
        self.on_reply: Callable[[int, str], None] = lambda _id, _error: None
        self.feeds: dict[str, SymbolFeed] = {}
        self._dirty: list[SymbolFeed] = []
        self.pending = 0
        """Trades and quotes gathered since the last flush."""
        self._now_ns = 0
        self._clock_due = False
        self._newest_event_ns = self._leap_ns = 0
        self._newest_quote_ns = 0
        self._gap_ordinals: dict[str, int] = {}
        self._received = self._received_quotes = 0
        self._batch_trades = metrics.batch_trades.labels(venue)
        self._publish_lag = metrics.publish_lag.labels(venue)

    # --- symbols

    def add_symbol(self, symbol: str) -> SymbolFeed:
        """Begin or go on with a symbol, after the last id that the stream holds."""
        feed = self.feeds.get(symbol)
        if feed is None:
            trade_subject = self._subjects.trade(self._venue, symbol)
            quote_subject = self._subjects.quote(self._venue, symbol)
            last_id = self._publisher.stored_ordinal(trade_subject)
            last_quote = self._publisher.stored_ordinal(quote_subject)
            feed = self.feeds[symbol] = SymbolFeed(
                symbol,
                TradeSequencer(-1 if last_id is None else last_id),
                trade_subject,
                quote_subject,
                -1 if last_quote is None else last_quote,
                last_trade_s=time.monotonic(),
            )
            feed.sequencer.unverified_since_ns = time.time_ns()
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
        if trade_id > feed.sequencer.last_id + LEAP_IDS and feed.sequencer.last_id >= 0:
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
            self._publish_late(feed, now_ns)
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
                    self._publish_trades(feed)
                if feed.quotes_dirty:
                    self._publish_quotes(feed)
                feed.first_recv_ns = 0
        if self._clock_due:
            self.publish_clock()

    def publish_clock(self) -> None:
        """Say how far everything has been published, if that has moved."""
        self._clock_due = False
        ts_ns = self._watermark.advance(feed.sequencer for feed in self.feeds.values())
        if ts_ns is not None:
            now_ns = time.time_ns()
            clock = Clock(venue=self._venue, ts_ns=ts_ns, recv_ns=now_ns)
            self._publisher.put(self._subjects.clock(self._venue), ts_ns, encode(clock))
            metrics.clock_lag.labels(self._venue).set((now_ns - ts_ns) / 1e9)

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

    def _publish_trades(self, feed: SymbolFeed) -> None:
        prev_id, trades, gaps = feed.sequencer.take()
        count = len(trades.id)
        for begin in range(0, count, BATCH_MOST):
            part = slice(begin, begin + BATCH_MOST)
            ids = trades.id[part]
            batch = TradeBatch(
                venue=self._venue,
                symbol=feed.symbol,
                recv_ns=feed.first_recv_ns,
                prev_id=prev_id,
                id=ids,
                ts_ns=trades.ts_ns[part],
                price=trades.price[part],
                qty=trades.qty[part],
                buyer_maker=trades.buyer_maker[part],
                kind=UNSET if trades.kind is None else trades.kind[part],
                gaps=[gap for gap in gaps if prev_id < gap.to_id <= ids[-1]] if gaps else UNSET,
            )
            self._publisher.put(feed.trade_subject, ids[-1], encode(batch))
            prev_id = ids[-1]
        for gap in gaps:
            self._publish_gap(feed, gap.from_id, gap.to_id, gap.reason)
        self._batch_trades.observe(count)
        self._publish_lag.observe((time.time_ns() - feed.first_recv_ns) / 1e9)

    def _publish_late(self, feed: SymbolFeed, now_ns: int) -> None:
        """Trades whose ids were declared missing go by a way of their own: what is behind them is out."""
        late, feed.sequencer.late = feed.sequencer.late, []
        batch = TradeBatch(
            venue=self._venue,
            symbol=feed.symbol,
            recv_ns=now_ns,
            prev_id=-1,
            id=[trade.id for trade in late],
            ts_ns=[trade.ts_ns for trade in late],
            price=[trade.price for trade in late],
            qty=[trade.qty for trade in late],
            buyer_maker=[trade.buyer_maker for trade in late],
            kind=[trade.kind for trade in late],
        )
        self._publisher.put(self._subjects.backfill(self._venue, feed.symbol), time.time_ns(), encode(batch))

    def _publish_gap(self, feed: SymbolFeed, from_id: int, to_id: int, reason: GapReason) -> None:
        now_ns = time.time_ns()
        subject = self._subjects.gap(self._venue, feed.symbol)
        stored = self._gap_publisher.stored_ordinal(subject) or 0
        ordinal = max(now_ns, self._gap_ordinals.get(subject, 0) + 1, stored + 1)
        self._gap_ordinals[subject] = ordinal
        gap = Gap(
            venue=self._venue,
            symbol=feed.symbol,
            from_id=from_id,
            to_id=to_id,
            from_ts_ns=0,
            to_ts_ns=feed.sequencer.last_ts_ns,
            reason=reason,
            detected_ns=now_ns,
        )
        self._gap_publisher.put(subject, ordinal, encode(gap))
        log.info("gap", symbol=feed.symbol, from_id=from_id, to_id=to_id, reason=reason)

    def _publish_quotes(self, feed: SymbolFeed) -> None:
        quotes, feed.quotes, feed.quotes_dirty = feed.quotes, QuoteColumns(), False
        batch = QuoteBatch(
            venue=self._venue,
            symbol=feed.symbol,
            recv_ns=feed.first_recv_ns,
            id=quotes.id,
            ts_ns=quotes.ts_ns,
            bid=quotes.bid,
            bid_qty=quotes.bid_qty,
            ask=quotes.ask,
            ask_qty=quotes.ask_qty,
        )
        self._publisher.put(feed.quote_subject, quotes.id[-1], encode(batch))

    def adopt_orphan(self, out: Outgoing) -> None:
        """A batch was refused while one behind it was stored: send it by the way of late trades."""
        for feed in self.feeds.values():
            if out.subject == feed.trade_subject:
                subject = self._subjects.backfill(self._venue, feed.symbol)
                log.warning("batch_sent_late", symbol=feed.symbol, ordinal=out.ordinal)
                self._publisher.put(subject, time.time_ns(), out.payload)
