"""The close of each complete bar, in the quote currency."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "close",
    Source.BAR,
    "quote currency",
    "close of each complete bar",
    lambda _, bar, __: bar.close,
    ("timeframe",),
)
