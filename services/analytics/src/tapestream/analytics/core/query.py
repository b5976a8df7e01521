"""Answering a question about a pair from the closes of its legs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tapestream.analytics.core.pair import number
from tapestream.analytics.core.series import Float64, Int64
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.pair_limits import LARGEST_WINDOW, largest_window, most_rows
from tapestream.common.contracts.pair_queries import (
    MOST_ROWS,
    AdfFigures,
    AdfReply,
    AdfRequest,
    CointegrationFigures,
    PairReply,
    PairRequest,
)
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.quant.pairs import REASONS, Method, PairSeries, pair_series
from tapestream.quant.stationarity import AdfResult, adf, engle_granger, half_life, hurst

RECURSIVE_WARM_UP = 1_000
"""Bars that a filter takes in before the first one that is answered."""
LEAST_WINDOW = 2


class RefusedError(Exception):
    """A question that cannot be answered; ``field`` is what is wrong with it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, understood."""

    a: InstrumentName
    b: InstrumentName | None
    timeframe: str
    window: int
    method: Method
    intercept: bool

    @property
    def warm_up(self) -> int:
        """Bars before the first answered one that its figures follow from."""
        rolling = 2 * self.window - 2
        return max(rolling, RECURSIVE_WARM_UP) if self.method is Method.KALMAN else rolling


def understood(request: PairRequest | AdfRequest, default_venue: str, built: list[str]) -> Asked:
    """Raises RefusedError that names the field and what is allowed."""
    names: list[InstrumentName] = []
    for field, text in (("a", request.a), ("b", request.b)):
        if text or field == "a" or isinstance(request, PairRequest):
            try:
                names.append(InstrumentName.parse(text, default_venue))
            except ValueError as error:
                raise RefusedError(field, str(error)) from None
    if len(names) == 2 and names[0] == names[1]:
        raise RefusedError("b", f"{names[0]} with itself: two different instruments make a pair")
    try:
        length = timeframe_ns(request.timeframe)
    except ValueError as error:
        raise RefusedError("timeframe", str(error)) from None
    if all(length % timeframe_ns(one) for one in built):
        allowed = f"{', '.join(built)}, or a multiple of one of them that divides a day"
        raise RefusedError("timeframe", f"timeframe {request.timeframe!r}: {allowed}")
    try:
        method = Method.parse(request.method)
    except ValueError as error:
        raise RefusedError("method", str(error)) from None
    fits = len(names) == 2
    largest = largest_window(method.value) if fits else LARGEST_WINDOW
    if not LEAST_WINDOW <= request.window <= largest:
        what = f" with {method.value}" if fits else ""
        raise RefusedError("window", f"window {request.window}: {LEAST_WINDOW} to {largest} bars{what}")
    if isinstance(request, PairRequest):
        _check_rows(request, method)
    other = names[1] if len(names) == 2 else None
    return Asked(names[0], other, request.timeframe, request.window, method, request.intercept)


def _check_rows(request: PairRequest, method: Method) -> None:
    most = most_rows(method.value, request.window, MOST_ROWS)
    if not 1 <= request.limit <= most:
        what = f" of a window of {request.window} bars with {method.value}" if most < MOST_ROWS else ""
        raise RefusedError("limit", f"limit {request.limit}: 1 to {most} rows{what}")
    if request.start_ns is not None and request.end_ns is not None and request.end_ns <= request.start_ns:
        raise RefusedError("end_ns", "the period ends before it starts")


@dataclass(frozen=True, slots=True)
class Legs:
    """Joined closes, oldest first, those that warm the windows up included."""

    ts_ns: Int64
    a: Float64
    b: Float64
    dropped_a: int
    dropped_b: int
    first: int
    """Row that the answer begins with."""
    next_start_ns: int | None = None


def answer(asked: Asked, legs: Legs, warnings: list[str], *, may_shrink: bool) -> PairReply:
    """The figures of the rows from ``legs.first`` on. Raises RefusedError where nothing can be said.

    Where there are fewer bars than the window, ``may_shrink`` takes a window for which there are enough.
    """
    rows = len(legs.ts_ns)
    window, said = _window(asked.window, rows, legs, may_shrink=may_shrink)
    warnings = [*warnings, *said]
    figures = pair_series(legs.a, legs.b, window, asked.method, intercept=asked.intercept)
    part = slice(legs.first, None)
    ratio = figures.hedge_ratio[-1] if rows else math.nan
    tail = slice(max(0, rows - window), None)
    spread = legs.a[tail] - ratio * legs.b[tail]
    life, exponent = half_life(spread), hurst(spread)
    together = engle_granger(legs.a[tail], legs.b[tail])
    reasons = {"half_life_bars": life.reason, "hurst": exponent.reason, "newest": _newest(figures)}
    return PairReply(
        ts_ns=legs.ts_ns[part].tolist(),
        hedge_ratio=figures.hedge_ratio[part].tolist(),
        intercept=figures.intercept[part].tolist(),
        spread=figures.spread[part].tolist(),
        zscore=figures.zscore[part].tolist(),
        correlation=figures.correlation[part].tolist(),
        hedge="recursive" if asked.method is Method.KALMAN else "rolling",
        window=asked.window,
        window_used=window,
        method=asked.method.value,
        adf=adf_figures(adf(spread)),
        cointegration=CointegrationFigures(
            statistic=number(together.statistic),
            pvalue=number(together.pvalue),
            critical_values=_numbers(together.critical_values),
            hedge_ratio=number(together.hedge_ratio),
            intercept=number(together.intercept),
            reason=together.reason.value if together.reason else "",
        ),
        half_life_bars=number(life.value),
        hurst=number(exponent.value),
        reasons={name: reason.value for name, reason in reasons.items() if reason is not None},
        bars_joined=rows,
        bars_dropped_a=legs.dropped_a,
        bars_dropped_b=legs.dropped_b,
        next_start_ns=legs.next_start_ns,
        warnings=warnings,
    )


def answer_adf(asked: Asked, ts_ns: Int64, a: Float64, b: Float64 | None, warnings: list[str]) -> AdfReply:
    """Test the newest window of a spread, or of a price where ``b`` is None. Raises RefusedError."""
    rows = len(ts_ns)
    if rows < LEAST_WINDOW:
        raise RefusedError("", f"there are {rows} bars to test, {LEAST_WINDOW} are needed")
    window = min(asked.window, rows)
    if window < asked.window:
        warnings = [*warnings, f"there are {rows} bars only: all of them were tested"]
    ratio = math.nan
    tested = a[-window:]
    if b is not None:
        ratio = float(pair_series(a, b, window, asked.method, intercept=asked.intercept).hedge_ratio[-1])
        tested = tested - ratio * b[-window:]
    return AdfReply(
        adf=adf_figures(adf(tested)),
        hedge_ratio=number(ratio),
        window_used=window,
        ts_ns=int(ts_ns[-1]),
        warnings=warnings,
    )


def adf_figures(found: AdfResult) -> AdfFigures:
    """A test's result as it travels."""
    return AdfFigures(
        statistic=number(found.statistic),
        pvalue=number(found.pvalue),
        lags=int(found.lags),
        observations=int(found.observations),
        critical_values=_numbers(found.critical_values),
        reason=found.reason.value if found.reason else "",
    )


def _numbers(values: dict[str, float]) -> dict[str, float | None]:
    return {name: number(value) for name, value in values.items()}


def _newest(figures: PairSeries):
    return REASONS[figures.reason[-1]] if len(figures.reason) else None


def _window(window: int, rows: int, legs: Legs, *, may_shrink: bool) -> tuple[int, list[str]]:
    if rows - legs.first < 1:
        detail = "both legs have no bar at the same time in this period"
        if legs.dropped_a or legs.dropped_b:
            detail += f" ({legs.dropped_a} bars of the first and {legs.dropped_b} of the second stand alone)"
        raise RefusedError("", detail)
    if window <= rows or not may_shrink:
        return window, []
    used = (rows + 1) // 2
    if used < LEAST_WINDOW:
        raise RefusedError("", f"the pair has {rows} bars in common; {2 * LEAST_WINDOW - 1} are needed")
    said = f"window {window} is longer than the {rows} bars in common: {used} was used, which leaves some for z-scores"
    return used, [said]


def joined_legs(
    a: tuple[Int64, Float64], b: tuple[Int64, Float64]
) -> tuple[Int64, Float64, Float64, int, int]:
    """Inner join, and how many bars of each leg stand alone within the time that both cover."""
    ts, at_a, at_b = np.intersect1d(a[0], b[0], assume_unique=True, return_indices=True)
    alone = [0, 0]
    if len(a[0]) and len(b[0]):
        low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
        for place, (times, _) in enumerate((a, b)):
            alone[place] = int(np.count_nonzero((times >= low) & (times <= high))) - len(ts)
    return ts, a[1][at_a], b[1][at_b], max(0, alone[0]), max(0, alone[1])
