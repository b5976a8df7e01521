"""Counts of the fan-out: plain integers, because they change tens of thousands of times a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


@dataclass(slots=True)
class Tally:
    """What all clients together were sent and spared."""

    frames: int = 0
    bytes: int = 0
    conflated_asked: int = 0
    conflated_slow: int = 0


class TallyCollector(Collector):
    """Hands the counts to Prometheus when it asks."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterable[CounterMetricFamily]:
        yield CounterMetricFamily(
            "tapestream_ws_sent_frames", "Frames handed to the sockets", value=self._tally.frames
        )
        yield CounterMetricFamily(
            "tapestream_ws_sent_bytes", "Bytes handed to the sockets", value=self._tally.bytes
        )
        conflated = CounterMetricFamily(
            "tapestream_ws_conflated_frames", "Frames that a newer value replaced", labels=["reason"]
        )
        conflated.add_metric(["asked"], self._tally.conflated_asked)
        conflated.add_metric(["slow"], self._tally.conflated_slow)
        yield conflated
