"""Input that has no answer gets a reason and NaN, never a number."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tapestream.quant import lines
from tapestream.quant.pairs import (
    REASONS,
    Method,
    PairPoint,
    PairStream,
    Reason,
    adf,
    engle_granger,
    half_life,
    hurst,
    pair_series,
    radar_scores,
)
from tapestream.quant.rolling import rolling_correlation, rolling_zscore

RNG = np.random.default_rng(3)
WALK = 100 + np.cumsum(RNG.normal(size=300))
OTHER = 2 * WALK + RNG.normal(size=300)
NEARLY = 0.1 + 2e-18 * np.arange(300)
ROUNDED = np.where(np.arange(300) % 2, 0.1 + 0.2, 0.3)
WITH_NAN = np.where(np.arange(300) == 150, np.nan, WALK)
WITH_INF = np.where(np.arange(300) == 150, -np.inf, WALK)
CONSTANTS = [np.full(300, 0.1), np.zeros(300), np.full(300, 1e8), NEARLY, ROUNDED]
NOT_FINITE = [WITH_NAN, WITH_INF, np.where(np.arange(300) == 150, 1e200, WALK)]


def last(y: np.ndarray, x: np.ndarray, window: int, method: Method, *, intercept: bool = True) -> PairPoint:
    stream = PairStream(window, method, intercept=intercept)
    point = stream.peek(y[0], x[0])
    for row in zip(y, x, strict=True):
        point = stream.update(*row)
    return point


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_constant_instrument(method: Method, constant: np.ndarray) -> None:
    point = last(OTHER, constant, 20, method)
    assert point.reason is Reason.CONSTANT
    assert all(map(math.isnan, point[:5]))
    point = last(constant, OTHER, 20, method)
    assert point.reason is Reason.CONSTANT
    assert math.isnan(point.correlation)
    assert math.isnan(point.hedge_ratio) or abs(point.hedge_ratio) < 1e-2


@pytest.mark.parametrize("method", list(Method))
def test_an_instrument_with_itself(method: Method) -> None:
    point = last(WALK, WALK, 20, method)
    assert point.hedge_ratio == pytest.approx(1.0, rel=1e-9)
    assert point.correlation == pytest.approx(1.0, rel=1e-15)
    assert math.isnan(point.zscore)
    assert point.reason in (Reason.CONSTANT, Reason.COLLINEAR)


@pytest.mark.parametrize("method", list(Method))
def test_one_instrument_as_a_line_of_the_other(method: Method) -> None:
    point = last(0.3 * WALK + 0.7, WALK, 20, method)
    assert point.hedge_ratio == pytest.approx(0.3, rel=1e-2 if method is Method.KALMAN else 1e-9)
    assert math.isnan(point.zscore)
    assert point.reason is Reason.COLLINEAR
    through = last(0.3 * WALK, WALK, 20, method, intercept=False)
    assert through.hedge_ratio == pytest.approx(0.3, rel=1e-12)
    assert math.isnan(through.zscore)


@pytest.mark.parametrize("method", [Method.OLS, Method.TLS, Method.HUBER, Method.THEIL_SEN])
@pytest.mark.parametrize("dirty", NOT_FINITE)
def test_a_rolling_figure_is_undefined_while_its_window_holds_a_bad_row(
    method: Method, dirty: np.ndarray
) -> None:
    for y, x in ((OTHER, dirty), (dirty, OTHER)):
        series, clean = pair_series(y, x, 20, method), pair_series(OTHER, WALK, 20, method)
        assert np.flatnonzero(np.isnan(series.hedge_ratio)).tolist() == [*range(19), *range(150, 170)]
        assert np.flatnonzero(np.isnan(series.correlation)).tolist() == [*range(19), *range(150, 170)]
        assert np.flatnonzero(np.isnan(series.zscore)).tolist() == [*range(38), *range(150, 189)]
        assert {REASONS[code] for code in series.reason[:38]} == {Reason.TOO_SHORT}
        assert {REASONS[code] for code in series.reason[150:189]} == {Reason.NOT_FINITE}
        assert not series.reason[189:].any()
        if x is dirty:
            np.testing.assert_allclose(series.hedge_ratio[170:], clean.hedge_ratio[170:], rtol=1e-9)


@pytest.mark.parametrize("dirty", NOT_FINITE)
def test_the_kalman_filter_skips_a_bad_row(dirty: np.ndarray) -> None:
    series = pair_series(OTHER, dirty, 20, Method.KALMAN)
    assert np.flatnonzero(np.isnan(series.hedge_ratio)).tolist() == [*range(19), 150]
    assert np.flatnonzero(np.isnan(series.zscore)).tolist() == [*range(38), *range(150, 170)]
    assert REASONS[series.reason[150]] is Reason.NOT_FINITE
    assert not series.reason[170:].any()


def test_a_line_that_stands_upright() -> None:
    y = np.tile([0.0, 9.0, 0.0, -9.0], 20)
    x = np.tile([1.0, 0.0, -1.0, 0.0], 20)
    assert last(y, x, 8, Method.TLS).reason is Reason.NO_SLOPE
    assert last(y / 9, x, 8, Method.TLS).reason is Reason.NO_SLOPE, "round: any direction is as good"
    assert lines.total_least_squares(y, x).reason is Reason.NO_SLOPE


@pytest.mark.parametrize("name", ["ols", "huber", "theil_sen", "total_least_squares"])
def test_lines(name: str) -> None:
    line = getattr(lines, name)
    for y, x, reason in (
        ([1.0], [2.0], Reason.TOO_SHORT),
        ([], [], Reason.TOO_SHORT),
        (WALK, WITH_NAN, Reason.NOT_FINITE),
        (WITH_INF, WALK, Reason.NOT_FINITE),
        (WALK, np.full(300, 0.1), Reason.CONSTANT),
    ):
        found = line(y, x)
        assert found.reason is reason
        assert all(map(math.isnan, found[:-1]))
    for intercept in (True, False):
        assert line(OTHER, WALK, intercept=intercept).reason is None
    assert line(WALK, np.zeros(300), intercept=False).reason is Reason.CONSTANT


def test_huber_regression() -> None:
    ones = np.ones(300)
    for y, design, reason in (
        (OTHER, np.column_stack([WALK, 2 * WALK]), Reason.COLLINEAR),
        (OTHER, np.column_stack([WITH_NAN, ones]), Reason.NOT_FINITE),
        (OTHER[:2], np.column_stack([WALK, ones])[:2], Reason.TOO_SHORT),
    ):
        fit = lines.huber_regression(y, design)
        assert fit.reason is reason
        assert np.isnan(fit.coefficients).all()
        assert np.isnan(fit.weights).all()
        assert math.isnan(fit.scale)


@pytest.mark.parametrize("regression", ["n", "c", "ct"])
def test_adf(regression: str) -> None:
    exact = np.cumsum(0.5 ** np.arange(40))  # each step half of the last, without rounding
    for series, reason in (
        (WITH_NAN, Reason.NOT_FINITE),
        (WALK[:2], Reason.TOO_SHORT),
        ([], Reason.TOO_SHORT),
        (np.arange(60.0), Reason.COLLINEAR),
        (exact, Reason.COLLINEAR),
        *((series, Reason.CONSTANT) for series in CONSTANTS),
    ):
        result = adf(series, regression=regression)
        assert result.reason is reason
        assert math.isnan(result.statistic)
        assert math.isnan(result.pvalue)
        assert all(map(math.isnan, result.critical_values.values()))
    assert adf(WALK[:30], max_lag=14).reason is Reason.TOO_SHORT
    assert adf(WALK[:30], max_lag=13).reason is None


def test_engle_granger() -> None:
    for y, x, reason in (
        (WALK, WITH_NAN, Reason.NOT_FINITE),
        (WALK[:2], OTHER[:2], Reason.TOO_SHORT),
        (2 * WALK + 1, WALK, Reason.COLLINEAR),
        (WALK, np.full(300, 0.1), Reason.CONSTANT),
        (ROUNDED, WALK, Reason.CONSTANT),
    ):
        result = engle_granger(y, x)
        assert result.reason is reason
        assert math.isnan(result.statistic)
        assert math.isnan(result.pvalue)
    assert engle_granger(2 * WALK + 1, WALK).hedge_ratio == pytest.approx(2)


def test_half_life_and_hurst() -> None:
    for series, reason in (
        (WITH_NAN, Reason.NOT_FINITE),
        ([1.0, 2.0], Reason.TOO_SHORT),
        (ROUNDED, Reason.CONSTANT),
    ):
        for estimate in (half_life(series), hurst(series)):
            assert estimate.reason is reason
            assert math.isnan(estimate.value)
    for away in (1.1 ** np.arange(50), np.arange(50.0)):
        assert half_life(away).reason is Reason.NOT_MEAN_REVERTING
        assert math.isnan(half_life(away).value)


def test_rolling_statistics() -> None:
    zscores, codes = rolling_zscore(WITH_NAN, 10)
    assert np.flatnonzero(np.isnan(zscores)).tolist() == [*range(9), *range(150, 160)]
    assert [REASONS[codes[t]] for t in (0, 8, 9, 150, 159, 160)] == [
        Reason.TOO_SHORT, Reason.TOO_SHORT, None, Reason.NOT_FINITE, Reason.NOT_FINITE, None,
    ]  # fmt: skip
    for constant in CONSTANTS:
        assert {REASONS[code] for code in rolling_zscore(constant, 10)[1][9:]} == {Reason.CONSTANT}
        for y, x in ((constant, WALK), (WALK, constant)):
            assert {REASONS[code] for code in rolling_correlation(y, x, 10)[1][9:]} == {Reason.CONSTANT}
    assert REASONS[rolling_correlation(WITH_INF, WALK, 10)[1][159]] is Reason.NOT_FINITE


def test_the_radar_says_what_a_pair_lacks() -> None:
    closes = np.stack(
        [WALK, OTHER, np.full(300, 0.1), 2 * WALK, np.where(np.arange(300) < 298, np.nan, WALK)]
    )
    scores = radar_scores(closes, 50)
    found = {(i, j): REASONS[code] for i, j, code in zip(scores.i, scores.j, scores.reason, strict=True)}
    assert found[0, 1] is None
    assert found[0, 2] is found[1, 2] is Reason.CONSTANT
    assert found[0, 3] is Reason.COLLINEAR
    assert found[0, 4] is found[1, 4] is Reason.TOO_SHORT
    bad = np.flatnonzero(scores.reason)
    assert np.isnan(scores.pvalue[bad]).all()
