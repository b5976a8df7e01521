"""Rolling correlation of a pair at each complete bar."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "correlation",
    Source.PAIR,
    "-1 to 1",
    "rolling correlation",
    lambda signal: signal.correlation,
    ("timeframe", "window", "method"),
)
