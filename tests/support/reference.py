"""Figures of pairs by statsmodels and pandas, straight from their definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tsa.stattools import adfuller


def rolling_ols(closes: pd.DataFrame, window: int) -> pd.DataFrame:
    """Hedge ratio, intercept, spread, z-score and correlation at each row of ``a`` and ``b``."""
    # RollingOLS adds to and takes from raw sums of squares: on prices as they are, six digits are right.
    mean = closes.mean()
    moved = closes - mean
    fitted = RollingOLS(moved["a"], sm.add_constant(moved["b"]), window).fit(reset=window).params
    fitted["const"] += mean["a"] - fitted["b"] * mean["b"]
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
    found = adfuller(part["a"] - ratio * part["b"], autolag="AIC")
    return float(found[0]), float(found[1])
