"""Pair analytics beside the libraries that a quant would otherwise use, on the same series in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.regression.rolling import RollingOLS
from statsmodels.tools import add_constant
from statsmodels.tsa.stattools import adfuller

from tapestream.quant.pairs import Method, PairStream, adf, pair_series, radar_scores

WINDOW = 60
SHORT_WINDOW = 20
LIVE_ROWS = 200_000
LONG_WINDOW = 60_000
INSTRUMENTS, RADAR_BARS = 50, 240
O1_METHODS = (Method.OLS, Method.TLS, Method.KALMAN)


def pairs(rounds: int) -> list[dict[str, Any]]:
    """What ``make bench`` measures of pair analytics without a running system."""
    return [*pair_batches(rounds), *pair_updates(rounds), *radar(rounds)]


def pair_batches(rounds: int) -> list[dict[str, Any]]:
    """Hedge ratio, spread, z-score and correlation of every row, ADF of the last window's spread."""
    return [_batch(100, SHORT_WINDOW, rounds), _batch(100_000, WINDOW, rounds)]


def _batch(rows: int, window: int, rounds: int) -> dict[str, Any]:
    y, x = _pair(rows)
    _same(_ours(y, x, window), _theirs(y, x, window))
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(_ms(lambda: _theirs(y, x, window)))
        ours.append(_ms(lambda: _ours(y, x, window)))
    ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {
        "figure": f"pair analytics of {rows:,} points, window {window}",
        "unit": "ms",
        "ours": round(statistics.median(ours), 3),
        "floor": round(statistics.median(theirs), 3),
        "ratio": round(statistics.median(ratios), 1),
        "wanted": "≥ 20 × statsmodels/pandas" if rows > 1000 else "< 1 ms",
        "runs": {"ours": ours, "statsmodels and pandas": theirs},
    }


def _ours(y: NDArray[np.float64], x: NDArray[np.float64], window: int) -> tuple[NDArray[np.float64], float]:
    series = pair_series(y, x, window)
    test = adf(y[-window:] - series.hedge_ratio[-1] * x[-window:])
    return np.array([series.hedge_ratio[-1], series.zscore[-1], series.correlation[-1]]), test.pvalue


def _theirs(y: NDArray[np.float64], x: NDArray[np.float64], window: int) -> tuple[NDArray[np.float64], float]:
    left, right = pd.Series(y), pd.Series(x)
    ratio = pd.Series(RollingOLS(y, add_constant(x), window=window).fit(params_only=True).params[:, 1])
    spread = left - ratio * right
    zscore = (spread - spread.rolling(window).mean()) / spread.rolling(window).std()
    correlation = left.rolling(window).corr(right)
    last = ratio.iloc[-1]
    pvalue = adfuller(y[-window:] - last * x[-window:], result_object=True).pvalue
    return np.array([last, zscore.iloc[-1], correlation.iloc[-1]]), float(pvalue)


def _same(ours: tuple[Any, float], theirs: tuple[Any, float]) -> None:
    """A bench of two things that differ measures nothing."""
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-6)


def pair_updates(rounds: int) -> list[dict[str, Any]]:
    """One row more in the streaming form, called from Python as the service does."""
    rows = []
    for method in O1_METHODS:
        runs = {
            window: [_update_us(method, window) for _ in range(rounds)] for window in (WINDOW, LONG_WINDOW)
        }
        short, long = (statistics.median(runs[window]) for window in (WINDOW, LONG_WINDOW))
        rows.append(
            {
                "figure": f"streaming update, {method}, window {WINDOW} and {LONG_WINDOW:,}",
                "unit": "µs",
                "ours": {str(WINDOW): round(short, 2), f"{LONG_WINDOW:,}": round(long, 2)},
                "floor": None,
                "ratio": round(long / short, 2),
                "wanted": "< 20 µs, within a factor of 2",
                "runs": {str(window): found for window, found in runs.items()},
            }
        )
    return rows


def _update_us(method: Method, window: int) -> float:
    y, x = (one.tolist() for one in _pair(LIVE_ROWS))
    stream = PairStream(window, method)
    for i in range(window):
        stream.update(y[i], x[i])
    count = LIVE_ROWS - window
    began = time.perf_counter()
    for i in range(window, LIVE_ROWS):
        stream.update(y[i], x[i])
    return (time.perf_counter() - began) / count * 1e6


def radar(rounds: int) -> list[dict[str, Any]]:
    """All pairs of fifty instruments, as after each bar."""
    closes = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, (INSTRUMENTS, RADAR_BARS)), axis=1))
    radar_scores(closes, WINDOW)
    runs = [_ms(lambda: radar_scores(closes, WINDOW)) for _ in range(rounds)]
    return [
        {
            "figure": f"radar of {INSTRUMENTS} instruments, {RADAR_BARS} bars",
            "unit": "ms",
            "ours": round(statistics.median(runs), 1),
            "floor": None,
            "ratio": None,
            "wanted": "< 1 s on one core",
            "runs": {"ours": runs},
        }
    ]


def _pair(rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two cointegrated walks of prices."""
    rng = np.random.default_rng(rows)
    x = 2000 + np.cumsum(rng.normal(0, 1, rows))
    return 15 * x + 3000 + np.cumsum(rng.normal(0, 0.5, rows)) + rng.normal(0, 5, rows), x


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3
