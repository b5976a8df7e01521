"""Engle and Granger's test of cointegration: is what y ≈ hedge ratio · x leaves over stationary?

Engle and Granger (1987), "Co-integration and error correction", Econometrica 55, 251-276; rules as those
of statsmodels' ``coint``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.adf import adf_regression
from tapestream.quant.kernels.limits import is_constant, usable
from tapestream.quant.kernels.mackinnon import mackinnon_pvalue
from tapestream.quant.kernels.moments import pair_moments
from tapestream.quant.reasons import COLLINEAR, CONSTANT, FINE, NOT_FINITE, TOO_SHORT

TOO_CLOSE = 1.4901161193847656e-06
"""``1 - r**2`` up to this counts as collinear (100 times the root of the machine's epsilon, as statsmodels)."""


@njit(cache=True)
def cointegrating_line(y, x, trend, residuals):
    """``(hedge ratio, intercept, code)`` of y on x, a constant (trend 1) and a ramp (2); fills residuals [n].

    The ramp counts rows from 1, so the intercept is the level at row 0.
    """
    n = len(y)
    if n < 3:
        return np.nan, np.nan, TOO_SHORT
    for t in range(n):
        if not (usable(y[t]) and usable(x[t])):
            return np.nan, np.nan, NOT_FINITE
    total = pair_moments(y, x)
    if is_constant(total[5], n, total[8]) or is_constant(total[6], n, total[9]):
        return np.nan, np.nan, CONSTANT
    mean_x = mean_y = rest_x = rest_y = 0.0
    if trend > 0:
        mean_x, rest_x, mean_y, rest_y = total[1], total[2], total[3], total[4]
    ramp_x = ramp_y = 0.0
    if trend == 2:
        ramp_squares = 0.0
        for t in range(n):
            ramp = t - 0.5 * (n - 1)
            ramp_squares += ramp * ramp
            ramp_x += ramp * ((x[t] - mean_x) - rest_x)
            ramp_y += ramp * ((y[t] - mean_y) - rest_y)
        ramp_x /= ramp_squares
        ramp_y /= ramp_squares
    sxx = sxy = 0.0
    for t in range(n):
        ramp = t - 0.5 * (n - 1)
        u = ((x[t] - mean_x) - rest_x) - ramp_x * ramp
        sxx += u * u
        sxy += u * (((y[t] - mean_y) - rest_y) - ramp_y * ramp)
    if is_constant(sxx, n, total[8]):
        return np.nan, np.nan, COLLINEAR
    slope = sxy / sxx
    left = whole = 0.0
    for t in range(n):
        ramp = t - 0.5 * (n - 1)
        u = ((x[t] - mean_x) - rest_x) - ramp_x * ramp
        v = (y[t] - mean_y) - rest_y
        residuals[t] = (v - ramp_y * ramp) - slope * u
        left += residuals[t] * residuals[t]
        whole += v * v
    intercept = 0.0
    if trend > 0:
        intercept = (mean_y - slope * mean_x) + (rest_y - slope * rest_x)
        intercept -= (ramp_y - slope * ramp_x) * 0.5 * (n + 1)
    if left <= TOO_CLOSE * whole:
        return slope, intercept, COLLINEAR
    return slope, intercept, FINE


@njit(cache=True)
def engle_granger_test(y, x, trend, most, rule, residuals):
    """``(statistic, p-value, hedge ratio, intercept, code)``; fills residuals [n]."""
    slope, intercept, code = cointegrating_line(y, x, trend, residuals)
    if code != FINE:
        return np.nan, np.nan, slope, intercept, code
    statistic, _, _, code = adf_regression(residuals, 0, most, rule)
    if code != FINE:
        return np.nan, np.nan, slope, intercept, code
    return statistic, mackinnon_pvalue(statistic, trend, 2), slope, intercept, FINE
