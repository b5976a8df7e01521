"""The open of each complete bar, in the quote currency."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "open",
    Source.BAR,
    "quote currency",
    "open of each complete bar",
    lambda _, bar, __: bar.open,
    ("timeframe",),
)
