"""Kalman filter of a hedge ratio and an intercept that wander.

    y[t] = intercept[t] + hedge_ratio[t] * x[t] + noise[t],            noise ~ N(0, R)
    (intercept, hedge_ratio * x0)[t + 1] = the same at t + wander[t],  wander ~ N(0, q R I)

x0 is the size of the first x that is not zero: measured in it, both states have the unit of y, so the
filter does not depend on the units of either series. The estimates depend on q alone, not on R.

The state is kept as a square root of the information (Bierman 1977, "Factorization Methods for Discrete
Sequential Estimation", ch. 5-6): an upper triangle A and a vector z with A (intercept, hedge x0)' = z. A
diffuse prior is A = 0, exactly: no large number stands for "unknown", the first rows count in full, and
with q = 0 the filter is recursive least squares.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import ROUNDING, usable
from tapestream.quant.reasons import CONSTANT, FINE, NOT_FINITE, TOO_SHORT

PROCESS_NOISE = 1e-4
"""q: in a row each state wanders by 1 % of the noise's standard deviation. The filter's memory of a level
is about ``q ** -0.5`` = 100 rows."""

KALMAN_SIZE = 8
"""a11, a12, a22, z1, z2, x0, first x, whether x has varied."""

NO_ROWS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@njit(cache=True)
def kalman_wander(kept, q):
    """One step in time without an observation: information fades.

    The new A is U^-1 A, with U upper triangular and U U' = I + q A A'; none of these terms cancels.
    """
    a11, a12, a22, z1, z2 = kept[0], kept[1], kept[2], kept[3], kept[4]
    m22 = 1.0 + q * a22 * a22
    u22 = math.sqrt(m22)
    u12 = q * a12 * a22 / u22
    u11 = math.sqrt(1.0 + q * a11 * a11 + q * a12 * a12 / m22)
    z2 /= u22
    return (a11 / u11, a12 / (m22 * u11), a22 / u22, (z1 - u12 * z2) / u11, z2, kept[5], kept[6], kept[7])


@njit(cache=True)
def kalman_observe(kept, y, x, intercept):
    """Take in one row by two rotations."""
    a11, a12, a22, z1, z2, unit, first, varied = kept
    if unit == 0.0:
        unit = abs(x)
    if a11 == 0.0 and a22 == 0.0:
        first = x
    elif abs(x - first) > ROUNDING * max(abs(x), abs(first)):
        varied = 1.0
    scaled = x / unit if unit > 0.0 else 0.0
    left = y
    if intercept:
        length = math.hypot(a11, 1.0)
        cos, sin = a11 / length, 1.0 / length
        a11 = length
        a12, scaled = cos * a12 + sin * scaled, cos * scaled - sin * a12
        z1, left = cos * z1 + sin * left, cos * left - sin * z1
    length = math.hypot(a22, scaled)
    if length > 0.0:
        cos, sin = a22 / length, scaled / length
        a22 = length
        z2 = cos * z2 + sin * left
    return (a11, a12, a22, z1, z2, unit, first, varied)


@njit(cache=True)
def kalman_line(kept, intercept):
    """``(hedge ratio, intercept, code)`` as of the last row taken in."""
    a11, a12, a22, z1, z2, unit, _, varied = kept
    if intercept:
        if a11 == 0.0:
            return np.nan, np.nan, TOO_SHORT
        if varied == 0.0 or abs(a22) <= ROUNDING * abs(a12):
            return np.nan, np.nan, CONSTANT
        scaled = z2 / a22
        return scaled / unit, (z1 - a12 * scaled) / a11, FINE
    if a22 == 0.0:
        return np.nan, np.nan, CONSTANT
    return z2 / a22 / unit, 0.0, FINE


@njit(cache=True)
def kalman_lines(y, x, q, intercept, out_slope, out_intercept, out_code):
    """The estimate after each row. A row that is not finite is skipped: the states wander unobserved."""
    kept = NO_ROWS
    for t in range(len(y)):
        kept = kalman_wander(kept, q)
        if usable(y[t]) and usable(x[t]):
            kept = kalman_observe(kept, y[t], x[t], intercept)
            out_slope[t], out_intercept[t], out_code[t] = kalman_line(kept, intercept)
        else:
            out_slope[t], out_intercept[t], out_code[t] = np.nan, np.nan, NOT_FINITE
