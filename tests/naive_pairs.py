"""Slow, obvious twins of the pair kernels: each window by itself, in exact fractions where it matters."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from statistics import median

import numpy as np
from numpy.typing import NDArray

Rows = list[float]


def moments(y: Rows, x: Rows) -> tuple[Fraction, Fraction, Fraction, Fraction, Fraction]:
    """Means of y and x, then Syy, Sxx, Sxy, without any rounding."""
    ys, xs = [Fraction(v) for v in y], [Fraction(v) for v in x]
    mean_y, mean_x = sum(ys) / Fraction(len(ys)), sum(xs) / Fraction(len(xs))
    syy = sum(((v - mean_y) ** 2 for v in ys), Fraction(0))
    sxx = sum(((v - mean_x) ** 2 for v in xs), Fraction(0))
    sxy = sum(((a - mean_y) * (b - mean_x) for a, b in zip(ys, xs, strict=True)), Fraction(0))
    return mean_y, mean_x, syy, sxx, sxy


def ols(y: Rows, x: Rows) -> tuple[float, float]:
    mean_y, mean_x, _, sxx, sxy = moments(y, x)
    slope = sxy / sxx
    return float(slope), float(mean_y - slope * mean_x)


def ols_through_origin(y: Rows, x: Rows) -> float:
    top = sum((Fraction(a) * Fraction(b) for a, b in zip(y, x, strict=True)), Fraction(0))
    return float(top / sum((Fraction(b) ** 2 for b in x), Fraction(0)))


def tls(y: Rows, x: Rows) -> float:
    """The slope that minimises the squared distances, by its quadratic equation."""
    _, _, syy, sxx, sxy = moments(y, x)
    half = (syy - sxx) / (2 * sxy)
    with localcontext(prec=60):  # the two terms may cancel
        exact = Decimal(half.numerator) / Decimal(half.denominator)
        root = (exact * exact + 1).sqrt()
        return float(exact + (root if sxy > 0 else -root))


def theil_sen(y: Rows, x: Rows) -> float:
    slopes = [(y[j] - y[i]) / (x[j] - x[i]) for i in range(len(x)) for j in range(i) if x[i] != x[j]]
    return float(median(slopes))


def huber(y: Rows, x: Rows) -> tuple[float, float]:
    """Reweighting until nothing changes."""
    weights = [1.0] * len(y)
    slope = level = math.nan
    for _ in range(5000):
        total = math.fsum(weights)
        mean_y = math.fsum(w * v for w, v in zip(weights, y, strict=True)) / total
        mean_x = math.fsum(w * v for w, v in zip(weights, x, strict=True)) / total
        rows = list(zip(weights, y, x, strict=True))
        before = slope
        slope = math.fsum(w * (a - mean_y) * (b - mean_x) for w, a, b in rows) / math.fsum(
            w * (b - mean_x) ** 2 for w, _, b in rows
        )
        level = mean_y - slope * mean_x
        if abs(slope - before) <= 1e-14 * abs(slope):
            break
        residuals = [a - level - slope * b for a, b in zip(y, x, strict=True)]
        scale = median(map(abs, residuals)) / 0.6745
        weights = [min(1.0, 1.345 * scale / abs(r)) if r else 1.0 for r in residuals]
    return slope, level


def huber_regression_like_r(
    y: NDArray[np.float64], design: NDArray[np.float64], stop: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Coefficients, weights and scale; ends as ``MASS::rlm`` does, once residuals change by ``stop``."""
    residuals = y - design @ np.linalg.lstsq(design, y)[0]
    while True:
        scale = float(np.median(np.abs(residuals))) / 0.6745
        weights = np.minimum(1.0, 1.345 * scale / np.abs(residuals))
        root = np.sqrt(weights)
        coefficients = np.linalg.lstsq(design * root[:, None], y * root)[0]
        before, residuals = residuals, y - design @ coefficients
        if np.linalg.norm(residuals - before) <= stop * np.linalg.norm(before):
            return coefficients, weights, scale


def correlation(y: Rows, x: Rows) -> float:
    _, _, syy, sxx, sxy = moments(y, x)
    return float(sxy) / math.sqrt(float(syy) * float(sxx))


def zscore(values: Rows, ddof: int = 1) -> float:
    """Of the last of these values."""
    exact = [Fraction(v) for v in values]
    mean = sum(exact) / Fraction(len(exact))
    squares = sum(((v - mean) ** 2 for v in exact), Fraction(0))
    return float(exact[-1] - mean) / math.sqrt(float(squares / (len(exact) - ddof)))


def kalman(y: Rows, x: Rows, noise: float) -> list[tuple[float, float]]:
    """(hedge ratio, intercept) after each row from the third on, by the textbook's covariance form.

    The diffuse prior is made of the first two rows: after them the states are known exactly but for the
    noise in between, which is what a filter with an endless prior variance comes to.
    """
    unit = Fraction(abs(x[0]))
    q = Fraction(noise)
    huge = Fraction(10) ** 40
    state = [Fraction(0), Fraction(0)]
    cov = [[huge, Fraction(0)], [Fraction(0), huge]]
    result = []
    for a, b in zip(y, x, strict=True):
        cov[0][0] += q
        cov[1][1] += q
        h = [Fraction(1), Fraction(b) / unit]
        ph = [cov[0][0] * h[0] + cov[0][1] * h[1], cov[1][0] * h[0] + cov[1][1] * h[1]]
        s = h[0] * ph[0] + h[1] * ph[1] + 1
        error = Fraction(a) - h[0] * state[0] - h[1] * state[1]
        state = [state[k] + ph[k] * error / s for k in range(2)]
        cov = [[cov[r][c] - ph[r] * ph[c] / s for c in range(2)] for r in range(2)]
        # Exact fractions grow without end; 60 digits are more than enough.
        state = [_short(v) for v in state]
        cov = [[_short(v) for v in row] for row in cov]
        result.append((float(state[1] / unit), float(state[0])))
    return result


def _short(value: Fraction) -> Fraction:
    return Fraction(round(value * 10**60), 10**60)


def half_life(spread: Rows) -> float:
    slope, _ = ols(spread[1:], spread[:-1])
    return -math.log(2) / math.log(abs(slope))


def hurst(series: Rows) -> float:
    lags = range(1, 20)
    logs = []
    for lag in lags:
        steps = [b - a for a, b in zip(series[:-lag], series[lag:], strict=True)]
        mean = math.fsum(steps) / len(steps)
        logs.append(math.log(math.fsum((s - mean) ** 2 for s in steps) / len(steps)))
    slope, _ = ols(logs, [math.log(lag) for lag in lags])
    return slope / 2
