"""Questions to analytics and its answers, version 1: ``rpc.analytics.pair``, ``.adf``, ``.radar``."""

from __future__ import annotations

import msgspec

from tapestream.common.contracts.messages import Message
from tapestream.common.contracts.signals import Radar

MOST_ROWS = 4_000
"""Rows that one answer holds at most: more would not fit a message. Ask for the next page."""


class PairRequest(Message, frozen=True, kw_only=True):
    """Figures of a pair, ``a`` explained by ``b``, over a period. A start is included, an end is not."""

    a: str
    """``SYMBOL@venue``."""
    b: str
    timeframe: str
    window: int
    method: str
    """In any case: ``ols``, ``huber``, ``theil-sen``, ``kalman``, ``tls``."""
    intercept: bool = True
    """False puts the line through the origin."""
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = 500
    """Rows to answer: the newest of the period, or the oldest where ``oldest_first``."""
    oldest_first: bool = False


class AdfFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Augmented Dickey-Fuller test: the null hypothesis is a unit root. None where undefined."""

    statistic: float | None
    pvalue: float | None
    lags: int
    observations: int
    critical_values: dict[str, float | None]
    """At ``1%``, ``5%`` and ``10%``."""
    reason: str = ""


class CointegrationFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Engle-Granger test: the null hypothesis is no cointegration. None where undefined."""

    statistic: float | None
    pvalue: float | None
    critical_values: dict[str, float | None]
    hedge_ratio: float | None
    intercept: float | None
    reason: str = ""


class PairReply(Message, frozen=True, kw_only=True):
    """One row for each bar that both legs have, oldest first; null where a figure is undefined."""

    ts_ns: list[int] = msgspec.field(default_factory=list[int])
    """Starts of the bars."""
    hedge_ratio: list[float | None] = msgspec.field(default_factory=list[float | None])
    intercept: list[float | None] = msgspec.field(default_factory=list[float | None])
    spread: list[float | None] = msgspec.field(default_factory=list[float | None])
    zscore: list[float | None] = msgspec.field(default_factory=list[float | None])
    correlation: list[float | None] = msgspec.field(default_factory=list[float | None])
    hedge: str = ""
    """``rolling``: the ratio is that of the last ``window_used`` bars; ``recursive``: of all bars before."""
    window: int = 0
    window_used: int = 0
    """Smaller than ``window`` where history is shorter; ``warnings`` then says so."""
    method: str = ""
    adf: AdfFigures | None = None
    """Of the spread of the last ``window_used`` bars of the period by the newest hedge ratio."""
    cointegration: CointegrationFigures | None = None
    """Of the prices of the same bars."""
    half_life_bars: float | None = None
    """Of that spread; null where it does not revert."""
    hurst: float | None = None
    """Exponent of that spread: below 0.5 reverting, above 0.5 trending."""
    reasons: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """Figure → why it is undefined: ``half_life_bars``, ``hurst``, and ``newest`` for the last row."""
    bars_joined: int = 0
    """Bars that both legs have, those before the period that warm the windows up included."""
    bars_dropped_a: int = 0
    """Bars of ``a`` that ``b`` has no bar for, and the other way round."""
    bars_dropped_b: int = 0
    next_start_ns: int | None = None
    """With ``oldest_first``: where the next page starts; None on the last one."""
    warnings: list[str] = msgspec.field(default_factory=list[str])
    error: str = ""
    error_field: str = ""
    """The field of the request that ``error`` is about; empty where it is about none."""


class AdfRequest(Message, frozen=True, kw_only=True):
    """Is a pair's spread stationary, or with an empty ``b``, a price?"""

    a: str
    b: str = ""
    timeframe: str
    window: int
    """Bars to test."""
    method: str = "ols"
    """How the hedge ratio is found."""
    intercept: bool = True
    end_ns: int | None = None


class AdfReply(Message, frozen=True, kw_only=True):
    adf: AdfFigures | None = None
    hedge_ratio: float | None = None
    """The newest one, by which the spread was made; None for a price."""
    window_used: int = 0
    ts_ns: int = 0
    """Start of the newest bar."""
    warnings: list[str] = msgspec.field(default_factory=list[str])
    error: str = ""
    error_field: str = ""


class RadarRequest(Message, frozen=True, kw_only=True):
    """The newest radar of a timeframe."""

    timeframe: str


class RadarReply(Message, frozen=True, kw_only=True):
    radar: Radar | None = None
    """None before the first one."""
    timeframes: list[str] = msgspec.field(default_factory=list[str])
    """Those that there is a radar for."""
    error: str = ""
    error_field: str = ""
