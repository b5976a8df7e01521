"""What a metric is. Each is one file in the package :mod:`tapestream.alerts.metrics`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tapestream.alerts.core.levels import OPERATORS


class Source(StrEnum):
    """What brings a metric's values: rules are found by it when a message arrives."""

    TRADE = "trade"
    """The price of each trade; conditions on it are found by their thresholds."""
    BATCH = "batch"
    """A batch of trades as it came; ``read(batch)``."""
    SILENCE = "silence"
    """The time since the last trade. It has no values of its own: it reaches a threshold at an instant."""
    BAR = "bar"
    """A complete bar; ``read(closes, bar, bars)`` with the closes before it."""
    PAIR = "pair"
    """Figures of a pair at a complete bar; ``read(signal)``."""
    RADAR = "radar"
    """The ranking of pairs; ``read(radar, pair)``."""


@dataclass(frozen=True)
class Metric:
    """A number that flows."""

    name: str
    source: Source
    unit: str
    about: str
    read: Callable[..., float | None] | None = None
    """The value in a message; None where it is not defined."""
    needs: tuple[str, ...] = ()
    """Fields of a condition that mean something to it, beside ``of``, ``op``, ``value``, ``hysteresis``."""
    operators: tuple[str, ...] = OPERATORS
    in_history: bool = True
    """Whether stored data tell what it was."""

    @property
    def is_of_pair(self) -> bool:
        return self.source in (Source.PAIR, Source.RADAR)

    def value(self, *message: Any) -> float | None:
        assert self.read is not None
        return self.read(*message)
