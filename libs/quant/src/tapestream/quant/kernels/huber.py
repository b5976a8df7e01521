"""Huber's M-estimator of a regression, as R's ``MASS::rlm`` defines it.

Huber (1981), "Robust Statistics", ch. 7; Venables and Ripley (2002), "Modern Applied Statistics with S",
6.5: k = 1.345 (95 % efficiency at the normal), scale = median |residual| / 0.6745 afresh in each round,
iteratively reweighted least squares from the least-squares fit.
"""

from __future__ import annotations

import math

import numpy as np

from tapestream.quant.kernels.compilation import compiled
from tapestream.quant.kernels.least_squares import solve_weighted
from tapestream.quant.kernels.limits import ROUNDING, is_constant
from tapestream.quant.kernels.moments import pair_moments
from tapestream.quant.kernels.selection import median
from tapestream.quant.reasons import COLLINEAR, CONSTANT, FINE, NOT_CONVERGED

K = 1.345
MAD_OF_NORMAL = 0.6745
"""As R has it; 0.67448975… would be exact."""
TOLERANCE = 1e-10
"""A round that changes the residuals by no more than this part of their norm is the last; R stops at 1e-4."""
ROUNDS = 500


@compiled
def huber_fit(design, y, coefficients, weights, tolerance):
    """Fill the coefficients [p] and weights [n] of y [n] on ``design`` [n, p]; returns ``(scale, code)``."""
    n, p = design.shape
    work = np.empty((n, p + 1))
    sizes = np.empty(n)
    residuals = np.empty(n)
    largest = 0.0
    for i in range(n):
        weights[i] = 1.0
        largest = max(largest, abs(y[i]))
    if not solve_weighted(design, y, weights, work, coefficients):
        return np.nan, COLLINEAR
    for i in range(n):
        fitted = 0.0
        for j in range(p):
            fitted += design[i, j] * coefficients[j]
        residuals[i] = y[i] - fitted
    for _ in range(ROUNDS):
        for i in range(n):
            sizes[i] = abs(residuals[i])
        scale = median(sizes) / MAD_OF_NORMAL
        if scale <= ROUNDING * largest:
            return 0.0, FINE  # half of the rows lie on the line: no other line can be better
        for i in range(n):
            size = abs(residuals[i]) / scale
            weights[i] = 1.0 if size <= K else K / size
        if not solve_weighted(design, y, weights, work, coefficients):
            return np.nan, COLLINEAR
        change = 0.0
        before = 0.0
        for i in range(n):
            fitted = 0.0
            for j in range(p):
                fitted += design[i, j] * coefficients[j]
            residual = y[i] - fitted
            change += (residual - residuals[i]) ** 2
            before += residuals[i] ** 2
            residuals[i] = residual
        if math.sqrt(change) <= tolerance * math.sqrt(before) + ROUNDING * largest * math.sqrt(n):
            return scale, FINE
    return np.nan, NOT_CONVERGED


@compiled
def huber_line(y, x, intercept):
    """``(slope, intercept, code)`` of y on x."""
    n = len(y)
    total = pair_moments(y, x)
    if intercept and is_constant(total[5], n, total[8]):
        return np.nan, np.nan, CONSTANT
    if total[8] == 0.0:
        return np.nan, np.nan, CONSTANT
    columns = 2 if intercept else 1
    design = np.ones((n, columns))
    centred = np.empty(n)
    for i in range(n):
        if intercept:
            design[i, 0] = (x[i] - total[1]) - total[2]
            centred[i] = (y[i] - total[3]) - total[4]
        else:
            design[i, 0] = x[i]
            centred[i] = y[i]
    coefficients = np.empty(columns)
    _, code = huber_fit(design, centred, coefficients, np.empty(n), TOLERANCE)
    if code != FINE:
        return np.nan, np.nan, code
    slope = coefficients[0]
    if not intercept:
        return slope, 0.0, FINE
    level = (total[3] - slope * total[1]) + (total[4] - slope * total[2])
    return slope, level + coefficients[1], FINE
