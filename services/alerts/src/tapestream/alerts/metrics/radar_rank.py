"""Rank of a pair among all that the radar scores: 1 is the most tradable; one that it does not list is behind all."""

from tapestream.alerts.core.metric import Metric, Source
from tapestream.common.contracts.signals import Radar


def _read(radar: Radar, of: str) -> float:
    pair = set(of.split(","))
    for row in radar.rows:
        if {row.a, row.b} == pair:
            return float(row.rank)
    return float(radar.pairs + 1)


METRIC = Metric(
    "radar_rank", Source.RADAR, "rank", "rank of the pair in the radar, 1 first", _read, ("timeframe",)
)
