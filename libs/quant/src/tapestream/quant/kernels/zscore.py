"""Z-score of the newest value of a window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import is_constant, usable
from tapestream.quant.kernels.moments import NO_SPREADS, merge_spreads, one_spread
from tapestream.quant.reasons import CONSTANT, FINE, NOT_FINITE, TOO_SHORT


@njit(cache=True)
def zscore_of(value, total, ddof):
    """``(z-score, code)`` of the newest value of an aggregate of spreads."""
    if is_constant(total[3], total[0], total[4]):
        return np.nan, CONSTANT
    return ((value - total[1]) - total[2]) / math.sqrt(total[3] / (total[0] - ddof)), FINE


@njit(cache=True)
def rolling_zscores(values, window, ddof, out, out_code):
    """The queue of ``window.py``, over an array that is there as a whole."""
    front = np.zeros((window + 1, 5))
    back = NO_SPREADS
    for t in range(len(values)):
        if usable(values[t]):
            back = merge_spreads(back, one_spread(values[t], abs(values[t])))
        row = front[t % window + 1]
        total = merge_spreads((row[0], row[1], row[2], row[3], row[4]), back)
        out[t] = np.nan
        if t + 1 < window:
            out_code[t] = TOO_SHORT
        elif total[0] < window:
            out_code[t] = NOT_FINITE
        else:
            out[t], out_code[t] = zscore_of(values[t], total, ddof)
        if (t + 1) % window == 0:
            later = NO_SPREADS
            for slot in range(window - 1, -1, -1):
                value = values[t + 1 - window + slot]
                if usable(value):
                    later = merge_spreads(one_spread(value, abs(value)), later)
                for k in range(5):
                    front[slot, k] = later[k]
            back = NO_SPREADS
