from __future__ import annotations

import pytest

from tapestream.gateway.core.times import iso_utc, parse_instant

TEN = 1_714_557_600_000_000_000


@pytest.mark.parametrize(
    ("ts_ns", "text"),
    [
        (TEN, "2024-05-01T10:00:00.000Z"),
        (TEN + 123_000_000, "2024-05-01T10:00:00.123Z"),
        (TEN + 123_456_000, "2024-05-01T10:00:00.123456Z"),
        (TEN + 123_456_789, "2024-05-01T10:00:00.123456789Z"),
    ],
)
def test_written_as_precisely_as_needed_and_read_back(ts_ns: int, text: str) -> None:
    assert iso_utc(ts_ns) == text
    assert parse_instant(text) == ts_ns


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01T10:00:00",
        "2024-05-01 10:00",
        "2024-05-01T12:00:00+02:00",
        "2024-05-01T12:00:00 02:00",
        "1714557600",
        "1714557600.0",
        "1714557600000",
    ],
)
def test_many_forms_of_one_instant(text: str) -> None:
    assert parse_instant(text) == TEN


@pytest.mark.parametrize(
    "text", ["", "yesterday", "-5", "99999999999999999999", "2024-13-01", "1e9", "0001-01-01"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        parse_instant(text)
