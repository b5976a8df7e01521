"""Z-score of a pair's spread at each complete bar."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "zscore",
    Source.PAIR,
    "standard deviations",
    "z-score of the spread",
    lambda signal: signal.zscore,
    ("timeframe", "window", "method"),
)
