"""Published tables, digit by digit."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tapestream.quant.lines import huber_regression, kalman, ols, theil_sen
from tapestream.quant.pairs import adf, engle_granger
from tapestream.quant.rolling import rolling_correlation, rolling_zscore
from tests.naive_pairs import huber_regression_like_r
from tests.unit.quant.published import columns, joined, reference, yahoo


def test_ols_has_the_certified_digits_of_norris() -> None:
    norris = reference("nist_strd_norris")
    line = ols(norris["y"], norris["x"])
    certified = norris["certified"]
    assert line.slope == pytest.approx(certified["B1"], rel=1e-14)
    assert line.intercept == pytest.approx(certified["B0"], rel=1e-13)
    assert line.slope_error == pytest.approx(certified["sd_B1"], rel=1e-12)
    assert line.intercept_error == pytest.approx(certified["sd_B0"], rel=1e-13)
    assert line.r_squared == pytest.approx(certified["R2"], rel=1e-15)


def test_huber_is_that_of_r_on_stackloss() -> None:
    """R stops in its ninth round, at a change of 1e-4; where that comes to rest lies 5e-5 further on."""
    result = reference("huber_stackloss_R_MASS_rlm")["result"]
    data = columns("stackloss")
    y = data["STACKLOSS"]
    design = np.column_stack([data[name] for name in ("AIRFLOW", "WATERTEMP", "ACIDCONC")] + [np.ones(21)])
    fit = huber_regression(y, design, tolerance=1e-4)
    assert fit.reason is None
    np.testing.assert_allclose(fit.coefficients, result["params"], rtol=0, atol=1e-8)
    np.testing.assert_allclose(fit.weights, result["weights"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(y - design @ fit.coefficients, result["resid"], rtol=0, atol=1e-7)
    assert fit.scale == pytest.approx(result["scale"], rel=1e-12)

    fit = huber_regression(y, design)
    assert fit.reason is None
    coefficients, weights, scale = huber_regression_like_r(y, design, stop=1e-13)
    np.testing.assert_allclose(fit.coefficients, coefficients, rtol=1e-8)
    np.testing.assert_allclose(fit.weights, weights, rtol=1e-8)
    assert fit.scale == pytest.approx(scale, rel=1e-8)


def test_theil_sen_is_sens_own_example() -> None:
    sen = reference("theilsen_sen1968")
    y, x = np.array(sen["y"], dtype=float), np.array(sen["x"], dtype=float)
    line = theil_sen(y, x)
    assert line.slope == sen["slope"]
    assert line.intercept == sen["intercept_separate_(median y - slope*median x)"]
    assert np.median(y - line.slope * x) == sen["intercept_joint_(median of y - slope*x)"]
    for small in sen["also"]:
        line = theil_sen(small["y"], small["x"])
        assert (line.slope, line.intercept) == (small["slope"], small["intercept_separate"])


def test_adf_is_that_of_stata() -> None:
    stata = reference("adf_macrodata_stata")
    data = columns("macrodata")
    for case in stata["cases"]:
        series = data[case["series"]]
        result = adf(series, regression=case["regression"], max_lag=case["lags"], autolag=None)
        assert result.reason is None
        assert result.lags == case["lags"]
        assert result.observations == len(series) - 1 - case["lags"]
        assert result.statistic == pytest.approx(case["stat"], abs=1e-5)
        assert result.pvalue == pytest.approx(case["p"], abs=1e-5)
        assert list(result.critical_values) == ["1%", "5%", "10%"]
        np.testing.assert_allclose(
            list(result.critical_values.values()), case["crit_1_5_10"], rtol=0, atol=1.5e-2
        )


def test_a_kalman_filter_without_noise_is_the_recursive_least_squares_of_r() -> None:
    data, expected = columns("macrodata"), columns("kalman_static_rls_R")
    lines = kalman(data["cpi"], data["m1"], process_noise=0.0)
    np.testing.assert_allclose(lines.slope[2:], expected["beta2"], rtol=1e-9)
    np.testing.assert_allclose(lines.intercept[2:], expected["beta1"], rtol=1e-9)


def test_rolling_zscore_of_the_population() -> None:
    table = reference("rolling_zscore_window5")
    zscores, codes = rolling_zscore(table["values"], table["window"], ddof=0)
    expected = np.array([np.nan if value is None else value for value in table["expected"]])
    np.testing.assert_allclose(zscores, expected, rtol=0, atol=2e-9)
    np.testing.assert_array_equal(codes != 0, np.isnan(expected))


def test_correlation_and_deviation_are_those_of_ta_lib() -> None:
    regtest = reference("talib_regtest")
    series = {name: np.array(values, dtype=float) for name, values in regtest["series"].items()}
    for case in regtest["expected"]["CORREL"]:
        found = re.fullmatch(r"CORREL\((\w+), (\w+), 252, (\d+)\)\[(-?\d+)\]", case["expr"])
        assert found
        values, _ = rolling_correlation(series[found[1]], series[found[2]], int(found[3]))
        assert values[int(found[4])] == pytest.approx(case["value"], abs=1e-7)
    for case in regtest["expected"]["STDDEV"]:
        found = re.fullmatch(r"STDDEV\((\w+), 252, ([\d.]+), ([\d.]+)\)\[(-?\d+)\]", case["expr"])
        assert found
        window, at = int(float(found[2])), int(found[4])
        close = series[found[1]]
        zscores, _ = rolling_zscore(close, window, ddof=0)
        end = at % len(close) + 1
        deviation = float(found[3]) * (close[at] - close[end - window : end].mean()) / zscores[at]
        assert deviation == pytest.approx(case["value"], abs=0.5 * 10.0 ** -case["decimals"])


def test_gold_and_its_miners_are_cointegrated_as_chan_found() -> None:
    days = ("2006-05-23", "2007-11-30")
    y, x = joined(yahoo("gld", *days), yahoo("gdx", *days))
    assert len(y) == 385
    result = engle_granger(y, x)
    assert result.reason is None
    assert result.statistic == pytest.approx(-3.69923, abs=1e-5)
    assert result.pvalue == pytest.approx(0.01837, abs=1e-5)
