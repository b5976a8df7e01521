"""Statistics of a sliding window over whole series."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapestream.quant.kernels.correlation import rolling_correlations
from tapestream.quant.kernels.zscore import rolling_zscores


def rolling_zscore(
    values: ArrayLike, window: int, *, ddof: int = 1
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """How many standard deviations each of ``values`` [n] is from the mean of the last ``window``, itself included.

    Returns z-scores [n] and codes [n] (``REASONS``): NaN for the first rows, for windows that hold NaN or
    infinity, and for constant ones. ``ddof`` 1 is the sample's deviation, 0 the population's. Raises
    ValueError for a window not above ``ddof``.
    """
    series = np.ascontiguousarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"values are one series, not of shape {series.shape}")
    if window <= max(ddof, 0):
        raise ValueError(f"a window is above ddof = {ddof}, not {window}")
    out, code = np.empty(len(series)), np.empty(len(series), dtype=np.int8)
    rolling_zscores(series, int(window), int(ddof), out, code)
    return out, code


def rolling_correlation(
    y: ArrayLike, x: ArrayLike, window: int
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Pearson's correlation of the last ``window`` rows of ``y`` [n] and ``x`` [n], the current one included.

    Returns correlations [n] and codes [n] (``REASONS``), as ``rolling_zscore``. Raises ValueError for series
    of different lengths and for a window below 2.
    """
    ys, xs = np.ascontiguousarray(y, dtype=np.float64), np.ascontiguousarray(x, dtype=np.float64)
    if ys.ndim != 1 or ys.shape != xs.shape:
        raise ValueError(f"y and x are series of one length, not of shapes {ys.shape} and {xs.shape}")
    if window < 2:
        raise ValueError(f"a window has at least 2 rows, not {window}")
    out, code = np.empty(len(ys)), np.empty(len(ys), dtype=np.int8)
    rolling_correlations(ys, xs, int(window), out, code)
    return out, code
