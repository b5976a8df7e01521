"""Partial aggregates of one or two series, and how two of them become one.

Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance", The American
Statistician 37, 242-247, eq. 2.1: nothing is ever subtracted from a sum of squares. Each mean is kept as
an unevaluated sum of two doubles (Knuth's TwoSum), so that figures of 1e8 plus noise are as exact as
those of the noise alone.

A pair's aggregate is ``(n, mean x, its rest, mean y, its rest, Sxx, Syy, Sxy, max |x|, max |y|)``, a
spread's ``(n, mean, its rest, S, scale)``, where scale is the largest of the terms that the spread is the
difference of.
"""

from __future__ import annotations

from numba import njit

NO_PAIRS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
NO_SPREADS = (0.0, 0.0, 0.0, 0.0, 0.0)


@njit(cache=True)
def two_sum(a, b):
    """``(s, e)`` with s the rounded sum and s + e the exact one."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit(cache=True)
def one_pair(y, x):
    return (1.0, x, 0.0, y, 0.0, 0.0, 0.0, 0.0, abs(x), abs(y))


@njit(cache=True)
def one_spread(value, scale):
    return (1.0, value, 0.0, 0.0, scale)


@njit(cache=True)
def merge_pairs(a, b):
    """The aggregate of the rows of both."""
    if a[0] == 0.0:
        return b
    if b[0] == 0.0:
        return a
    n = a[0] + b[0]
    share = b[0] / n
    weight = a[0] * share
    dx = (b[1] - a[1]) + (b[2] - a[2])
    dy = (b[3] - a[3]) + (b[4] - a[4])
    mean_x, rest_x = two_sum(a[1], a[2] + dx * share)
    mean_y, rest_y = two_sum(a[3], a[4] + dy * share)
    return (
        n,
        mean_x,
        rest_x,
        mean_y,
        rest_y,
        a[5] + b[5] + dx * dx * weight,
        a[6] + b[6] + dy * dy * weight,
        a[7] + b[7] + dx * dy * weight,
        max(a[8], b[8]),
        max(a[9], b[9]),
    )


@njit(cache=True)
def merge_spreads(a, b):
    """The aggregate of the rows of both."""
    if a[0] == 0.0:
        return b
    if b[0] == 0.0:
        return a
    n = a[0] + b[0]
    share = b[0] / n
    delta = (b[1] - a[1]) + (b[2] - a[2])
    mean, rest = two_sum(a[1], a[2] + delta * share)
    return (n, mean, rest, a[3] + b[3] + delta * delta * (a[0] * share), max(a[4], b[4]))


@njit(cache=True)
def pair_moments(y, x):
    """The aggregate of whole arrays."""
    total = NO_PAIRS
    for t in range(len(y)):
        total = merge_pairs(total, one_pair(y[t], x[t]))
    return total
