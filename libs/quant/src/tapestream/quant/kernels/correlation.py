"""Pearson's correlation of a window."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import is_constant, usable
from tapestream.quant.kernels.moments import NO_PAIRS, NO_SPREADS, merge_pairs, one_pair
from tapestream.quant.kernels.window import X, Y, load_pairs, new_state, rebuild_front, store
from tapestream.quant.reasons import CONSTANT, FINE, NOT_FINITE, TOO_SHORT


@njit(cache=True)
def correlation_of(total):
    """``(Pearson correlation, code)`` of an aggregate of pairs."""
    if is_constant(total[5], total[0], total[8]) or is_constant(total[6], total[0], total[9]):
        return np.nan, CONSTANT
    r = total[7] / (math.sqrt(total[5]) * math.sqrt(total[6]))
    return min(1.0, max(-1.0, r)), FINE


@njit(cache=True)
def rolling_correlations(y, x, window, out, out_code):
    state = new_state(window)
    for t in range(len(y)):
        slot = t % window
        back = load_pairs(state, window)
        if usable(y[t]) and usable(x[t]):
            back = merge_pairs(back, one_pair(y[t], x[t]))
        total = merge_pairs(load_pairs(state, slot + 1), back) if slot + 1 < window else back
        out[t] = np.nan
        if t + 1 < window:
            out_code[t] = TOO_SHORT
        elif total[0] < window:
            out_code[t] = NOT_FINITE
        else:
            out[t], out_code[t] = correlation_of(total)
        state[slot, Y], state[slot, X] = y[t], x[t]
        if slot + 1 == window:
            rebuild_front(state, 0)
            back = NO_PAIRS
        store(state, window, back, NO_SPREADS)
