"""Reading recorded bars: what the gateway and analytics ask of history.

Every function takes a connection of :func:`tapestream.common.db.engine.make_engine`'s engine:

>>> async with engine.connect() as connection:
...     number = await instrument_id(connection, InstrumentName("BTCUSDT", "binance_usdm"))
...     ts_ns, close = await closes(connection, number, "1m", limit=60)

Times are nanoseconds since 1970; a period includes its start and not its end. Rows come oldest first,
and where there are more than ``limit`` they are the newest ones of the period, unless
``oldest_first`` asks for the others. All raise sqlalchemy.exc.DBAPIError while the server is away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar, BarSource

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

_POSTGRES_EPOCH_US = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970: where Postgres counts times from."""
_BARS = """
    SELECT (extract(epoch FROM ts) * 1000000)::int8 * 1000 AS ts_ns,  -- exact: extract gives a decimal number
           open, high, low, close, volume, quote_volume, buy_volume, trades, first_id, last_id, rev, source
    FROM bars WHERE {where} ORDER BY ts {order} LIMIT :limit
"""
_CLOSES = """
    SELECT string_agg(timestamptz_send(ts), ''::bytea), string_agg(float8send(close), ''::bytea)
    FROM (SELECT ts, close FROM bars WHERE {where} ORDER BY ts {order} LIMIT :limit) AS page
"""
_SERIES = ["instrument_id = :instrument", "timeframe = :timeframe"]


async def instrument_id(connection: AsyncConnection, name: InstrumentName) -> int | None:
    """The instrument's number in the tables; None where history has nothing of it."""
    query = sa.text("SELECT id FROM instruments WHERE venue = :venue AND symbol = :symbol")
    return (await connection.execute(query, {"venue": name.venue, "symbol": name.symbol})).scalar()


async def bars(
    connection: AsyncConnection,
    name: InstrumentName,
    number: int,
    timeframe: str,
    *,
    limit: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
    oldest_first: bool = False,
) -> list[Bar]:
    """Complete bars of the instrument with this number."""
    where, values = _series(number, timeframe, start_ns, end_ns)
    query = _BARS.format(where=where, order="ASC" if oldest_first else "DESC")
    rows = (await connection.execute(sa.text(query), values | {"limit": limit})).all()
    found = [_bar(name, timeframe, row) for row in rows]
    return found if oldest_first else found[::-1]


async def closes(
    connection: AsyncConnection,
    number: int,
    timeframe: str,
    *,
    limit: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
    oldest_first: bool = False,
) -> tuple[Int64, Float64]:
    """Start times and closes of complete bars, as whole columns: a hundred thousand take some 50 ms."""
    where, values = _series(number, timeframe, start_ns, end_ns)
    query = _CLOSES.format(where=where, order="ASC" if oldest_first else "DESC")
    ts, close = (await connection.execute(sa.text(query), values | {"limit": limit})).one()
    if ts is None:
        return np.empty(0, np.int64), np.empty(0)
    step = 1 if oldest_first else -1
    return times_ns(ts)[::step], np.frombuffer(close, ">f8").astype(np.float64)[::step]


async def count_bars(
    connection: AsyncConnection, number: int, timeframe: str, start_ns: int | None, end_ns: int | None
) -> int:
    """How many complete bars a period has."""
    where, values = _series(number, timeframe, start_ns, end_ns)
    query = f"SELECT count(*) FROM bars WHERE {where}"  # noqa: S608 - our own words
    return (await connection.execute(sa.text(query), values)).scalar() or 0


def period(
    start_ns: int | None, end_ns: int | None, name: str = "period"
) -> tuple[list[str], dict[str, Any]]:
    """Conditions on ``ts`` and their values.

    A start is included, an end is not. Times are kept to the microsecond: both are rounded up.
    """
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for end, sign, ts_ns in (("start", ">=", start_ns), ("end", "<", end_ns)):
        if ts_ns is not None:
            conditions.append(f"ts {sign} to_timestamp(0) + :{name}_{end}_us * interval '1 microsecond'")
            values[f"{name}_{end}_us"] = -(-ts_ns // 1000)
    return conditions, values


def times_ns(raw: bytes) -> Int64:
    """Nanoseconds since 1970 of times in Postgres' own binary form, one behind the other."""
    return (np.frombuffer(raw, ">i8").astype(np.int64) + _POSTGRES_EPOCH_US) * 1000


def _series(
    number: int, timeframe: str, start_ns: int | None, end_ns: int | None
) -> tuple[str, dict[str, Any]]:
    conditions, values = period(start_ns, end_ns)
    return " AND ".join([*conditions, *_SERIES]), values | {"instrument": number, "timeframe": timeframe}


def _bar(name: InstrumentName, timeframe: str, row: Any) -> Bar:
    return Bar(
        venue=name.venue,
        symbol=name.symbol,
        timeframe=timeframe,
        ts_ns=row.ts_ns,
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        volume=row.volume,
        quote_volume=row.quote_volume,
        buy_volume=row.buy_volume,
        trades=row.trades,
        first_id=row.first_id,
        last_id=row.last_id,
        complete=True,
        rev=row.rev,
        source=BarSource(row.source),
    )
