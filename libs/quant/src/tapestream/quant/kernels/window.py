"""A sliding window of aggregates that costs the same at any length and never drifts.

The ring is filled from slot 0 to slot W - 1, again and again. ``back`` is the aggregate of the slots
written in this round. Whenever a round is full, each slot gets its ``front``: the aggregate of itself and
all later slots. In the next round, the window that ends in slot i is then ``front[i + 1]`` merged with
``back``: a queue of two stacks (one of merges read off, one being built), two merges per row and W more
per round of W rows. Nothing is subtracted, so what has left the window has left no trace.

State is one float64 array [W + 2, COLUMNS]: a row per slot, then a row with the counters and ``back``,
then a row for what a recursive estimator keeps.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.limits import usable
from tapestream.quant.kernels.moments import (
    NO_PAIRS,
    NO_SPREADS,
    merge_pairs,
    merge_spreads,
    one_pair,
    one_spread,
)

Y, X, SPREAD, SCALE = 0, 1, 2, 3
RAW = 4
"""The columns before this are what a snapshot holds of a slot: ``front`` follows from them."""
PAIRS = 4
SPREADS = 14
COLUMNS = 19

COUNT, GAP_CODE = 0, 1
"""In the row of counters: rows so far, and why the newest row without a spread has none."""


@njit(cache=True)
def new_state(window):
    state = np.zeros((window + 2, COLUMNS))
    state[:window, :RAW] = np.nan
    return state


@njit(cache=True)
def load_pairs(state, row):
    c = PAIRS
    return (
        state[row, c], state[row, c + 1], state[row, c + 2], state[row, c + 3], state[row, c + 4],
        state[row, c + 5], state[row, c + 6], state[row, c + 7], state[row, c + 8], state[row, c + 9],
    )  # fmt: skip


@njit(cache=True)
def load_spreads(state, row):
    c = SPREADS
    return (state[row, c], state[row, c + 1], state[row, c + 2], state[row, c + 3], state[row, c + 4])


@njit(cache=True)
def store(state, row, pairs, spreads):
    for k in range(10):
        state[row, PAIRS + k] = pairs[k]
    for k in range(5):
        state[row, SPREADS + k] = spreads[k]


@njit(cache=True)
def rebuild_front(state, first):
    """Each slot's aggregate of itself and all later slots, from the last slot down to ``first``."""
    window = state.shape[0] - 2
    pairs = NO_PAIRS
    spreads = NO_SPREADS
    for slot in range(window - 1, first - 1, -1):
        y, x = state[slot, Y], state[slot, X]
        if usable(y) and usable(x):
            pairs = merge_pairs(one_pair(y, x), pairs)
        if usable(state[slot, SPREAD]):
            spreads = merge_spreads(one_spread(state[slot, SPREAD], state[slot, SCALE]), spreads)
        store(state, slot, pairs, spreads)
