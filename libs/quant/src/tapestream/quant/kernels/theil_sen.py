"""Theil–Sen: the median of the slopes between all pairs of rows.

Theil (1950) and Sen (1968), "Estimates of the regression coefficient based on Kendall's tau", JASA 63,
1379-1389. Pairs with the same x have no slope and are left out. The median is exact: the very float64
that sorting all slopes would give.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import is_constant
from tapestream.quant.kernels.moments import pair_moments
from tapestream.quant.kernels.selection import median
from tapestream.quant.kernels.slope_selection import select_slopes
from tapestream.quant.reasons import CONSTANT, FINE

ALL_SLOPES_UP_TO = 200
"""Rows up to which writing all slopes down is faster than searching for the median."""


@njit(cache=True)
def _all_slopes(y, x):
    n = len(y)
    slopes = np.empty(n * (n - 1) // 2)
    count = 0
    for i in range(n - 1):
        for j in range(i + 1, n):
            dx = x[j] - x[i]
            if dx != 0.0:
                slopes[count] = (y[j] - y[i]) / dx
                count += 1
    return slopes[:count]


@njit(cache=True)
def theil_sen_slope(y, x):
    """The median slope; NaN where all x are the same."""
    if len(y) <= ALL_SLOPES_UP_TO:
        return median(_all_slopes(y, x))
    return select_slopes(y, x)


@njit(cache=True)
def theil_sen_line(y, x, intercept):
    """``(slope, intercept, code)``; the intercept is ``median(y) - slope * median(x)`` (Conover 1980).

    Without an intercept the slopes are those between each row and the origin.
    """
    n = len(y)
    if not intercept:
        ratios = np.empty(n)
        count = 0
        for i in range(n):
            if x[i] != 0.0:
                ratios[count] = y[i] / x[i]
                count += 1
        if count == 0:
            return np.nan, np.nan, CONSTANT
        return median(ratios[:count]), 0.0, FINE
    total = pair_moments(y, x)
    slope = theil_sen_slope(y, x)
    if is_constant(total[5], total[0], total[8]) or np.isnan(slope):
        return np.nan, np.nan, CONSTANT
    return slope, median(y.copy()) - slope * median(x.copy()), FINE
