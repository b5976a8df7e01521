"""The augmented Dickey–Fuller regression with its choice of lags.

    d[t] = trend terms + rho * level[t - 1] + sum of phi[i] * d[t - i], i = 1 … lags,  d[t] = level[t] - level[t - 1]

All numbers of lags are judged on the same rows (those that the largest leaves), so their regressions are
nested: one factorisation with the lags as the last columns gives the residuals of all of them. The columns
are one series shifted, so nearly all cross products follow from the first row of them. They are
factorised by Cholesky; where a column is close to depending on the others, which squares would hide,
the same is done by Householder reflections of the columns themselves.

Rules and defaults are those of statsmodels' ``adfuller`` (Schwert's largest lag; Said and Dickey 1984,
Biometrika 71, 599-607).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.least_squares import triangularise
from tapestream.quant.kernels.limits import ROUNDING, usable
from tapestream.quant.reasons import COLLINEAR, CONSTANT, FINE, NOT_FINITE, TOO_SHORT

AIC, BIC, T_STAT, FIXED = 0, 1, 2, 3

SIGNIFICANT = 1.6448536269514722
"""A last lag whose |t| is below this is dropped by ``T_STAT`` (5 %, as statsmodels has it)."""

ILL_CONDITIONED = 1e-5
"""Below this part of a column's square left beside the others, Cholesky's error comes near 1e-10."""


@njit(cache=True)
def schwert_lags(n, trend):
    """The largest number of lags to try for n rows and so many trend terms; negative for too few rows."""
    return min(n // 2 - trend - 1, math.ceil(12.0 * (n / 100.0) ** 0.25))


@njit(cache=True, fastmath={"reassoc", "contract"})
def _dot(a, b):
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@njit(cache=True)
def _design(level, d, lags, trend, level_last, out):
    """Write the regression's rows to ``out``: trend terms, level, lags (or the level last), then d."""
    first = lags
    rows = len(d) - first
    at_level = trend + (lags if level_last else 0)
    at_lags = trend + (0 if level_last else 1)
    for t in range(rows):
        if trend > 0:
            out[t, 0] = 1.0
        if trend > 1:
            out[t, 1] = t - 0.5 * (rows - 1)
        out[t, at_level] = level[first + t]
        for lag in range(1, lags + 1):
            out[t, at_lags + lag - 1] = d[first + t - lag]
        out[t, trend + lags + 1] = d[first + t]


@njit(cache=True)
def _cross_products(level, d, lags, trend, level_last, out):
    """The same design's cross products, each of its columns with each, in the upper half of ``out``."""
    first = lags
    rows = len(d) - first
    last = trend + lags + 1
    at_level = trend + (lags if level_last else 0)
    at_lags = trend + (0 if level_last else 1)

    column_of = np.empty(lags + 1, dtype=np.int64)
    column_of[0] = last
    for lag in range(1, lags + 1):
        column_of[lag] = at_lags + lag - 1

    # d shifted by i times d shifted by j: the next on the diagonal differs by the rows at both ends.
    shifted = np.empty((lags + 1, lags + 1))
    lost = False
    for j in range(lags + 1):
        value = _dot(d[first:], d[first - j : first - j + rows])
        shifted[0, j] = value
        for i in range(1, lags + 1 - j):
            if lost:
                value = _dot(d[first - i : first - i + rows], d[first - i - j : first - i - j + rows])
            else:
                before = value
                value += d[first - i] * d[first - i - j] - d[len(d) - i] * d[len(d) - i - j]
                if j == 0 and value < 1e-3 * before:
                    # An outlier left, and what remains is its rounding: none of this can be trusted.
                    lost = True
                    value = _dot(d[first - i : first - i + rows], d[first - i : first - i + rows])
            shifted[i, i + j] = value
    own_level = level[first : first + rows]
    out[at_level, at_level] = _dot(own_level, own_level)
    for i in range(lags + 1):
        column_i = column_of[i]
        lagged = d[first - i : first - i + rows]
        product = _dot(own_level, lagged)
        out[min(at_level, column_i), max(at_level, column_i)] = product
        for j in range(i, lags + 1):
            column_j = column_of[j]
            out[min(column_i, column_j), max(column_i, column_j)] = shifted[i, j]
    if trend > 0:
        out[0, 0] = rows
        out[0, at_level] = np.sum(own_level)
        total = np.sum(d[first:])
        for i in range(lags + 1):
            if i > 0:
                total += d[first - i] - d[len(d) - i]
            out[0, column_of[i]] = total
    if trend > 1:
        ramp = np.arange(rows) - 0.5 * (rows - 1)
        out[0, 1] = 0.0
        out[1, 1] = _dot(ramp, ramp)
        out[1, at_level] = _dot(ramp, own_level)
        for i in range(lags + 1):
            out[1, column_of[i]] = _dot(ramp, d[first - i : first - i + rows])


@njit(cache=True)
def _cholesky(square):
    """Turn the upper half into R with R'R = square; False where it is ill-conditioned.

    The last column is that of the dependent variable: whatever is left of it is fine.
    """
    m = square.shape[0]
    for k in range(m):
        whole = square[k, k]
        left = whole
        for i in range(k):
            left -= square[i, k] * square[i, k]
        if k == m - 1:
            if left <= ILL_CONDITIONED * whole:
                return False
        elif not left > ILL_CONDITIONED * whole:
            return False
        root = math.sqrt(left)
        square[k, k] = root
        for j in range(k + 1, m):
            value = square[k, j]
            for i in range(k):
                value -= square[i, k] * square[i, j]
            square[k, j] = value / root
    return True


@njit(cache=True)
def _factor(level, d, lags, trend, level_last):
    """``(R, exact)``: the triangle of the design and d; not exact where columns depend on each other."""
    m = trend + lags + 2
    square = np.zeros((m, m))
    _cross_products(level, d, lags, trend, level_last, square)
    if _cholesky(square):
        return square, True
    work = np.empty((len(d) - lags, m))
    _design(level, d, lags, trend, level_last, work)
    whole = 0.0
    for t in range(work.shape[0]):
        whole += work[t, m - 1] * work[t, m - 1]
    exact = triangularise(work, m - 1) == 0
    rest = 0.0
    for t in range(m - 1, work.shape[0]):
        rest += work[t, m - 1] * work[t, m - 1]
    exact = exact and rest > ROUNDING * ROUNDING * whole
    triangle = work[:m].copy()
    triangle[m - 1, m - 1] = math.sqrt(rest)
    return triangle, exact


@njit(cache=True)
def _best_lags(triangle, rows, most, trend, rule):
    """The number of lags that the rule prefers."""
    m = triangle.shape[0]
    rest = triangle[m - 1, m - 1] ** 2
    best, best_value = 0, np.inf
    for lags in range(most, -1, -1):
        columns = trend + 1 + lags
        if rule == T_STAT:
            t = triangle[columns - 1, m - 1] / math.sqrt(rest / (rows - columns))
            if abs(t) >= SIGNIFICANT:
                return lags
        else:
            penalty = 2.0 if rule == AIC else math.log(rows)
            value = rows * math.log(rest / rows) + penalty * columns
            if value <= best_value:
                best, best_value = lags, value
        rest += triangle[columns - 1, m - 1] ** 2
    return best


@njit(cache=True)
def adf_regression(series, trend, most, rule):
    """``(statistic, lags, observations, code)``; a negative ``most`` stands for Schwert's."""
    n = len(series)
    low, high = np.inf, -np.inf
    for value in series:
        if not usable(value):
            return np.nan, 0, 0, NOT_FINITE
        low, high = min(low, value), max(high, value)
    allowed = n // 2 - trend - 1
    if most < 0:
        most = schwert_lags(n, trend)
    if most < 0 or most > allowed or n - 1 - most <= trend + 1 + most:
        return np.nan, 0, 0, TOO_SHORT
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        return np.nan, 0, 0, CONSTANT
    d = np.empty(n - 1)
    level = np.empty(n - 1)
    # A constant takes up any shift of the level; without one the level is what it is.
    shift = low + 0.5 * (high - low) if trend > 0 else 0.0
    for t in range(n - 1):
        d[t] = series[t + 1] - series[t]
        level[t] = series[t] - shift
    lags = most
    if rule != FIXED:
        triangle, exact = _factor(level, d, most, trend, False)
        if not exact:
            return np.nan, 0, 0, COLLINEAR
        lags = _best_lags(triangle, n - 1 - most, most, trend, rule)
    triangle, exact = _factor(level, d, lags, trend, True)
    rows = n - 1 - lags
    columns = trend + 1 + lags
    if not exact:
        return np.nan, 0, 0, COLLINEAR
    t = triangle[columns - 1, columns] / (triangle[columns, columns] / math.sqrt(rows - columns))
    return math.copysign(1.0, triangle[columns - 1, columns - 1]) * t, lags, rows, FINE
