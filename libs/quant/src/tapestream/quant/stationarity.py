"""Does a series revert to its mean, and how fast: unit-root and cointegration tests, half-life, Hurst."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapestream.quant.kernels import adf as adf_kernel
from tapestream.quant.kernels.cointegration import engle_granger_test
from tapestream.quant.kernels.half_life import half_life_of
from tapestream.quant.kernels.hurst import hurst_of
from tapestream.quant.kernels.mackinnon import critical_values, mackinnon_pvalue
from tapestream.quant.reasons import REASONS, Reason

_TRENDS = {"n": 0, "c": 1, "ct": 2}
_RULES = {"aic": adf_kernel.AIC, "bic": adf_kernel.BIC, "t-stat": adf_kernel.T_STAT, None: adf_kernel.FIXED}
_UNDEFINED = {"1%": float("nan"), "5%": float("nan"), "10%": float("nan")}


class AdfResult(NamedTuple):
    """Of an augmented Dickey–Fuller test; figures are NaN and counts 0 where ``reason`` says why."""

    statistic: float
    """t of the lagged level; the further below the critical values, the less likely a unit root."""
    pvalue: float
    lags: int
    observations: int
    """Rows in the regression: those of the series less 1 less ``lags``."""
    critical_values: dict[str, float]
    """At ``1%``, ``5%`` and ``10%``, for this number of observations."""
    reason: Reason | None


class CointegrationResult(NamedTuple):
    """Of an Engle–Granger test; figures are NaN where ``reason`` says why."""

    statistic: float
    pvalue: float
    critical_values: dict[str, float]
    """NaN without a constant: there are no published ones."""
    hedge_ratio: float
    """Of the cointegrating regression over all rows; also there if the residuals cannot be tested."""
    intercept: float
    """Of the same; with a trend, the level at row 0, rows counted from 1."""
    reason: Reason | None


class Estimate(NamedTuple):
    """A number, or NaN and why."""

    value: float
    reason: Reason | None


def adf(
    series: ArrayLike, *, regression: str = "c", max_lag: int | None = None, autolag: str | None = "aic"
) -> AdfResult:
    """Augmented Dickey–Fuller test of ``series`` [n] for a unit root.

    ``regression`` has no constant (``n``), a constant (``c``) or a constant and a trend (``ct``). The
    number of lags minimises ``autolag`` (``aic``, ``bic``), or is the largest whose last lag is
    significant at 5 % (``t-stat``), among 0 … ``max_lag``; with ``autolag`` None it is ``max_lag``. By
    default that is min(ceil(12 (n / 100)^¼), n // 2 - trend terms - 1), Schwert's (1989).

    Statistic and p-value equal statsmodels' ``adfuller`` (p: MacKinnon 1994, critical values: MacKinnon
    2010). Reasons: not_finite, constant, too_short (also where the largest number of lags leaves no degree
    of freedom, which statsmodels lets pass), collinear (the series follows its own past exactly). Raises ValueError for options that do not exist.
    """
    values = _series(series, "series")
    trend, rule, most = _options(regression, max_lag, autolag)
    statistic, lags, observations, code = adf_kernel.adf_regression(values, trend, most, rule)
    if code:
        return AdfResult(float("nan"), float("nan"), 0, 0, dict(_UNDEFINED), REASONS[code])
    statistic = float(statistic)
    pvalue = mackinnon_pvalue(statistic, trend, 1)
    return AdfResult(statistic, pvalue, lags, observations, critical_values(trend, 1, observations), None)


def engle_granger(
    y: ArrayLike, x: ArrayLike, *, trend: str = "c", max_lag: int | None = None, autolag: str | None = "aic"
) -> CointegrationResult:
    """Engle–Granger test of ``y`` [n] and ``x`` [n]: is the residual of y on x free of a unit root?

    ``trend`` says what the cointegrating regression holds beside x; the residual's regression holds none.
    ``max_lag`` and ``autolag`` are those of ``adf``. Equal to statsmodels' ``coint`` but for collinear
    series, where that answers -inf and this says why there is no answer. Raises ValueError for series of
    different lengths and options that do not exist.
    """
    ys, xs = _series(y, "y"), _series(x, "x")
    if len(ys) != len(xs):
        raise ValueError(f"y and x are of one length, not {len(ys)} and {len(xs)}")
    kind, rule, most = _options(trend, max_lag, autolag)
    residuals = np.empty(len(ys))
    statistic, pvalue, slope, intercept, code = engle_granger_test(ys, xs, kind, most, rule, residuals)
    critical = dict(_UNDEFINED) if code else critical_values(kind, 2, len(ys) - 1)
    return CointegrationResult(float(statistic), pvalue, critical, slope, intercept, REASONS[code])


def half_life(spread: ArrayLike) -> Estimate:
    """Rows until half of a deviation of ``spread`` [n] from its mean is expected to be gone.

    The spread is taken as AR(1), s[t] = a + φ s[t-1] + e[t] by least squares: -ln 2 / ln |φ|. (Chan 2013,
    "Algorithmic Trading", ch. 2, has -ln 2 / (φ - 1), its limit for φ near 1.) Reasons: too_short (below 4
    rows), not_finite, constant, not_mean_reverting (|φ| not below 1).
    """
    value, code = half_life_of(_series(spread, "spread"))
    return Estimate(value, REASONS[code])


def hurst(series: ArrayLike) -> Estimate:
    """Generalised Hurst exponent of order 2 of ``series`` [n]: 0.5 a random walk, below it mean reversion.

    Var(s[t + lag] - s[t]) ~ lag^(2 H), by least squares in logarithms over lags 1 … 19 (Di Matteo, Aste and
    Dacorogna 2003, "Scaling behaviors in differently developed markets", Physica A 324, 183-188; with the
    mean difference taken off, so that drift does not count as persistence). Its standard error on a
    random walk of 1,000 rows is about 0.03. Reasons: too_short (below 40 rows), not_finite, constant.
    """
    value, code = hurst_of(_series(series, "series"))
    return Estimate(value, REASONS[code])


def _series(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} is one series, not of shape {array.shape}")
    return array


def _options(trend: str, max_lag: int | None, autolag: str | None) -> tuple[int, int, int]:
    if trend not in _TRENDS:
        raise ValueError(f"a regression is one of {', '.join(_TRENDS)}, not {trend!r}")
    rule = autolag.lower() if isinstance(autolag, str) else autolag
    if rule not in _RULES:
        raise ValueError(f"lags are chosen by aic, bic, t-stat or None, not {autolag!r}")
    if max_lag is not None and max_lag < 0:
        raise ValueError(f"the number of lags is not negative: {max_lag}")
    return _TRENDS[trend], _RULES[rule], -1 if max_lag is None else int(max_lag)
