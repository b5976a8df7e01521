"""Timeframes: whole parts of a day, aligned to midnight UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapestream.common.contracts.timeframes import DAY_NS, bar_start_ns, timeframe_ns

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("timeframe", "seconds"),
    [
        ("1s", 1),
        ("5s", 5),
        ("60s", 60),
        ("1m", 60),
        ("15m", 900),
        ("1h", 3600),
        ("24h", 86400),
        ("1d", 86400),
    ],
)
def test_lengths(timeframe: str, seconds: int) -> None:
    assert timeframe_ns(timeframe) == seconds * SECOND_NS


@pytest.mark.parametrize(
    "timeframe",
    [
        "",
        "1",
        "m",
        "0m",
        "01m",
        "7m",
        "5h",
        "2d",
        "1w",
        "1M",
        "-1m",
        "1.5m",
        " 1m",
        "1m ",
        "1m\n",
        "86400s",
        "١m",
    ],
)
def test_what_does_not_divide_a_day_is_refused(timeframe: str) -> None:
    with pytest.raises(ValueError, match="timeframe"):
        timeframe_ns(timeframe)


@pytest.mark.parametrize("timeframe", ["1s", "5m", "4h", "1d"])
def test_bars_start_at_the_same_instants_every_day(timeframe: str) -> None:
    length = timeframe_ns(timeframe)
    midnight = int(datetime(2024, 5, 1, tzinfo=UTC).timestamp()) * SECOND_NS

    for start in (midnight, midnight + DAY_NS, midnight + DAY_NS - length):
        assert bar_start_ns(start, length) == start
        assert bar_start_ns(start + length - 1, length) == start
        assert bar_start_ns(start - 1, length) == start - length
