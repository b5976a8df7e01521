"""Half-life, Hurst exponent and radar, against their twins and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapestream.quant.pairs import Method, adf, engle_granger, half_life, hurst, pair_series, radar_scores
from tapestream.quant.rolling import rolling_correlation, rolling_zscore
from tests import naive_pairs

RNG = np.random.default_rng(17)


def reverting(phi: float, rows: int) -> np.ndarray:
    series = np.zeros(rows)
    for t in range(1, rows):
        series[t] = phi * series[t - 1] + RNG.normal()
    return series + 1000


@pytest.mark.parametrize("phi", [0.95, 0.5, -0.5])
def test_half_life(phi: float) -> None:
    series = reverting(phi, 5000)
    estimate = half_life(series)
    assert estimate.reason is None
    assert estimate.value == pytest.approx(naive_pairs.half_life(series.tolist()), rel=1e-9)
    assert estimate.value == pytest.approx(-math.log(2) / math.log(abs(phi)), rel=0.3)


def test_hurst() -> None:
    walk = np.cumsum(RNG.normal(size=5000))
    assert hurst(walk).value == pytest.approx(naive_pairs.hurst(walk.tolist()), rel=1e-9)
    assert hurst(walk).value == pytest.approx(0.5, abs=0.05)
    assert hurst(walk + np.arange(5000)).value == pytest.approx(0.5, abs=0.05), "drift is no persistence"
    assert hurst(reverting(0.5, 5000)).value < 0.2
    assert hurst(np.cumsum(walk)).value > 0.9


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=3, max_size=40), st.integers(2, 8))
def test_rolling_zscores(values: list[float], window: int) -> None:
    for ddof in (0, 1):
        zscores, codes = rolling_zscore(values, window, ddof=ddof)
        for t in range(window - 1, len(values)):
            rows = values[t - window + 1 : t + 1]
            if len(set(rows)) == 1:
                assert math.isnan(zscores[t])
                assert codes[t]
            else:
                assert zscores[t] == pytest.approx(naive_pairs.zscore(rows, ddof), abs=1e-9)


def test_the_correlation_of_a_pair_is_the_rolling_one() -> None:
    x = np.cumsum(RNG.normal(size=400))
    y = x + RNG.normal(size=400)
    np.testing.assert_array_equal(
        rolling_correlation(y, x, 30)[0], pair_series(y, x, 30, Method.OLS).correlation
    )


def test_the_radar_is_the_tests_of_each_pair() -> None:
    common = np.cumsum(RNG.normal(size=240))
    closes = np.stack(
        [
            100 + k * common + np.cumsum(RNG.normal(size=240)) * (k % 2) + RNG.normal(size=240)
            for k in range(1, 6)
        ]
    )
    closes[3, 100:110] = np.nan
    closes[4, :30] = np.nan
    scores = radar_scores(closes, 60)
    assert len(scores.i) == 10
    assert list(zip(scores.i.tolist(), scores.j.tolist(), strict=True)) == [
        (i, j) for i in range(5) for j in range(i + 1, 5)
    ]
    for k in range(10):
        y, x = closes[scores.i[k]], closes[scores.j[k]]
        both = np.isfinite(y) & np.isfinite(x)
        y, x = y[both], x[both]
        test = engle_granger(y, x)
        assert scores.reason[k] == 0
        assert scores.pvalue[k] == pytest.approx(test.pvalue, rel=1e-9)
        assert scores.hedge_ratio[k] == pytest.approx(test.hedge_ratio, rel=1e-12)
        spread = y - test.hedge_ratio * x
        assert scores.half_life[k] == pytest.approx(half_life(spread).value, rel=1e-8)
        assert scores.correlation[k] == pytest.approx(np.corrcoef(y[-60:], x[-60:])[0, 1], rel=1e-10)
        assert scores.zscore[k] == pytest.approx(naive_pairs.zscore(spread[-60:].tolist()), rel=1e-9)


def test_options_that_do_not_exist() -> None:
    series = reverting(0.5, 50)
    for wrong in ({"regression": "ctt"}, {"autolag": "hqic"}, {"max_lag": -1}):
        with pytest.raises(ValueError, match=r"one of|chosen by|not negative"):
            adf(series, **wrong)
    with pytest.raises(ValueError, match="one length"):
        engle_granger(series, series[1:])
    with pytest.raises(ValueError, match="one series"):
        hurst(np.ones((3, 3)))
    with pytest.raises(ValueError, match="instruments, bars"):
        radar_scores(series, 10)
    with pytest.raises(ValueError, match="at least 2"):
        radar_scores(np.ones((3, 3)), 1)
    with pytest.raises(ValueError, match="above ddof"):
        rolling_zscore(series, 1)
