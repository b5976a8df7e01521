"""A pair's stream equals its series, and both equal the naive twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapestream.quant.pairs import REASONS, Method, PairPoint, PairSeries, PairStream, Reason, pair_series
from tests import naive_pairs

METHODS = list(Method)
WHOLE_NUMBERS = st.integers(-(10**6), 10**6).map(float)
PRICES = st.floats(0.01, 1e6).map(lambda value: round(value, 2))


def some_pair(rows: int, seed: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    x = 100 + np.cumsum(rng.normal(size=rows))
    return 2.5 * x + 30 + rng.normal(size=rows) * rng.choice([1, 8], p=[0.9, 0.1], size=rows), x


def points(series: PairSeries) -> list[PairPoint]:
    columns = (series.hedge_ratio, series.intercept, series.spread, series.zscore, series.correlation)
    rows = zip(*(column.tolist() for column in columns), series.reason.tolist(), strict=True)
    return [PairPoint(*row[:5], REASONS[row[5]]) for row in rows]


def assert_same(left: list[PairPoint], right: list[PairPoint]) -> None:
    """Bit by bit; repr tells all floats apart, and NaN equals itself."""
    assert list(map(repr, left)) == list(map(repr, right))


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("window", [2, 3, 17, 60])
def test_a_stream_is_its_series(method: Method, window: int, intercept: bool) -> None:
    y, x = some_pair(200)
    y[70] = np.nan
    stream = PairStream(window, method, intercept=intercept)
    found = [stream.update(*row) for row in zip(y, x, strict=True)]
    assert_same(found, points(pair_series(y, x, window, method, intercept=intercept)))


@pytest.mark.parametrize("method", METHODS)
def test_a_peek_says_what_the_update_would_and_changes_nothing(method: Method) -> None:
    y, x = some_pair(150)
    stream, other = PairStream(20, method), PairStream(20, method)
    for row in zip(y, x, strict=True):
        before = stream.dump()
        stream.peek(1e9, -3.0)
        stream.peek(math.nan, 1.0)
        seen = stream.peek(*row)
        assert stream.dump() == before
        assert_same([seen], [stream.update(*row)])
        assert_same([seen], [other.update(*row)])


@pytest.mark.parametrize("method", METHODS)
def test_a_snapshot_goes_on_bit_by_bit(method: Method) -> None:
    y, x = some_pair(130)
    x[40] = math.inf
    rows = list(zip(y.tolist(), x.tolist(), strict=True))
    stream = PairStream(19, method)
    for at, row in enumerate(rows):
        if at in (0, 5, 18, 19, 38, 39, 57, 76, 95):
            copy = PairStream.load(stream.dump())
            assert (copy.window, copy.method) == (19, method)
            assert_same(
                [copy.update(*later) for later in rows[at:]], points(pair_series(y, x, 19, method))[at:]
            )
        stream.update(*row)


def test_bytes_that_are_no_snapshot_are_refused() -> None:
    data = PairStream(5).dump()
    for wrong in (b"", b"x", data[:-1], data[:-8], data + bytes(8), b"XXXX" + data[4:], data[:20]):
        with pytest.raises(ValueError, match="snapshot"):
            PairStream.load(wrong)


@pytest.mark.parametrize("method", METHODS)
def test_every_figure_is_what_the_words_say(method: Method) -> None:
    window = 12
    y, x = some_pair(60)
    series = pair_series(y, x, window, method)
    kalman = naive_pairs.kalman(y.tolist(), x.tolist(), 1e-4)
    for t in range(60):
        ys, xs = y[max(0, t - window + 1) : t + 1].tolist(), x[max(0, t - window + 1) : t + 1].tolist()
        if t < window - 1:
            assert np.isnan([series.hedge_ratio[t], series.spread[t], series.correlation[t]]).all()
            assert REASONS[series.reason[t]] is Reason.TOO_SHORT
            continue
        expected = {
            Method.OLS: lambda ys=ys, xs=xs: naive_pairs.ols(ys, xs)[0],
            Method.TLS: lambda ys=ys, xs=xs: naive_pairs.tls(ys, xs),
            Method.HUBER: lambda ys=ys, xs=xs: naive_pairs.huber(ys, xs)[0],
            Method.THEIL_SEN: lambda ys=ys, xs=xs: naive_pairs.theil_sen(ys, xs),
            Method.KALMAN: lambda t=t: kalman[t][0],
        }[method]()
        assert series.hedge_ratio[t] == pytest.approx(expected, rel=1e-8)
        assert series.spread[t] == y[t] - series.hedge_ratio[t] * x[t]
        assert series.correlation[t] == pytest.approx(naive_pairs.correlation(ys, xs), rel=1e-12)
        if t < 2 * window - 2:
            assert np.isnan(series.zscore[t])
            assert REASONS[series.reason[t]] is Reason.TOO_SHORT
        else:
            spreads = series.spread[t - window + 1 : t + 1].tolist()
            assert series.zscore[t] == pytest.approx(naive_pairs.zscore(spreads), rel=1e-9)
            assert series.reason[t] == 0


def test_the_kalman_intercept_is_that_of_the_textbook() -> None:
    y, x = some_pair(80)
    series = pair_series(y, x, 10, Method.KALMAN)
    expected = naive_pairs.kalman(y.tolist(), x.tolist(), 1e-4)
    np.testing.assert_allclose(series.intercept[9:], [level for _, level in expected[9:]], rtol=1e-8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(WHOLE_NUMBERS | PRICES, WHOLE_NUMBERS | PRICES), min_size=6, max_size=40),
    st.integers(2, 9),
)
def test_any_prices(rows: list[tuple[float, float]], window: int) -> None:
    """Where a figure is given it is right; where none is given there is a reason that holds."""
    y, x = [row[0] for row in rows], [row[1] for row in rows]
    for intercept in (True, False):
        series = pair_series(y, x, window, intercept=intercept)
        for t in range(window - 1, len(rows)):
            ys, xs = y[t - window + 1 : t + 1], x[t - window + 1 : t + 1]
            reason = REASONS[series.reason[t]]
            if math.isnan(series.hedge_ratio[t]):
                assert reason is Reason.CONSTANT
                assert len(set(xs)) == 1
                continue
            if intercept:
                expected, scale = naive_pairs.ols(ys, xs)[0], (max(ys) - min(ys)) / (max(xs) - min(xs))
            else:
                expected, scale = (
                    naive_pairs.ols_through_origin(ys, xs),
                    max(map(abs, ys)) / max(map(abs, xs)),
                )
            assert series.hedge_ratio[t] == pytest.approx(expected, rel=1e-12, abs=1e-12 * scale)
            if math.isnan(series.correlation[t]):
                assert len(set(xs)) == 1 or len(set(ys)) == 1
                assert reason is Reason.CONSTANT
            else:
                assert series.correlation[t] == pytest.approx(naive_pairs.correlation(ys, xs), abs=1e-12)
            assert (reason is None) == (not math.isnan(series.zscore[t] + series.correlation[t]))


@pytest.mark.parametrize(
    "text", ["ols", "OLS", " Huber ", "Theil-Sen", "theilsen", "THEIL_SEN", "theil sen", "Kalman", "tls"]
)
def test_methods_are_read_in_any_case(text: str) -> None:
    assert Method.parse(text).value == {"theilsen": "theil-sen"}.get(
        plain := text.strip().lower().replace("-", "").replace("_", "").replace(" ", ""), plain
    )


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="ols, huber, theil-sen, kalman, tls"):
        Method.parse("ridge")
    with pytest.raises(ValueError, match="at least 2"):
        PairStream(1)
    with pytest.raises(ValueError, match="at least 2"):
        pair_series([1.0], [2.0], 0)
    with pytest.raises(ValueError, match="one length"):
        pair_series([1.0, 2.0], [2.0], 3)
