"""Least squares with several regressors by Householder reflections.

Golub and Van Loan, "Matrix Computations", algorithm 5.3.2: the error grows with the condition of the
design, not with its square as that of the normal equations does.
"""

from __future__ import annotations

import math

from numba import njit

RANK = 1e-13
"""A column of which less than this part is left beside the earlier ones depends on them."""


@njit(cache=True)
def triangularise(work, columns):
    """Turn ``work`` [n, m] into its R in place, by reflections of the first ``columns`` columns.

    Returns how many of these depend on earlier ones. What is below the diagonal is left over.
    """
    n, m = work.shape
    dependent = 0
    for k in range(min(columns, n)):
        whole = 0.0
        for i in range(n):
            whole += work[i, k] * work[i, k]
        below = 0.0
        for i in range(k, n):
            below += work[i, k] * work[i, k]
        norm = math.sqrt(below)
        if norm <= RANK * math.sqrt(whole):
            dependent += 1
            continue
        alpha = -norm if work[k, k] > 0.0 else norm
        head = work[k, k] - alpha
        scale = -1.0 / (alpha * head)
        for j in range(k + 1, m):
            dot = head * work[k, j]
            for i in range(k + 1, n):
                dot += work[i, k] * work[i, j]
            dot *= scale
            work[k, j] -= dot * head
            for i in range(k + 1, n):
                work[i, j] -= dot * work[i, k]
        work[k, k] = alpha
    return dependent


@njit(cache=True)
def back_substitute(work, columns, out):
    """Solve R out = the column after the first ``columns``."""
    for k in range(columns - 1, -1, -1):
        value = work[k, columns]
        for j in range(k + 1, columns):
            value -= work[k, j] * out[j]
        out[k] = value / work[k, k]


@njit(cache=True)
def solve_weighted(design, y, weights, work, out):
    """Coefficients of y on the columns of ``design`` [n, p]; False where these depend on each other.

    ``work`` [n, p + 1] is overwritten.
    """
    n, p = design.shape
    if n < p:
        return False
    for i in range(n):
        root = math.sqrt(weights[i])
        for j in range(p):
            work[i, j] = root * design[i, j]
        work[i, p] = root * y[i]
    if triangularise(work, p) > 0:
        return False
    back_substitute(work, p, out)
    return True
