"""A million rows leave no error behind, wherever the prices lie and whatever has passed through."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tapestream.quant.pairs import Method, PairStream, pair_series
from tests import naive_pairs

Column = NDArray[np.float64]
ROWS = 1_000_000


def prices(offset: float, outlier: float) -> tuple[Column, Column]:
    """Noisy pair about ``offset``; one row in the middle is far off."""
    rng = np.random.default_rng(11)
    x = offset + np.sin(np.arange(ROWS) / 500) + rng.normal(size=ROWS)
    y = 2.0 * (x - offset) + offset + rng.normal(size=ROWS)
    y[ROWS // 2 + 7] += outlier
    x[ROWS // 2 + 7] -= outlier
    return y, x


def assert_exact(y: Column, x: Column, window: int, t: int, found: tuple[float, ...]) -> None:
    """The figures of row t against exact fractions, within 1e-9 of the window's scale."""
    ys, xs = y[t - window + 1 : t + 1], x[t - window + 1 : t + 1]
    slope, level = naive_pairs.ols(ys.tolist(), xs.tolist())
    scale = float(np.std(ys) / np.std(xs))
    assert found[0] == pytest.approx(slope, abs=1e-9 * scale)
    assert found[1] == pytest.approx(level, abs=1e-9 * float(np.max(np.abs(ys)) + scale * np.max(np.abs(xs))))
    assert found[2] == y[t] - found[0] * x[t]
    assert found[4] == pytest.approx(naive_pairs.correlation(ys.tolist(), xs.tolist()), abs=1e-9)


@pytest.mark.parametrize("window", [60, 3000])
@pytest.mark.parametrize(("offset", "outlier"), [(0.0, 0.0), (1e8, 0.0), (100.0, 1e13), (1e8, 1e15)])
def test_a_million_rows(window: int, offset: float, outlier: float) -> None:
    y, x = prices(offset, outlier)
    series = pair_series(y, x, window)
    gone = ROWS // 2 + 7 + window  # the first row whose window no longer holds the outlier
    for t in (window - 1, gone, gone + 1, gone + window // 2, ROWS - 2, ROWS - 1):
        row = (
            series.hedge_ratio[t],
            series.intercept[t],
            series.spread[t],
            series.zscore[t],
            series.correlation[t],
        )
        assert_exact(y, x, window, t, row)
    for t in (2 * window - 2, gone + window, ROWS - 1):
        spreads = series.spread[t - window + 1 : t + 1].tolist()
        assert series.zscore[t] == pytest.approx(naive_pairs.zscore(spreads), abs=1e-9)
    assert not series.reason[2 * window - 2 : ROWS // 2 + 7].any()
    assert not series.reason[gone + window :].any()


def test_a_million_updates_of_a_stream() -> None:
    y, x = prices(1e8, 1e12)
    stream = PairStream(60)
    point = None
    for row in zip(y.tolist(), x.tolist(), strict=True):
        point = stream.update(*row)
    assert point is not None
    assert_exact(y, x, 60, ROWS - 1, point[:5])
    series = pair_series(y, x, 60)
    assert (point.hedge_ratio, point.zscore) == (series.hedge_ratio[-1], series.zscore[-1])


def test_total_least_squares_far_from_zero() -> None:
    y, x = prices(1e8, 1e12)
    series = pair_series(y, x, 500, Method.TLS)
    slope = naive_pairs.tls(y[-500:].tolist(), x[-500:].tolist())
    assert series.hedge_ratio[-1] == pytest.approx(slope, rel=1e-9)


def test_a_filter_that_has_seen_a_million_rows_still_follows() -> None:
    y, x = prices(100.0, 0.0)
    y[-1000:] = 3.0 * x[-1000:] + 5
    series = pair_series(y, x, 60, Method.KALMAN)
    assert series.hedge_ratio[-1] * 100 + series.intercept[-1] == pytest.approx(305, abs=0.5)
