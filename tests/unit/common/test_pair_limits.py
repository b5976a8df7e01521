"""How much work may be asked for."""

from __future__ import annotations

import pytest

from tapestream.common.contracts.pair_limits import (
    LARGEST_WINDOW,
    METHODS,
    largest_watched_window,
    largest_window,
    method_named,
    most_rows,
)


def test_methods_have_many_spellings() -> None:
    assert [method_named(text) for text in ("Theil_Sen", "theilsen", " OLS ", "magic")] == [
        "theil-sen",
        "theil-sen",
        "ols",
        None,
    ]


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_window_can_be_asked_for(method: str) -> None:
    largest = largest_window(method)
    assert most_rows(method, largest, 4_000) >= 1
    assert 2 <= largest_watched_window(method) <= largest <= LARGEST_WINDOW
    assert most_rows(method, 60, 4_000) == 4_000


def test_slow_methods_have_bounds() -> None:
    assert largest_watched_window("theil-sen") == largest_watched_window("huber") == 500
    assert 1_000 < largest_window("theil-sen") < largest_window("huber") < LARGEST_WINDOW
    assert most_rows("theil-sen", 1_000, 4_000) == 2_000
    assert most_rows("kalman", LARGEST_WINDOW, 4_000) == 4_000
