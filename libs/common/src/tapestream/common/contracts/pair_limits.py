"""How a pair's hedge ratio may be found, and how much work may be asked for.

Most methods cost the same at any window. Two are fitted anew at each row: measured, a row of ``theil-sen``
takes 24 µs at a window of 60, 0.8 ms at 500, 4.4 ms at 2,200 and 188 ms at 60,000 (up to about 2 µs per
row of the window); one of ``huber`` takes 16 µs at 60, 0.1 ms at 500 and 18 ms at 60,000 (0.3 µs).
"""

from __future__ import annotations

METHODS = ("ols", "huber", "theil-sen", "kalman", "tls")
LARGEST_WINDOW = 10_000
_LARGEST_WATCHED = {"theil-sen": 500, "huber": 500}
"""Windows of live pairs: each is fitted at each bar, and thousands of bars anew when one is revised."""
_MOST_WORK = {"theil-sen": 3_000_000, "huber": 20_000_000}
"""Rows to fit times window, in one answer: six seconds. Who asks waits for ten."""


def method_named(text: str) -> str | None:
    """The method of a name in any case, with or without hyphen or underscore; None where there is none."""
    plain = text.strip().lower().replace("-", "").replace("_", "").replace(" ", "")
    return next((one for one in METHODS if one.replace("-", "") == plain), None)


def largest_watched_window(method: str) -> int:
    """Bars in a window of a pair that is computed as its bars close."""
    return _LARGEST_WATCHED.get(method, LARGEST_WINDOW)


def largest_window(method: str) -> int:
    """Bars in a window that one row can be asked of."""
    most = _MOST_WORK.get(method)
    if most is None:
        return LARGEST_WINDOW
    window = LARGEST_WINDOW
    while (1 + window) * window > most:
        window -= 1
    return window


def most_rows(method: str, window: int, otherwise: int) -> int:
    """Rows that can be asked of a window at once, ``otherwise`` where no less; at least 1.

    Windows of spreads need a window of rows fitted before the first one that is asked for.
    """
    most = _MOST_WORK.get(method)
    return otherwise if most is None else max(1, min(otherwise, most // window - window))
