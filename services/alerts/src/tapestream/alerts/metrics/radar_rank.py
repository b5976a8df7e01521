"""Rank of a pair among all that the radar scores: 1 is the most tradable; not defined below those that it lists."""

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.signals import Radar


def _read(radar: Radar, of: str) -> float | None:
    pair = set(of.split(","))
    for row in radar.rows:
        if {row.a, row.b} == pair:
            return float(row.rank)
    return None


METRIC = Metric(
    "radar_rank", Source.RADAR, "rank", "rank of the pair in the radar, 1 first", _read, ("timeframe",)
)
