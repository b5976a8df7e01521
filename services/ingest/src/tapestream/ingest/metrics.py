"""Figures of the venue program."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

received = Counter("tapestream_received_trades_total", "Trades read from the venue's socket", ["venue"])
received_quotes = Counter(
    "tapestream_received_quotes_total", "Quotes read from the venue's socket", ["venue"]
)
filled = Counter("tapestream_filled_trades_total", "Trades had over REST to fill a hole", ["venue"])
duplicates = Counter("tapestream_duplicate_trades_total", "Trades that had come before", ["venue"])
reordered = Counter("tapestream_reordered_trades_total", "Trades that came out of order", ["venue"])
late = Counter("tapestream_late_trades_total", "Trades that came after they were declared missing", ["venue"])
gap_ids = Counter(
    "tapestream_gap_ids_total", "Trade ids that went missing, by what became of them", ["venue", "reason"]
)
refused = Counter(
    "tapestream_refused_frames_total", "Frames or trades of the venue that were refused", ["venue", "reason"]
)
reconnects = Counter(
    "tapestream_venue_reconnects_total", "Connections to the venue that ended", ["venue", "route", "why"]
)
handovers = Counter(
    "tapestream_venue_handovers_total", "Planned changes to a new connection", ["venue", "route"]
)
requests = Counter(
    "tapestream_venue_requests_total",
    "Requests to the venue's REST, by its HTTP status or no_answer",
    ["venue", "endpoint", "status"],
)
live = Gauge("tapestream_venue_route_live", "1 while a route of the venue delivers", ["venue", "route"])
holes = Gauge("tapestream_open_holes", "Symbols that wait behind a hole", ["venue"])
to_backfill = Gauge(
    "tapestream_ids_to_backfill", "Trade ids declared lost that are still asked for over REST", ["venue"]
)
symbols = Gauge("tapestream_streamed_symbols", "Symbols that are streaming", ["venue"])
batch_trades = Histogram(
    "tapestream_batch_trades", "Trades in a published batch", ["venue"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)  # fmt: skip
publish_lag = Histogram(
    "tapestream_receive_to_publish_seconds", "From a batch's first frame to handing it to the bus", ["venue"],
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 30),
)  # fmt: skip
clock_lag = Gauge("tapestream_clock_behind_seconds", "Host time less the venue's watermark", ["venue"])
backlog = Gauge("tapestream_publish_backlog_bytes", "Bytes waiting for the bus", ["venue"])
