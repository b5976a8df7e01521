"""What is watched: a pair, its timeframe, and how its figures are made."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.pair_limits import largest_watched_window
from tapestream.common.contracts.signals import PairWatch
from tapestream.quant.pairs import Method


class Watch(NamedTuple):
    """A pair to compute. Two owners who want the same share it."""

    a: InstrumentName
    b: InstrumentName
    timeframe: str
    window: int
    method: Method

    @property
    def text(self) -> str:
        """Tells it from all others, in logs and in what is saved."""
        return f"{self.a},{self.b}/{self.timeframe}/{self.window}/{self.method.value}"


def read_watch(wish: PairWatch, default_venue: str, built: Collection[str]) -> Watch:
    """A wish, understood. ``built`` are the timeframes that there are bars of.

    Raises ValueError that says what is wrong with it and what is allowed.
    """
    a = InstrumentName.parse(wish.a, default_venue)
    b = InstrumentName.parse(wish.b, default_venue)
    if a == b:
        raise ValueError(f"{a} with itself: two different instruments make a pair")
    if wish.timeframe not in built:
        raise ValueError(f"timeframe {wish.timeframe!r}: bars are built for {', '.join(built)} only")
    method = Method.parse(wish.method)
    largest = largest_watched_window(method.value)
    if not 2 <= wish.window <= largest:
        raise ValueError(f"window {wish.window}: 2 to {largest} bars with {method.value}")
    return Watch(a, b, wish.timeframe, wish.window, method)
