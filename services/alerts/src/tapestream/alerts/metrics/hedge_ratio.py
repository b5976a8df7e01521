"""Hedge ratio of a pair at each complete bar."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "hedge_ratio",
    Source.PAIR,
    "B per A",
    "units of B against one of A",
    lambda signal: signal.hedge_ratio,
    ("timeframe", "window", "method"),
)
