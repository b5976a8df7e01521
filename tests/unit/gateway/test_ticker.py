"""The ticker against all trades of the window, looked at one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestream.gateway.core.ticker import MINUTE_NS, WINDOW_MINUTES, Ticker

steps = st.tuples(
    st.one_of(
        st.integers(-2 * MINUTE_NS, 3 * MINUTE_NS),
        st.integers(-2, 2).map(lambda n: (WINDOW_MINUTES + n) * MINUTE_NS),
    ),
    st.integers(1, 99_999).map(lambda cents: cents / 100),
    st.integers(1, 999).map(lambda mils: mils / 1000),
)


@given(st.lists(steps, min_size=1, max_size=60))
def test_figures_are_those_of_the_last_day(course: list[tuple[int, float, float]]) -> None:
    ticker, seen = Ticker(), []
    now_ns, running = 10**9 * MINUTE_NS, -1
    for step, price, qty in course:
        now_ns += step
        running = max(running, now_ns // MINUTE_NS)  # late trades count in the running minute
        ticker.add(now_ns, price, qty)
        seen.append((running, price, qty))
        inside = [one for one in seen if one[0] > running - WINDOW_MINUTES]
        prices = [one[1] for one in inside]
        figures = ticker.figures()
        assert figures is not None
        assert (figures["openPrice"], figures["lastPrice"]) == (prices[0], prices[-1])
        assert (figures["highPrice"], figures["lowPrice"]) == (max(prices), min(prices))
        assert figures["volume"] == pytest.approx(math.fsum(one[2] for one in inside))
        assert figures["quoteVolume"] == pytest.approx(math.fsum(p * q for _, p, q in inside))
        assert figures["priceChange"] == pytest.approx(prices[-1] - prices[0])
        assert figures["windowMinutes"] == running - inside[0][0] + 1


def test_no_figures_before_the_first_trade() -> None:
    assert Ticker().figures() is None
