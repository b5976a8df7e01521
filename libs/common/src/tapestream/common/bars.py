"""Bars of several sources as one: which state of a bar stands, and longer bars from shorter ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.timeframes import bar_start_ns, timeframe_ns


def is_newer(bar: Bar, than: Bar) -> bool:
    """Whether a bar of the same interval replaces another.

    The rank of the source counts first, as in the recorder's tables; then the revision, then completeness,
    then the trades seen.
    """
    return _rank(bar) > _rank(than)


def _rank(bar: Bar) -> tuple[int, int, bool, int]:
    return bar.source.rank, bar.rev, bar.complete, bar.trades


def merge_bars(history: Iterable[Bar], memory: Iterable[Bar]) -> list[Bar]:
    """Bars of both by start time; of one interval the newer state counts."""
    by_start = {bar.ts_ns: bar for bar in history}
    for bar in memory:
        held = by_start.get(bar.ts_ns)
        if held is None or not is_newer(held, bar):
            by_start[bar.ts_ns] = bar
    return [by_start[start] for start in sorted(by_start)]


def base_timeframe(timeframe: str, built: Sequence[str]) -> str | None:
    """The longest timeframe that is built and that ``timeframe`` is made of; None where there is none.

    Raises ValueError for what is no timeframe at all.
    """
    length = timeframe_ns(timeframe)
    fitting = [one for one in built if length % timeframe_ns(one) == 0]
    return max(fitting, key=timeframe_ns, default=None)


def resample(bars: Iterable[Bar], timeframe: str) -> list[Bar]:
    """Bars of a longer timeframe, oldest first, from bars that come oldest first.

    A bar is complete when a later interval has begun or its last part is complete and ends with it.
    """
    length_ns = timeframe_ns(timeframe)
    groups: dict[int, list[Bar]] = {}
    for bar in bars:
        groups.setdefault(bar_start_ns(bar.ts_ns, length_ns), []).append(bar)
    newest = max(groups, default=0)
    return [
        _joined(parts, start_ns, timeframe, length_ns, later=start_ns < newest)
        for start_ns, parts in groups.items()
    ]


def _joined(parts: list[Bar], start_ns: int, timeframe: str, length_ns: int, *, later: bool) -> Bar:
    first, last = parts[0], parts[-1]
    ends = last.ts_ns + timeframe_ns(last.timeframe) == start_ns + length_ns
    return msgspec.structs.replace(
        first,
        timeframe=timeframe,
        ts_ns=start_ns,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=last.close,
        volume=math.fsum(part.volume for part in parts),
        quote_volume=math.fsum(part.quote_volume for part in parts),
        buy_volume=math.fsum(part.buy_volume for part in parts),
        trades=sum(part.trades for part in parts),
        first_id=min(part.first_id for part in parts),
        last_id=max(part.last_id for part in parts),
        complete=later or (last.complete and ends),
        rev=max(part.rev for part in parts),
    )
