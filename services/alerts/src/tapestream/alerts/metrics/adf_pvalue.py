"""P-value of the augmented Dickey-Fuller test of a pair's spread."""

from tapestream.alerts.core.metric import Metric, Source

METRIC = Metric(
    "adf_pvalue",
    Source.PAIR,
    "0 to 1",
    "p-value of the ADF test of the spread",
    lambda signal: signal.adf_pvalue,
    ("timeframe", "window", "method"),
)
