"""Which bar stands, and which database errors are waited for."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestream.common.contracts.messages import Bar, BarSource
from tapestream.common.db.faults import is_passing
from tapestream.common.db.url import libpq_url, sqlalchemy_url
from tapestream.common.errors import SettingsError
from tapestream.ingest.recorder.core.bars import newest, problem, replaces


def bar(**fields: Any) -> Bar:
    values: dict[str, Any] = {
        "venue": "v", "symbol": "s", "timeframe": "1m", "ts_ns": 60_000_000_000, "open": 1.0, "high": 2.0,
        "low": 0.5, "close": 1.5, "volume": 1.0, "quote_volume": 1.0, "buy_volume": 0.5, "trades": 1,
        "first_id": 1, "last_id": 1, "complete": True,
    }  # fmt: skip
    return Bar(**(values | fields))


bars = st.builds(
    lambda rev, source, ts: bar(rev=rev, source=source, ts_ns=ts * 60_000_000_000),
    st.integers(0, 3), st.sampled_from(BarSource), st.integers(0, 1),
)  # fmt: skip


@given(st.lists(bars))
def test_one_bar_of_each_interval_and_none_replaces_it(some: list[Bar]) -> None:
    kept = newest(some)
    assert len({one.ts_ns for one in kept}) == len(kept) == len({one.ts_ns for one in some})
    assert not any(replaces(new, old) for old in kept for new in some if new.ts_ns == old.ts_ns)


@pytest.mark.parametrize(
    "fields",
    [
        {"timeframe": "7s"}, {"ts_ns": 1}, {"ts_ns": -60_000_000_000}, {"high": float("inf")}, {"low": 1.2},
        {"volume": float("nan")}, {"symbol": ""}, {"ts_ns": 60_000_000_000 << 70},
    ],
)  # fmt: skip
def test_bars_that_cannot_be(fields: dict[str, Any]) -> None:
    assert problem(bar()) is None
    assert problem(bar(**fields))


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.OutOfMemory(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.IoError(), True),
        (psycopg.errors.ReadOnlySqlTransaction(), True),
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (ConnectionRefusedError(), True),
        (psycopg.OperationalError('FATAL: password authentication failed for user "x"'), False),
        (psycopg.errors.NumericValueOutOfRange(), False),
        (psycopg.errors.UndefinedTable(), False),
        (ValueError(), False),
    ],
)
def test_errors_that_are_waited_for(error: BaseException, passing: bool) -> None:
    assert is_passing(error) is passing


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_database_url_in_all_its_forms(scheme: str) -> None:
    assert libpq_url(f"{scheme}://u:p@h:1/d") == "postgresql://u:p@h:1/d"
    assert sqlalchemy_url(f"{scheme}://u:p@h:1/d") == "postgresql+psycopg://u:p@h:1/d"


def test_another_database_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError, match="postgresql://") as caught:
        libpq_url("mysql://u:secret@h/d")
    assert "secret" not in str(caught.value)
