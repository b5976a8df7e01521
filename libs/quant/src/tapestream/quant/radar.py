"""Which pairs of many instruments are worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapestream.quant.kernels import radar as kernel


@dataclass(frozen=True)
class RadarScores:
    """One entry per pair i < j in each array; NaN where undefined, and ``reason`` [pairs] says why.

    ``reason`` is 0 where all figures are there, else ``REASONS[code]`` is what the first lacks.
    """

    i: NDArray[np.int64]
    """The row of y in ``closes``."""
    j: NDArray[np.int64]
    """The row of x."""
    pvalue: NDArray[np.float64]
    """Of Engle–Granger with a constant and lags by AIC, over all joined bars."""
    half_life: NDArray[np.float64]
    """Of the residual of the same regression, in bars."""
    correlation: NDArray[np.float64]
    """Pearson's, over the last ``window`` joined bars."""
    zscore: NDArray[np.float64]
    """Of the newest y - hedge_ratio · x against its last ``window``, with this one hedge ratio."""
    hedge_ratio: NDArray[np.float64]
    """Of the cointegrating regression over all joined bars."""
    reason: NDArray[np.int8]


def radar_scores(closes: ArrayLike, window: int) -> RadarScores:
    """Score all pairs of ``closes`` [instruments, bars], oldest bar first.

    A pair is joined on the bars where both closes are finite. Raises ValueError for another shape and for
    a window below 2.
    """
    prices = np.ascontiguousarray(closes, dtype=np.float64)
    if prices.ndim != 2:
        raise ValueError(f"closes are [instruments, bars], not of shape {prices.shape}")
    if window < 2:
        raise ValueError(f"a window has at least 2 rows, not {window}")
    pairs = len(prices) * (len(prices) - 1) // 2
    i, j = np.empty(pairs, dtype=np.int64), np.empty(pairs, dtype=np.int64)
    figures = np.empty((5, pairs))
    reason = np.empty(pairs, dtype=np.int8)
    kernel.radar_pairs(prices, int(window), i, j, figures, reason)
    return RadarScores(i, j, *figures, reason=reason)
