"""One line through all rows: y ≈ slope · x + intercept by each method, and regressions on several columns."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapestream.quant.kernels.huber import TOLERANCE, huber_fit, huber_line
from tapestream.quant.kernels.kalman import PROCESS_NOISE, kalman_lines
from tapestream.quant.kernels.limits import LARGEST
from tapestream.quant.kernels.moments import pair_moments
from tapestream.quant.kernels.ols import ols_line
from tapestream.quant.kernels.theil_sen import theil_sen_line
from tapestream.quant.kernels.tls import tls_line
from tapestream.quant.reasons import NOT_FINITE, REASONS, TOO_SHORT, Reason

NAN = float("nan")


class Line(NamedTuple):
    """NaN where ``reason`` says why."""

    slope: float
    intercept: float
    reason: Reason | None


class OlsLine(NamedTuple):
    """Least squares with standard errors; NaN where ``reason`` says why (two rows have no errors)."""

    slope: float
    intercept: float
    slope_error: float
    intercept_error: float
    r_squared: float
    """Part of the squares about the mean that the line explains; without an intercept, about zero."""
    reason: Reason | None


class Regression(NamedTuple):
    """Of y [n] on a design [n, p]; NaN where ``reason`` says why."""

    coefficients: NDArray[np.float64]
    weights: NDArray[np.float64]
    """[n]: 1 for rows that count in full."""
    scale: float
    """Of the residuals, robust; in the unit of y."""
    reason: Reason | None


class Lines(NamedTuple):
    """Arrays [n]: the line as of each row, and a code (``REASONS``)."""

    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    reason: NDArray[np.int8]


def ols(y: ArrayLike, x: ArrayLike, *, intercept: bool = True) -> OlsLine:
    """Ordinary least squares of ``y`` [n] on ``x`` [n], from moments about the means.

    Reasons: too_short (fewer rows than parameters), not_finite, constant. Raises ValueError for
    series of different lengths, as all functions here.
    """
    ys, xs, code = _rows(y, x, 2 if intercept else 1)
    if code:
        return OlsLine(NAN, NAN, NAN, NAN, NAN, REASONS[code])
    total = pair_moments(ys, xs)
    slope, level, code = ols_line(total, intercept)
    if code:
        return OlsLine(NAN, NAN, NAN, NAN, NAN, REASONS[code])
    n, mean_x = total[0], total[1]
    if intercept:
        residuals = (ys - total[3] - total[4]) - slope * (xs - total[1] - total[2])
        whole, squares = total[6], total[5]
    else:
        residuals = ys - slope * xs
        whole, squares = float(np.dot(ys, ys)), float(np.dot(xs, xs))
    left = float(np.dot(residuals, residuals))
    freedom = len(ys) - (2 if intercept else 1)
    variance = left / freedom if freedom else NAN
    return OlsLine(
        slope,
        level,
        math.sqrt(variance / squares),
        math.sqrt(variance * (1.0 / n + mean_x * mean_x / squares)) if intercept else 0.0,
        1.0 - left / whole if whole else NAN,
        None,
    )


def total_least_squares(y: ArrayLike, x: ArrayLike, *, intercept: bool = True) -> Line:
    """The line with the least squared distances at right angles to it (Golub and Van Loan 1980).

    Reasons: too_short, not_finite, constant, no_slope.
    """
    ys, xs, code = _rows(y, x, 2 if intercept else 1)
    return _line(tls_line(pair_moments(ys, xs), intercept)) if not code else Line(NAN, NAN, REASONS[code])


def huber(y: ArrayLike, x: ArrayLike, *, intercept: bool = True) -> Line:
    """Huber's M-estimate of the line, as ``huber_regression``.

    Reasons: too_short, not_finite, constant, not_converged.
    """
    ys, xs, code = _rows(y, x, 2 if intercept else 1)
    return _line(huber_line(ys, xs, intercept)) if not code else Line(NAN, NAN, REASONS[code])


def huber_regression(y: ArrayLike, design: ArrayLike, *, tolerance: float = TOLERANCE) -> Regression:
    """Huber's M-estimate of ``y`` [n] on the columns of ``design`` [n, p]; a constant is a column of ones.

    k = 1.345 and scale = median |residual| / 0.6745 in each round, as R's ``MASS::rlm`` (Venables and
    Ripley 2002), iterated until a round changes the residuals by no more than ``tolerance`` of their norm:
    with 1e-4 it stops where R does, by default where nothing changes any more. Reasons: too_short,
    not_finite, collinear, not_converged. Raises ValueError for shapes that do not fit.
    """
    ys = np.ascontiguousarray(y, dtype=np.float64)
    columns = np.ascontiguousarray(design, dtype=np.float64)
    if ys.ndim != 1 or columns.ndim != 2 or len(columns) != len(ys):
        raise ValueError(f"y is [n] and the design [n, p], not {ys.shape} and {columns.shape}")
    coefficients, weights = np.full(columns.shape[1], NAN), np.full(len(ys), NAN)
    code = 0
    if not (np.abs(ys) <= LARGEST).all() or not (np.abs(columns) <= LARGEST).all():
        code = NOT_FINITE
    elif len(ys) <= columns.shape[1]:
        code = TOO_SHORT
    if code:
        return Regression(coefficients, weights, NAN, REASONS[code])
    scale, code = huber_fit(columns, ys, coefficients, weights, float(tolerance))
    if code:
        coefficients[:] = weights[:] = NAN
    return Regression(coefficients, weights, scale, REASONS[code])


def theil_sen(y: ArrayLike, x: ArrayLike, *, intercept: bool = True) -> Line:
    """The exact median of the slopes between all pairs of rows with different x (Sen 1968).

    The intercept is median(y) - slope · median(x) (Conover 1980); Sen's other convention, the median of
    y - slope · x, is that expression of the result. O(n log n) as a rule. Reasons: too_short, not_finite,
    constant.
    """
    ys, xs, code = _rows(y, x, 2 if intercept else 1)
    return _line(theil_sen_line(ys, xs, intercept)) if not code else Line(NAN, NAN, REASONS[code])


def kalman(
    y: ArrayLike, x: ArrayLike, *, process_noise: float = PROCESS_NOISE, intercept: bool = True
) -> Lines:
    """The filtered line after each row of ``y`` [n] and ``x`` [n], recursive from the first.

    ``process_noise`` is the variance by which h · |first x| and the intercept wander in a row, in units of
    the observation noise's; 0 is recursive least squares. The prior is diffuse. Codes: too_short,
    constant (x has not varied yet), not_finite (the row is skipped). Raises ValueError for negative noise.
    """
    ys, xs, _ = _rows(y, x, 0)
    if not process_noise >= 0.0:
        raise ValueError(f"process noise is not negative: {process_noise}")
    n = len(ys)
    lines = Lines(np.empty(n), np.empty(n), np.empty(n, dtype=np.int8))
    kalman_lines(ys, xs, float(process_noise), intercept, *lines)
    return lines


def _line(figures: tuple[float, float, int]) -> Line:
    slope, level, code = figures
    return Line(slope, level, REASONS[code])


def _rows(y: ArrayLike, x: ArrayLike, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    ys, xs = np.ascontiguousarray(y, dtype=np.float64), np.ascontiguousarray(x, dtype=np.float64)
    if ys.ndim != 1 or ys.shape != xs.shape:
        raise ValueError(f"y and x are series of one length, not of shapes {ys.shape} and {xs.shape}")
    if len(ys) < least:
        return ys, xs, TOO_SHORT
    if least and not (bool((np.abs(ys) <= LARGEST).all()) and bool((np.abs(xs) <= LARGEST).all())):
        return ys, xs, NOT_FINITE
    return ys, xs, 0
