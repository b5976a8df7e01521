"""All pairs of many instruments in one go."""

from __future__ import annotations

import numpy as np
from numba import njit

from tapestream.quant.kernels.adf import AIC
from tapestream.quant.kernels.cointegration import engle_granger_test
from tapestream.quant.kernels.correlation import correlation_of
from tapestream.quant.kernels.half_life import half_life_of
from tapestream.quant.kernels.limits import usable
from tapestream.quant.kernels.moments import NO_SPREADS, merge_spreads, one_spread, pair_moments
from tapestream.quant.kernels.zscore import zscore_of
from tapestream.quant.reasons import FINE, TOO_SHORT

PVALUE, HALF_LIFE, CORRELATION, ZSCORE, HEDGE_RATIO = 0, 1, 2, 3, 4


@njit(cache=True)
def _newest_figures(y, x, slope, window):
    """``(correlation, z-score, code)`` of the last ``window`` rows."""
    n = len(y)
    if n < window:
        return np.nan, np.nan, TOO_SHORT
    correlation, code = correlation_of(pair_moments(y[n - window :], x[n - window :]))
    spreads = NO_SPREADS
    for t in range(n - window, n):
        scale = abs(y[t]) + abs(slope * x[t])
        spreads = merge_spreads(spreads, one_spread(y[t] - slope * x[t], scale))
    zscore, zscore_code = zscore_of(y[n - 1] - slope * x[n - 1], spreads, 1)
    return correlation, zscore, code if code != FINE else zscore_code


@njit(cache=True)
def radar_pairs(closes, window, out_i, out_j, out, out_code):
    """Fill i, j, figures [5, pairs] and codes of all i < j, in the order (0, 1), (0, 2), … (1, 2), …"""
    instruments, bars = closes.shape
    ys, xs, residuals = np.empty(bars), np.empty(bars), np.empty(bars)
    pair = 0
    for i in range(instruments - 1):
        for j in range(i + 1, instruments):
            n = 0
            for t in range(bars):
                if usable(closes[i, t]) and usable(closes[j, t]):
                    ys[n], xs[n] = closes[i, t], closes[j, t]
                    n += 1
            _, pvalue, slope, _, code = engle_granger_test(ys[:n], xs[:n], 1, -1, AIC, residuals[:n])
            half_life = correlation = zscore = np.nan
            if code == FINE:
                half_life, code = half_life_of(residuals[:n])
            if not np.isnan(slope):
                correlation, zscore, newest_code = _newest_figures(ys[:n], xs[:n], slope, window)
                code = code if code != FINE else newest_code
            out_i[pair], out_j[pair], out_code[pair] = i, j, code
            out[PVALUE, pair], out[HALF_LIFE, pair] = pvalue, half_life
            out[CORRELATION, pair], out[ZSCORE, pair], out[HEDGE_RATIO, pair] = correlation, zscore, slope
            pair += 1
