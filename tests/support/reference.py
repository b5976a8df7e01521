"""Figures of pairs by statsmodels and pandas, straight from their definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tsa.stattools import adfuller


def rolling_ols(closes: pd.DataFrame, window: int) -> pd.DataFrame:
    """Hedge ratio, intercept, spread, z-score and correlation at each row of ``a`` and ``b``.

    Sums are made in extended precision; statsmodels, whose RollingOLS adds to and takes from raw sums of
    squares, agrees with them as far as its digits go.
    """
    y, x = (
        np.lib.stride_tricks.sliding_window_view(closes[leg].to_numpy(np.longdouble), window) for leg in "ab"
    )
    mean_y, mean_x = y.mean(axis=1), x.mean(axis=1)
    dx = x - mean_x[:, None]
    ratio = (dx * (y - mean_y[:, None])).sum(axis=1) / (dx * dx).sum(axis=1)
    fitted = pd.DataFrame({"b": ratio, "const": mean_y - ratio * mean_x}, index=closes.index[window - 1 :])
    fitted = fitted.reindex(closes.index).astype(float)
    moved = closes - closes.mean()
    theirs = RollingOLS(moved["a"], sm.add_constant(moved["b"]), window).fit(reset=window).params["b"]
    np.testing.assert_allclose(theirs, fitted["b"], rtol=1e-9)
    spread = closes["a"] - fitted["b"] * closes["b"]
    rolling = spread.rolling(window)
    return pd.DataFrame(
        {
            "hedge_ratio": fitted["b"],
            "intercept": fitted["const"],
            "spread": spread,
            "zscore": (spread - rolling.mean()) / rolling.std(ddof=1),
            "correlation": closes["a"].rolling(window).corr(closes["b"]),
        }
    )


def adf_of_window(closes: pd.DataFrame, row: int, window: int) -> tuple[float, float]:
    """Statistic and p-value of the spread of the window that ends with a row, by that row's ratio."""
    part = closes.iloc[row - window + 1 : row + 1]
    ratio = np.polyfit(part["b"], part["a"], 1)[0]
    found = adfuller(part["a"] - ratio * part["b"], autolag="AIC", result_object=False)
    return float(found[0]), float(found[1])
