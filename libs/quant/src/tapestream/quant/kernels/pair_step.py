"""One row of a pair: hedge ratio, spread, z-score and correlation."""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.correlation import correlation_of
from tapestream.quant.kernels.huber import huber_line
from tapestream.quant.kernels.kalman import (
    KALMAN_SIZE,
    PROCESS_NOISE,
    kalman_line,
    kalman_observe,
    kalman_wander,
)
from tapestream.quant.kernels.limits import is_collinear, usable
from tapestream.quant.kernels.moments import (
    NO_PAIRS,
    NO_SPREADS,
    merge_pairs,
    merge_spreads,
    one_pair,
    one_spread,
)
from tapestream.quant.kernels.ols import ols_line
from tapestream.quant.kernels.theil_sen import theil_sen_line
from tapestream.quant.kernels.tls import tls_line
from tapestream.quant.kernels.window import (
    COLUMNS,
    COUNT,
    GAP_CODE,
    RAW,
    SCALE,
    SPREAD,
    X,
    Y,
    load_pairs,
    load_spreads,
    new_state,
    rebuild_front,
    store,
)
from tapestream.quant.kernels.zscore import zscore_of
from tapestream.quant.reasons import COLLINEAR, FINE, NOT_FINITE, TOO_SHORT

OLS, HUBER, THEIL_SEN, KALMAN, TLS = 0, 1, 2, 3, 4


@njit(cache=True)
def _robust_line(state, slot, y, x, method, intercept):
    """The line through the rows of the ring, with the newest in its slot."""
    window = state.shape[0] - 2
    ys, xs = np.empty(window), np.empty(window)
    for k in range(window):
        ys[k], xs[k] = state[k, Y], state[k, X]
    ys[slot], xs[slot] = y, x
    if method == HUBER:
        return huber_line(ys, xs, intercept)
    return theil_sen_line(ys, xs, intercept)


@njit(cache=True)
def _load_kalman(state):
    row = state.shape[0] - 1
    return (
        state[row, 0], state[row, 1], state[row, 2], state[row, 3],
        state[row, 4], state[row, 5], state[row, 6], state[row, 7],
    )  # fmt: skip


@njit(cache=True)
def pair_step(state, y, x, method, intercept, keep):
    """``(hedge ratio, intercept, spread, z-score, correlation, code)`` with (y, x) as the newest row.

    The state moves on if ``keep``; otherwise it is left as it was.
    """
    window = state.shape[0] - 2
    counters = window
    count = int(state[counters, COUNT])
    slot = count % window
    good = usable(y) and usable(x)

    front_pairs, front_spreads = NO_PAIRS, NO_SPREADS
    if slot + 1 < window:
        front_pairs, front_spreads = load_pairs(state, slot + 1), load_spreads(state, slot + 1)
    back_pairs, back_spreads = load_pairs(state, counters), load_spreads(state, counters)
    if good:
        back_pairs = merge_pairs(back_pairs, one_pair(y, x))
    pairs = merge_pairs(front_pairs, back_pairs)

    window_code = FINE
    if count + 1 < window:
        window_code = TOO_SHORT
    elif pairs[0] < window:
        window_code = NOT_FINITE

    slope, level, code = np.nan, np.nan, window_code
    if method == KALMAN:
        kalman = kalman_wander(_load_kalman(state), PROCESS_NOISE)
        if good:
            kalman = kalman_observe(kalman, y, x, intercept)
        if keep:
            for k in range(KALMAN_SIZE):
                state[counters + 1, k] = kalman[k]
        if count + 1 >= window:
            code = NOT_FINITE
            if good:
                slope, level, code = kalman_line(kalman, intercept)
    elif code == FINE:
        if method == OLS:
            slope, level, code = ols_line(pairs, intercept)
        elif method == TLS:
            slope, level, code = tls_line(pairs, intercept)
        else:
            slope, level, code = _robust_line(state, slot, y, x, method, intercept)

    correlation, correlation_code = np.nan, window_code
    if window_code == FINE:
        correlation, correlation_code = correlation_of(pairs)

    spread = y - slope * x
    scale = abs(y) + abs(slope * x)
    if code == FINE and not usable(spread):
        slope, level, code = np.nan, np.nan, NOT_FINITE
    if code != FINE:
        spread = np.nan
    else:
        back_spreads = merge_spreads(back_spreads, one_spread(spread, scale))
    spreads = merge_spreads(front_spreads, back_spreads)

    zscore, zscore_code = np.nan, code
    if code == FINE:
        if spreads[0] < window:
            zscore_code = int(state[counters, GAP_CODE])
        elif intercept and correlation_code == FINE and is_collinear(pairs[5], pairs[6], pairs[7]):
            zscore_code = COLLINEAR
        else:
            zscore, zscore_code = zscore_of(spread, spreads, 1)

    if keep:
        state[slot, Y], state[slot, X], state[slot, SPREAD], state[slot, SCALE] = y, x, spread, scale
        state[counters, COUNT] = count + 1
        if code != FINE:
            state[counters, GAP_CODE] = code
        if slot + 1 < window:
            store(state, counters, back_pairs, back_spreads)
        else:
            rebuild_front(state, 0)
            store(state, counters, NO_PAIRS, NO_SPREADS)

    if code == FINE:
        code = correlation_code if correlation_code != FINE else zscore_code
    return slope, level, spread, zscore, correlation, code


@njit(cache=True)
def pair_steps(y, x, window, method, intercept, out, out_code):
    """All rows one after the other; ``out`` [5, n] gets the figures in the order of ``pair_step``."""
    state = new_state(window)
    for t in range(len(y)):
        figures = pair_step(state, y[t], x[t], method, intercept, True)
        out[0, t], out[1, t], out[2, t] = figures[0], figures[1], figures[2]
        out[3, t], out[4, t] = figures[3], figures[4]
        out_code[t] = figures[5]


@njit(cache=True)
def restore(state):
    """Build what a snapshot leaves out: the fronts that the current round still reads."""
    window = state.shape[0] - 2
    count = int(state[window, COUNT])
    if count >= window:
        rebuild_front(state, count % window)


SNAPSHOT_COLUMNS = RAW
STATE_COLUMNS = COLUMNS
