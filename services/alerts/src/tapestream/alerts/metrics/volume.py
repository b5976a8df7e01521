"""Volume of each complete bar, in the base asset."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "volume",
    Source.BAR,
    "base asset",
    "volume of each complete bar",
    lambda _, bar, __: bar.volume,
    ("timeframe",),
)
