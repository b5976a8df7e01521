"""On recorded prices the kernels answer what statsmodels and scipy answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.stats import theilslopes
from statsmodels.tsa.stattools import adfuller, coint

from tapestream.quant.kernels.slope_selection import select_slopes
from tapestream.quant.lines import huber, ols, theil_sen
from tapestream.quant.pairs import Method, adf, engle_granger, pair_series
from tests.unit.quant.published import bitvavo, bybit, joined, yahoo

Column = NDArray[np.float64]


def gold() -> tuple[Column, Column]:
    days = ("2006-05-23", "2007-11-30")
    return joined(yahoo("gld", *days), yahoo("gdx", *days))


def assert_same_adf(series: Column, regression: str, autolag: str | None, max_lag: int | None) -> None:
    theirs = adfuller(series, maxlag=max_lag, regression=regression, autolag=autolag, result_object=True)
    ours = adf(series, regression=regression, autolag=autolag, max_lag=max_lag)
    assert ours.reason is None
    assert (ours.lags, ours.observations) == (theirs.lags, theirs.nobs)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-8)
    assert ours.pvalue == pytest.approx(theirs.pvalue, abs=1e-8)
    assert ours.critical_values == pytest.approx(theirs.critical_values, abs=1e-12)


@pytest.mark.parametrize("regression", ["n", "c", "ct"])
@pytest.mark.parametrize(
    ("autolag", "max_lag"), [("aic", None), ("bic", 12), ("t-stat", 20), (None, 3), ("aic", 0)]
)
def test_adf(regression: str, autolag: str | None, max_lag: int | None) -> None:
    btc, eth = bybit()
    hours, _ = bitvavo()
    for series in (
        btc[:500],
        eth[:2001],
        btc[:60] - 15 * eth[:60],
        np.log(hours[5000:5900]),
        np.diff(btc[:700]),
    ):
        assert_same_adf(series, regression, autolag, max_lag)


def test_adf_of_all_bars() -> None:
    btc, _ = bybit()
    assert_same_adf(btc, "c", "aic", None)


def test_adf_of_shapes_that_are_hard() -> None:
    """Smooth, with an outlier at either end, far from zero, with a trend, short, and integrated twice."""
    rng = np.random.default_rng(5)
    walk = np.cumsum(rng.normal(size=400))
    t = np.arange(400.0)
    first, last = walk.copy(), walk.copy()
    first[0] += 1e5
    last[-1] -= 1e5
    smooth = np.sin(t / 20) + 1e-3 * walk
    for series in (first, last, smooth, walk + 1e6, t * 3 + walk, walk[:13], np.cumsum(walk)):
        for regression in ("n", "c", "ct"):
            assert_same_adf(series, regression, "aic", None)


@pytest.mark.parametrize("regression", ["n", "c", "ct"])
def test_adf_does_not_depend_on_the_unit(regression: str) -> None:
    """statsmodels does: of a series of 1e-9, its statistic with a trend is off by 8e-6."""
    walk = np.cumsum(np.random.default_rng(5).normal(size=400))
    assert_same_adf(walk, regression, "aic", None)
    for unit in (1e-9, 1e9):
        assert adf(walk * unit, regression=regression).statistic == pytest.approx(
            adf(walk, regression=regression).statistic, abs=1e-11
        )


@pytest.mark.parametrize("trend", ["n", "c", "ct"])
@pytest.mark.parametrize("autolag", ["aic", "bic", "t-stat", None])
def test_engle_granger(trend: str, autolag: str | None) -> None:
    btc, eth = bybit()
    hours = bitvavo()
    for y, x in ((btc[:500], eth[:500]), (hours[0][-3000:], hours[1][-3000:]), gold()):
        theirs = coint(y, x, trend=trend, maxlag=5 if autolag is None else None, autolag=autolag)
        ours = engle_granger(y, x, trend=trend, max_lag=5 if autolag is None else None, autolag=autolag)
        assert ours.reason is None
        assert ours.statistic == pytest.approx(theirs[0], abs=1e-8)
        assert ours.pvalue == pytest.approx(theirs[1], abs=1e-8)
        np.testing.assert_allclose(list(ours.critical_values.values()), theirs[2], rtol=1e-12)
        columns = {"n": [x], "c": [x, np.ones(len(x))], "ct": [x, np.ones(len(x)), np.arange(1, len(x) + 1)]}
        fit = sm.OLS(y, np.column_stack(columns[trend])).fit()
        assert ours.hedge_ratio == pytest.approx(fit.params[0], rel=1e-9)
        assert ours.intercept == pytest.approx(fit.params[1] if trend != "n" else 0.0, rel=1e-8)


def test_ols() -> None:
    for y, x in (bybit(), bitvavo(), gold()):
        fit = sm.OLS(y, sm.add_constant(x)).fit()
        line = ols(y, x)
        assert line.slope == pytest.approx(fit.params[1], rel=1e-10)
        assert line.intercept == pytest.approx(fit.params[0], rel=1e-10)
        assert line.slope_error == pytest.approx(fit.bse[1], rel=1e-10)
        assert line.intercept_error == pytest.approx(fit.bse[0], rel=1e-10)
        assert line.r_squared == pytest.approx(fit.rsquared, rel=1e-10)
        origin, ours = sm.OLS(y, x).fit(), ols(y, x, intercept=False)
        assert ours.slope == pytest.approx(origin.params[0], rel=1e-10)
        assert ours.slope_error == pytest.approx(origin.bse[0], rel=1e-10)
        assert ours.r_squared == pytest.approx(origin.rsquared, rel=1e-10)


def test_rolling_ols() -> None:
    y, x = (column[:3000] for column in bybit())
    series = pair_series(y, x, 60)
    for t in range(59, 3000, 37):
        fit = sm.OLS(y[t - 59 : t + 1], sm.add_constant(x[t - 59 : t + 1])).fit()
        assert series.hedge_ratio[t] == pytest.approx(fit.params[1], rel=1e-10)
        assert series.intercept[t] == pytest.approx(fit.params[0], rel=1e-10)
    np.testing.assert_array_equal(series.spread, y - series.hedge_ratio * x)


def test_huber() -> None:
    for y, x in (gold(), tuple(column[:1500] for column in bitvavo())):
        fit = sm.RLM(y, sm.add_constant(x), M=sm.robust.norms.HuberT()).fit(
            conv="coefs", tol=1e-12, maxiter=500
        )
        line = huber(y, x)
        # statsmodels divides the MAD by 0.67449, R and we by 0.6745.
        assert line.slope == pytest.approx(fit.params[1], rel=1e-5)
        assert line.intercept == pytest.approx(fit.params[0], rel=1e-4)


@pytest.mark.parametrize("rows", [2, 3, 60, 61, 200, 201, 500, 1001, 3000])
def test_theil_sen_is_the_same_number(rows: int) -> None:
    for all_y, all_x in (bybit(), bitvavo()):
        y, x = all_y[:rows], all_x[:rows]
        theirs = theilslopes(y, x)
        line = theil_sen(y, x)
        assert line.slope == theirs.slope
        assert line.intercept == theirs.intercept
        assert select_slopes(y, x) == theirs.slope


def test_theil_sen_where_many_slopes_are_equal() -> None:
    rng = np.random.default_rng(7)
    steps = np.round(np.cumsum(rng.normal(size=900)), 1)
    coarse = np.round(rng.normal(size=900))
    plane = rng.normal(size=900)
    for y, x in (
        (coarse, steps),
        (steps, coarse),
        (2 * steps, steps),
        (0.1 * coarse, np.arange(900.0)),
        (plane, np.where(plane > 0, 1.0, 0.0)),
        (np.where(plane > 1, plane, 3.0), steps),
        (steps + 1e8, steps * 1e-8),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = theilslopes(y, x).slope
        assert select_slopes(y, x) == theirs


def test_the_hedge_ratio_of_a_method_is_that_of_its_line() -> None:
    y, x = (column[:400] for column in bitvavo())
    huber_series = pair_series(y, x, 300, Method.HUBER)
    theil_sen_series = pair_series(y, x, 300, Method.THEIL_SEN)
    assert theil_sen_series.hedge_ratio[399] == theil_sen(y[100:], x[100:]).slope
    assert huber_series.hedge_ratio[399] == pytest.approx(huber(y[100:], x[100:]).slope, rel=1e-9)
