"""Building the messages of a venue's market data and putting them on the bus."""

from __future__ import annotations

import time
from collections.abc import Sequence

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
from tapestream.ingest.core.trades import Trade
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
        self._ordinals: dict[str, int] = {}
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
        for gap in gaps:
            self.gap(feed.symbol, gap.from_id, gap.to_id, gap.reason, feed.sequencer.last_ts_ns)
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
        """Trades whose ids were declared missing came over the socket after all."""
        late, feed.sequencer.late = feed.sequencer.late, []
        self.backfill(feed.symbol, late, now_ns)
        for trade in late:
            self.gap(feed.symbol, trade.id, trade.id, GapReason.FILLED, trade.ts_ns)

    def backfill(self, symbol: str, trades: Sequence[Trade], recv_ns: int) -> int:
        """Late trades go by a way of their own: what is behind them is out. Ids must ascend.

        Returns the ordinal of the last message; :meth:`backfilled` is at least that when it is stored.
        """
        subject = self._subjects.backfill(self._venue, symbol)
        ordinal = 0
        for begin in range(0, len(trades), BATCH_MOST):
            part = trades[begin : begin + BATCH_MOST]
            batch = TradeBatch(
                venue=self._venue,
                symbol=symbol,
                recv_ns=recv_ns,
                prev_id=-1,
                id=[trade.id for trade in part],
                ts_ns=[trade.ts_ns for trade in part],
                price=[trade.price for trade in part],
                qty=[trade.qty for trade in part],
                buyer_maker=[trade.buyer_maker for trade in part],
                kind=[trade.kind for trade in part],
            )
            ordinal = self._next_ordinal(self._publisher, subject)
            self._publisher.put(subject, ordinal, encode(batch))
        return ordinal

    def backfilled(self, symbol: str) -> int:
        """Ordinal of the newest late message that the stream is known to hold."""
        return self._publisher.stored_ordinal(self._subjects.backfill(self._venue, symbol)) or 0

    def stored_id(self, symbol: str) -> int:
        """The last trade id that the stream is known to hold, -1 for none."""
        last_id = self._publisher.stored_ordinal(self._subjects.trade(self._venue, symbol))
        return -1 if last_id is None else last_id

    def adopt_orphan(self, out: Outgoing) -> None:
        """A batch was refused while one behind it was stored: send it by the way of late trades."""
        found = self._subjects.parse_market(out.subject)
        if found.kind in ("trade", "backfill"):
            log.warning("batch_sent_late", symbol=found.symbol, ordinal=out.ordinal)
            subject = self._subjects.backfill(self._venue, found.symbol)
            self._publisher.put(subject, self._next_ordinal(self._publisher, subject), out.payload)

    def gap(self, symbol: str, from_id: int, to_id: int, reason: GapReason, to_ts_ns: int) -> None:
        """Say what became of ids that did not arrive in order."""
        subject = self._subjects.gap(self._venue, symbol)
        gap = Gap(
            venue=self._venue,
            symbol=symbol,
            from_id=from_id,
            to_id=to_id,
            from_ts_ns=0,
            to_ts_ns=to_ts_ns,
            reason=reason,
            detected_ns=time.time_ns(),
        )
        self._gap_publisher.put(subject, self._next_ordinal(self._gap_publisher, subject), encode(gap))
        log.info("gap", symbol=symbol, from_id=from_id, to_id=to_id, reason=reason)

    def _next_ordinal(self, publisher: ResumingPublisher, subject: str) -> int:
        """The time, as far as it grows: a subject whose ids do not ascend is numbered by it."""
        stored = publisher.stored_ordinal(subject) or 0
        ordinal = max(time.time_ns(), self._ordinals.get(subject, 0) + 1, stored + 1)
        self._ordinals[subject] = ordinal
        return ordinal
