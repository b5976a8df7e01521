"""Bar intervals: ``1s``, ``5s``, ``1m``, ``5m``, ``1h``, ``1d``."""

from __future__ import annotations

import re

_UNITS_NS = {
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_FORM = re.compile(r"([1-9][0-9]{0,3})([smhd])")
DAY_NS = _UNITS_NS["d"]


def timeframe_ns(timeframe: str) -> int:
    """Length of a timeframe in nanoseconds.

    Raises ValueError for anything but a whole number of ``s``, ``m``, ``h`` or ``d`` that divides
    a day: only such bars start at the same instants every day.
    """
    match = _FORM.fullmatch(timeframe)
    length = int(match[1]) * _UNITS_NS[match[2]] if match else 0
    if not length or DAY_NS % length:
        raise ValueError(
            f"timeframe {timeframe!r}: write a number and s, m, h or d that divides a day, "
            "such as 1s, 5s, 1m, 5m, 15m, 1h, 4h, 1d"
        )
    return length


def bar_start_ns(ts_ns: int, length_ns: int) -> int:
    """Start of the bar that holds an instant: bars are aligned to midnight UTC."""
    return ts_ns - ts_ns % length_ns
