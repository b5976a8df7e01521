"""Exact decimal sums over float64 values.

A venue's prices and quantities have at most 15 significant digits, so each float64 stands for
exactly one decimal. Summing the floats would round at each step; here each is turned into a whole
number of units of ``10**-decimals``, the units are summed as integers, and the sum is rounded once.
How many decimals are needed is found from the values themselves.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

MAX_DECIMALS = 18
_INT64_SAFE = float(2**62)
_15_DIGITS = 1e15
"""Below this many units a float64 stands for one number of units only; above it neighbours look alike."""


def to_units(value: float, decimals: int) -> tuple[int, int]:
    """``(units, decimals)`` with ``units / 10**decimals == value``; decimals are raised where needed."""
    while decimals <= MAX_DECIMALS:
        scale = 10**decimals
        units = round(value * scale)
        if units / scale == value:
            return units, decimals
        decimals += 1
    return _from_decimal(value)


def to_units_array(values: NDArray[np.float64], decimals: int) -> tuple[NDArray[np.int64], int]:
    """The same for a whole column, with one number of decimals for all of it.

    Raises OverflowError where such units have more than 15 digits: float64 does not tell them apart.
    """
    largest = float(np.abs(values).max(initial=0.0))
    while decimals <= MAX_DECIMALS:
        scale = float(10**decimals)
        if largest * scale >= _15_DIGITS:
            break
        units = np.rint(values * scale)
        if bool((units / scale == values).all()):
            return units.astype(np.int64), decimals
        decimals += 1
    raise OverflowError("values need more than 15 digits")


def from_units(units: int, decimals: int) -> float:
    """The float64 nearest to ``units / 10**decimals``: integer division rounds correctly."""
    return units / 10**decimals


def _from_decimal(value: float) -> tuple[int, int]:
    exact = Decimal(repr(value))
    exponent = exact.as_tuple().exponent
    decimals = max(0, -exponent) if isinstance(exponent, int) else 0
    return int(exact.scaleb(decimals)), decimals


def dot_units(left: NDArray[np.int64], right: NDArray[np.int64]) -> int:
    """Sum of products, exact even where it does not fit 64 bits."""
    bound = float(np.abs(left).max(initial=0)) * float(np.abs(right).max(initial=0)) * len(left)
    if bound < _INT64_SAFE:
        return int(np.dot(left, right))
    return sum(a * b for a, b in zip(left.tolist(), right.tolist(), strict=True))


def sum_units(units: NDArray[np.int64]) -> int:
    """Sum of units, exact even where it does not fit 64 bits."""
    if float(np.abs(units).max(initial=0)) * len(units) < _INT64_SAFE:
        return int(units.sum())
    return sum(units.tolist())
