"""Total least squares: the line with the least squared distances at right angles to it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import ROUNDING, is_constant
from tapestream.quant.reasons import CONSTANT, FINE, NO_SLOPE


@njit(cache=True)
def tls_line(total, intercept):
    """``(slope, intercept, code)`` of an aggregate of pairs; both series count in their own units.

    Golub and Van Loan (1980), "An analysis of the total least squares problem", SIAM J. Numer. Anal. 17,
    883-893; for one regressor this is the first principal axis (Deming regression with ratio 1).
    """
    n, mean_x, mean_y = total[0], total[1], total[3]
    sxx, syy, sxy = total[5], total[6], total[7]
    if intercept:
        if is_constant(sxx, n, total[8]):
            return np.nan, np.nan, CONSTANT
    else:
        sxx += n * mean_x * mean_x
        syy += n * mean_y * mean_y
        sxy += n * mean_x * mean_y
        if sxx == 0.0:
            return np.nan, np.nan, CONSTANT
    half = 0.5 * (syy - sxx)
    root = math.hypot(half, sxy)
    if root <= ROUNDING * (sxx + syy):
        return np.nan, np.nan, NO_SLOPE
    # Of the two forms of the same root, the one that adds instead of cancelling.
    if half <= 0.0:
        slope = sxy / (root - half)
    elif abs(sxy) <= ROUNDING * root:
        return np.nan, np.nan, NO_SLOPE
    else:
        slope = (root + half) / sxy
    if intercept:
        return slope, ((mean_y - slope * mean_x) + (total[4] - slope * total[2])), FINE
    return slope, 0.0, FINE
