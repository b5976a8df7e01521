"""What analytics publishes, version 1, and what others ask it to watch."""

from __future__ import annotations

import msgspec

from tapestream.common.contracts.messages import Message


class PairSignal(Message, frozen=True, kw_only=True):
    """Figures of a pair, ``a`` explained by ``b``, at one bar that both have.

    A figure is None where it is not defined, and ``reason`` says why. All figures use data up to this
    bar only: the hedge ratio is that of the last ``window`` bars (with ``kalman``: of all bars since the
    watch began), spread = price_a - hedge_ratio * price_b, the z-score is over the last ``window`` spreads.
    """

    venue_a: str
    symbol_a: str
    venue_b: str
    symbol_b: str
    timeframe: str
    window: int
    method: str
    """``ols``, ``huber``, ``theil-sen``, ``kalman`` or ``tls``."""
    ts_ns: int
    """Start of the bar."""
    complete: bool
    """False for provisional figures of a bar that still grows: these are sent, not kept."""
    price_a: float
    price_b: float
    hedge_ratio: float | None
    intercept: float | None
    spread: float | None
    zscore: float | None
    correlation: float | None
    adf_statistic: float | None = None
    adf_pvalue: float | None = None
    """Of the spread of the last ``window`` bars by the newest hedge ratio; complete bars only."""
    half_life_bars: float | None = None
    """Of the same spread; None where it does not revert."""
    reason: str = ""
    """The first thing that leaves a figure undefined: ``too_short``, ``constant``, ``collinear``, …"""
    rev: int = 0
    """Raised by one each time that a revised bar changes figures which were published as complete."""


class PairWatch(msgspec.Struct, frozen=True, kw_only=True):
    """A pair to compute as its bars close."""

    a: str
    """``SYMBOL@venue``."""
    b: str
    timeframe: str
    window: int
    method: str
    on_tick: bool = False
    """Provisional figures with every batch of trades, too."""


class PairWatches(Message, frozen=True, kw_only=True):
    """What one owner wants watched. Kept in the bucket ``watches`` under the owner's name."""

    watches: list[PairWatch]


class RadarRow(msgspec.Struct, frozen=True, kw_only=True):
    """One pair's score. Figures are None where they are not defined, and ``reason`` says why."""

    rank: int
    """1 is the most tradable."""
    a: str
    """``SYMBOL@venue``."""
    b: str
    pvalue: float | None
    """Engle-Granger cointegration."""
    half_life_bars: float | None
    correlation: float | None
    zscore: float | None
    """Of the newest residual."""
    hedge_ratio: float | None
    reason: str = ""


class Radar(Message, frozen=True, kw_only=True):
    """Every pair of the streamed instruments, ranked, as of one bar."""

    timeframe: str
    window: int
    """Bars of correlation and z-score."""
    ts_ns: int
    """Start of the newest bar that it saw."""
    pairs: int
    """How many pairs were scored: ``rows`` holds the best of them."""
    rows: list[RadarRow]
