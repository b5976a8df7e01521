"""From where on a number means nothing more than rounding."""

from __future__ import annotations

from numba import njit

LARGEST = 1e150
"""Above this a square overflows."""

ROUNDING = 64 * 2.220446049250313e-16
"""A standard deviation below this part of the largest value is rounding: the series is constant."""

COLLINEAR_BELOW = 1e-13
"""``1 - r**2`` below this is rounding: its own error is a few ulp times the root of the number of rows."""


@njit(cache=True)
def usable(value):
    """False for NaN, infinity, and numbers whose square overflows."""
    return abs(value) <= LARGEST


@njit(cache=True)
def is_constant(centred_squares, n, largest):
    """Whether the sum of squares about the mean of n values up to ``largest`` is rounding alone."""
    limit = ROUNDING * largest
    return centred_squares <= n * limit * limit


@njit(cache=True)
def is_collinear(sxx, syy, sxy):
    """Whether two series that both vary lie on one line up to rounding."""
    return 1.0 - (sxy / sxx) * (sxy / syy) <= COLLINEAR_BELOW
