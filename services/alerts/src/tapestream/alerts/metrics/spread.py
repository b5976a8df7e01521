"""Spread of a pair at each complete bar, in the quote currency."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "spread",
    Source.PAIR,
    "quote currency",
    "price of A - hedge ratio * price of B",
    lambda signal: signal.spread,
    ("timeframe", "window", "method"),
)
