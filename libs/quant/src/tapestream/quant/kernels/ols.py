"""Ordinary least squares of y on x, from moments."""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import is_constant
from tapestream.quant.reasons import CONSTANT, FINE


@njit(cache=True)
def ols_line(total, intercept):
    """``(slope, intercept, code)`` of an aggregate of pairs; without an intercept through the origin."""
    n, mean_x, mean_y = total[0], total[1], total[3]
    if intercept:
        if is_constant(total[5], n, total[8]):
            return np.nan, np.nan, CONSTANT
        slope = total[7] / total[5]
        return slope, ((mean_y - slope * mean_x) + (total[4] - slope * total[2])), FINE
    squares = total[5] + n * mean_x * mean_x
    if squares == 0.0:
        return np.nan, np.nan, CONSTANT
    return (total[7] + n * mean_x * mean_y) / squares, 0.0, FINE
