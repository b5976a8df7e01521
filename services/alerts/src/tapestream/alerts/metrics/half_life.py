"""Half-life of mean reversion of a pair's spread, in bars."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "half_life",
    Source.PAIR,
    "bars",
    "half-life of the spread",
    lambda signal: signal.half_life_bars,
    ("timeframe", "window", "method"),
)
