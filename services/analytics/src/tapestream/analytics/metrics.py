"""Figures of analytics; units are in the names."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from tapestream.common.telemetry.metrics import LATENCY_BUCKETS_S

watches = Gauge("tapestream_analytics_watches", "Pairs that are computed as their bars close")
ticks = Counter("tapestream_analytics_provisional_signals_total", "Provisional signals sent")
requests = Counter("tapestream_analytics_requests_total", "Requests answered", ["verb", "outcome"])
request_seconds = Histogram(
    "tapestream_analytics_request_seconds",
    "From a request to its answer",
    ["verb"],
    buckets=LATENCY_BUCKETS_S,
)
radar_seconds = Histogram(
    "tapestream_analytics_radar_seconds", "Time to score all pairs once", buckets=LATENCY_BUCKETS_S
)
radar_pairs = Gauge("tapestream_analytics_radar_pairs", "Pairs that the last radar scored", ["timeframe"])
dropped = Gauge(
    "tapestream_analytics_dropped_bars",
    "Bars of one leg that the other had none for, over all pairs watched now",
)
