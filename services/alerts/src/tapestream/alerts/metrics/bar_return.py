"""Change of the close over some bars, as a fraction: 0.01 is one per cent. Intervals without trades have no bar."""

from collections.abc import Sequence

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.messages import Bar


def _read(closes: Sequence[float], bar: Bar, bars: int) -> float | None:
    if len(closes) < bars or not closes[-bars]:
        return None
    return bar.close / closes[-bars] - 1


METRIC = Metric(
    "return",
    Source.BAR,
    "fraction",
    "close / close so many bars before - 1",
    _read,
    ("timeframe", "bars"),
)
