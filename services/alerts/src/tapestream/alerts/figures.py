"""Prometheus figures of alerts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from tapestream.common.telemetry.metrics import LATENCY_BUCKETS_S

RULES = Gauge("tapestream_alerts_rules", "Rules that are evaluated now")
FIRED = Counter("tapestream_alerts_fired_total", "Firings of this process", ["severity"])
FIRE_SECONDS = Histogram(
    "tapestream_alerts_fire_seconds",
    "From receipt of the trades that caused a firing to the firing",
    buckets=LATENCY_BUCKETS_S,
)
TRADES = Gauge("tapestream_alerts_trades", "Trades evaluated, since the first start")
DUPLICATES = Gauge("tapestream_alerts_duplicate_trades", "Trades read twice and not evaluated again")
LATE_TRADES = Gauge(
    "tapestream_alerts_late_trades", "Trades found after their hole was declared lost: never evaluated"
)
REVISED = Gauge("tapestream_alerts_revised", "Revisions of complete bars and signals: never evaluated")
DELIVERIES = Counter(
    "tapestream_alerts_deliveries_total", "Tries to notify a channel", ["channel", "outcome"]
)
WAITING = Gauge("tapestream_alerts_deliveries_waiting", "Notifications that are still to be delivered")
RECORDED = Counter("tapestream_alerts_recorded_total", "Firings written to the history")
