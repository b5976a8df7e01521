"""Figures of the recorder alone; those of each table are shared with others who record."""

from __future__ import annotations

from prometheus_client import Counter

lost_trades = Counter(
    "tapestream_recorder_lost_trades_total", "Trade ids that the stream dropped before they were recorded"
)
