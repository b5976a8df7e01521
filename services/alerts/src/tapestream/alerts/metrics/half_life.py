"""Half-life of mean reversion of a pair's spread, in bars: without end where there is a spread that does not revert."""

import math

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.signals import PairSignal


def _read(signal: PairSignal) -> float | None:
    if signal.half_life_bars is None and signal.adf_pvalue is not None:
        return math.inf
    return signal.half_life_bars


METRIC = Metric(
    "half_life",
    Source.PAIR,
    "bars",
    "half-life of the spread",
    _read,
    ("timeframe", "window", "method"),
)
