"""Building the messages of a venue's market data and putting them on the bus."""

from __future__ import annotations

import time

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
from tapestream.ingest.core.sequencer import TradeSequencer
from tapestream.ingest.symbol_feed import QuoteColumns, SymbolFeed

log = structlog.get_logger(__name__)

BATCH_MOST = 1000
"""Trades in one message at most: about 60 KB."""


class MarketPublisher:
    """One venue's messages; what may be published, and when, is decided by the caller."""

    def __init__(
        self, venue: str, subjects: Subjects, publisher: ResumingPublisher, gap_publisher: ResumingPublisher
    ) -> None:
        self._venue, self._subjects = venue, subjects
        self._publisher, self._gap_publisher = publisher, gap_publisher
        self._gap_ordinals: dict[str, int] = {}
        self._batch_trades = metrics.batch_trades.labels(venue)
        self._publish_lag = metrics.publish_lag.labels(venue)

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for the bus."""
        return self._publisher.backlog_bytes

    def open_feed(self, symbol: str) -> SymbolFeed:
        """A symbol that goes on behind the last id that the stream holds."""
        trade_subject = self._subjects.trade(self._venue, symbol)
        quote_subject = self._subjects.quote(self._venue, symbol)
        last_id = self._publisher.stored_ordinal(trade_subject)
        last_quote = self._publisher.stored_ordinal(quote_subject)
        feed = SymbolFeed(
            symbol,
            TradeSequencer(-1 if last_id is None else last_id),
            trade_subject,
            quote_subject,
            -1 if last_quote is None else last_quote,
            last_trade_s=time.monotonic(),
        )
        feed.sequencer.unverified_since_ns = time.time_ns()
        return feed

    def clock(self, ts_ns: int) -> None:
        """Say how far everything has been published."""
        now_ns = time.time_ns()
        clock = Clock(venue=self._venue, ts_ns=ts_ns, recv_ns=now_ns)
        self._publisher.put(self._subjects.clock(self._venue), ts_ns, encode(clock))
        metrics.clock_lag.labels(self._venue).set((now_ns - ts_ns) / 1e9)

    def trades(self, feed: SymbolFeed) -> None:
        """Publish what its sequencer has let through, and the account of what is missing."""
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
            self._gap(feed, gap.from_id, gap.to_id, gap.reason)
        self._batch_trades.observe(count)
        self._publish_lag.observe((time.time_ns() - feed.first_recv_ns) / 1e9)

    def quotes(self, feed: SymbolFeed) -> None:
        """Publish the quotes gathered since the last call."""
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

    def late(self, feed: SymbolFeed, now_ns: int) -> None:
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

    def adopt_orphan(self, out: Outgoing) -> None:
        """A batch was refused while one behind it was stored: send it by the way of late trades."""
        found = self._subjects.parse_market(out.subject)
        if found.kind == "trade":
            log.warning("batch_sent_late", symbol=found.symbol, ordinal=out.ordinal)
            subject = self._subjects.backfill(self._venue, found.symbol)
            self._publisher.put(subject, time.time_ns(), out.payload)

    def _gap(self, feed: SymbolFeed, from_id: int, to_id: int, reason: GapReason) -> None:
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
