"""Order statistics without sorting."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def select(values, rank):
    """The value of this rank from 0 (quickselect, median of three); ``values`` is reordered."""
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) >> 1
        a, b, c = values[low], values[middle], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            return values[rank]
    return values[rank]


@njit(cache=True)
def median(values):
    """Of an even number the mean of the two in the middle, as numpy rounds it; ``values`` is reordered."""
    n = len(values)
    if n == 0:
        return np.nan
    upper = select(values, n // 2)
    if n % 2 == 1:
        return upper
    lower = values[0]
    for k in range(1, n // 2):
        lower = max(lower, values[k])  # select leaves the smaller ones before it
    return (lower + upper) / 2.0
