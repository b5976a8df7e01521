"""The low of each complete bar, in the quote currency."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "low",
    Source.BAR,
    "quote currency",
    "low of each complete bar",
    lambda _, bar, __: bar.low,
    ("timeframe",),
)
