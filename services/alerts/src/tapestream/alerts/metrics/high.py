"""The high of each complete bar, in the quote currency."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "high",
    Source.BAR,
    "quote currency",
    "high of each complete bar",
    lambda _, bar, __: bar.high,
    ("timeframe",),
)
