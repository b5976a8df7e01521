"""Seconds since the last trade, by the venue's clock."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "staleness",
    Source.SILENCE,
    "seconds",
    "seconds since the last trade, by the venue's clock",
    operators=(">", ">="),  # it only ever grows, until it is 0 again
)
