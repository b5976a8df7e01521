"""Which of two bars of the same interval stands."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.timeframes import timeframe_ns

_LARGEST = 1 << 63
_NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume")


def replaces(new: Bar, old: Bar) -> bool:
    """The higher rank of the source stands, else the higher revision."""
    if new.source != old.source:
        return new.source.rank > old.source.rank
    return new.rev > old.rev


def newest(bars: Iterable[Bar]) -> list[Bar]:
    """One bar of each interval: Postgres takes a key once per statement."""
    best: dict[tuple[str, str, str, int], Bar] = {}
    for bar in bars:
        key = (bar.venue, bar.symbol, bar.timeframe, bar.ts_ns)
        old = best.get(key)
        if old is None or replaces(bar, old):
            best[key] = bar
    return list(best.values())


def problem(bar: Bar) -> str | None:
    """What is wrong with a bar, if anything."""
    try:
        length_ns = timeframe_ns(bar.timeframe)
    except ValueError as error:
        return str(error)
    if not 0 <= bar.ts_ns < _LARGEST or bar.ts_ns % length_ns:
        return f"ts_ns {bar.ts_ns} is not the start of a {bar.timeframe} interval"
    for name in _NUMBERS:
        value = getattr(bar, name)
        if not (math.isfinite(value) and value >= 0):
            return f"{name} {value}: a finite number of at least 0 is needed"
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        return f"low {bar.low}, open {bar.open}, close {bar.close}, high {bar.high} contradict each other"
    if not bar.venue or not bar.symbol:
        return "venue and symbol must not be empty"
    return None
