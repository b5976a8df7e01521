"""Hurst exponent."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import ROUNDING, usable
from tapestream.quant.reasons import CONSTANT, FINE, NOT_FINITE, TOO_SHORT

LARGEST_LAG = 19
LEAST_ROWS = 40
"""About two stretches of the largest lag that do not overlap."""


@njit(cache=True)
def hurst_of(series):
    """``(exponent, code)``: half the slope of ln Var(s[t + lag] - s[t]) on ln lag, lags 1 … 19."""
    n = len(series)
    if n < LEAST_ROWS:
        return np.nan, TOO_SHORT
    largest = 0.0
    for value in series:
        if not usable(value):
            return np.nan, NOT_FINITE
        largest = max(largest, abs(value))
    mean_u = mean_v = suu = suv = 0.0
    for lag in range(1, LARGEST_LAG + 1):
        rows = n - lag
        mean = 0.0
        for t in range(rows):
            mean += series[t + lag] - series[t]
        mean /= rows
        variance = 0.0
        for t in range(rows):
            variance += (series[t + lag] - series[t] - mean) ** 2
        variance /= rows
        if math.sqrt(variance) <= ROUNDING * largest:
            return np.nan, CONSTANT
        u, v = math.log(lag), math.log(variance)
        delta = u - mean_u
        mean_u += delta / lag
        mean_v += (v - mean_v) / lag
        suu += delta * (u - mean_u)
        suv += delta * (v - mean_v)
    return 0.5 * suv / suu, FINE
