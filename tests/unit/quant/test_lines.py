"""Lines through any rows equal their naive twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapestream.quant.kernels.selection import median, select
from tapestream.quant.kernels.slope_selection import _slope_of_rank, select_slopes
from tapestream.quant.lines import huber, kalman, theil_sen, total_least_squares
from tapestream.quant.reasons import Reason
from tests import naive_pairs

FEW = st.integers(-5, 5).map(float)
PRICES = st.floats(0.01, 1e5).map(lambda value: round(value, 2))
ROWS = st.lists(st.tuples(FEW, FEW), min_size=3, max_size=60) | st.lists(
    st.tuples(PRICES, PRICES), min_size=3, max_size=60
)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_the_median_slope_is_exact_however_it_is_found(rows: list[tuple[float, float]]) -> None:
    y, x = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if len(set(x.tolist())) == 1:
        assert math.isnan(select_slopes(y, x))
        assert theil_sen(y, x).reason is Reason.CONSTANT
        return
    expected = naive_pairs.theil_sen(y.tolist(), x.tolist())
    assert theil_sen(y, x).slope == expected
    assert select_slopes(y, x) == expected


@settings(max_examples=50, deadline=None)
@given(ROWS, st.data())
def test_each_rank_of_the_slopes(rows: list[tuple[float, float]], data: st.DataObject) -> None:
    y, x = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    slopes = sorted(
        (y[j] - y[i]) / (x[j] - x[i]) for i in range(len(x)) for j in range(i + 1, len(x)) if x[i] != x[j]
    )
    if slopes:
        rank = data.draw(st.integers(0, len(slopes) - 1))
        assert _slope_of_rank(y, x, rank) == slopes[rank]


@settings(max_examples=100, deadline=None)
@given(st.lists(FEW | PRICES, min_size=1, max_size=50), st.data())
def test_selection(values: list[float], data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, len(values) - 1))
    assert select(np.array(values), rank) == sorted(values)[rank]
    assert median(np.array(values)) == np.median(values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PRICES, PRICES), min_size=5, max_size=40))
def test_total_least_squares(rows: list[tuple[float, float]]) -> None:
    y, x = [row[0] for row in rows], [row[1] for row in rows]
    line = total_least_squares(y, x)
    if line.reason is not None:
        assert len(set(x)) == 1 or line.reason is Reason.NO_SLOPE
        return
    _, _, syy, sxx, sxy = naive_pairs.moments(y, x)
    if abs(float(sxy)) > 1e-6 * float(sxx + syy):
        assert line.slope == pytest.approx(naive_pairs.tls(y, x), rel=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 60))
def test_huber(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    x = 50 + np.cumsum(rng.normal(size=rows))
    y = 3 * x - 7 + rng.standard_t(2, size=rows)
    line = huber(y, x)
    slope, level = naive_pairs.huber(y.tolist(), x.tolist())
    assert line.slope == pytest.approx(slope, rel=1e-6)
    assert line.intercept == pytest.approx(level, rel=1e-5, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-6, 1e-2, 1.0]))
def test_kalman(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    x = 1000 + np.cumsum(rng.normal(size=60))
    y = 0.7 * x + 12 + rng.normal(size=60)
    lines = kalman(y, x, process_noise=noise)
    expected = naive_pairs.kalman(y.tolist(), x.tolist(), noise)
    np.testing.assert_allclose(lines.slope[2:], [row[0] for row in expected[2:]], rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="not negative"):
        kalman(y, x, process_noise=-1.0)
