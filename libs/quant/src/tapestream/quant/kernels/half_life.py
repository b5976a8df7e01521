"""Half-life of mean reversion."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import ROUNDING, is_constant, usable
from tapestream.quant.kernels.moments import pair_moments
from tapestream.quant.reasons import CONSTANT, FINE, NOT_FINITE, NOT_MEAN_REVERTING, TOO_SHORT

LEAST_ROWS = 4


@njit(cache=True)
def half_life_of(spread):
    """``(rows until half of a deviation is gone, code)`` by AR(1): s[t] = a + phi s[t - 1], -ln 2 / ln |phi|."""
    n = len(spread)
    if n < LEAST_ROWS:
        return np.nan, TOO_SHORT
    for value in spread:
        if not usable(value):
            return np.nan, NOT_FINITE
    total = pair_moments(spread[1:], spread[:-1])
    if is_constant(total[5], total[0], total[8]) or is_constant(total[6], total[0], total[9]):
        return np.nan, CONSTANT
    phi = total[7] / total[5]
    size = abs(phi)
    if size >= 1.0 - ROUNDING:
        return np.nan, NOT_MEAN_REVERTING
    if size == 0.0:
        return 0.0, FINE
    return -math.log(2.0) / math.log(size), FINE
