"""History from Postgres.

Trades come as bytes of whole columns (``string_agg`` over the types' own binary form), which numpy
reads without looking at rows: ten thousand of them block the loop for less than a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.db import history
from tapestream.common.db.engine import make_engine
from tapestream.common.db.faults import describe
from tapestream.common.db.history import period, times_ns
from tapestream.common.errors import NotConnectedError
from tapestream.gateway.core.columns import Float64, Int64, TradeColumns, make_columns, no_trades

_TRADE_COLUMNS = """
    SELECT string_agg(int8send(id), ''::bytea), string_agg(timestamptz_send(ts), ''::bytea),
           string_agg(float8send(price), ''::bytea), string_agg(float8send(qty), ''::bytea),
           string_agg(boolsend(buyer_maker), ''::bytea), string_agg(int2send(kind), ''::bytea)
    FROM (SELECT id, ts, price, qty, buyer_maker, kind FROM trades
          WHERE {where} ORDER BY id {order} LIMIT :limit) AS page
"""
_QUOTE_COLUMNS = """
    SELECT string_agg(int8send(id), ''::bytea), string_agg(timestamptz_send(ts), ''::bytea),
           string_agg(float8send(bid), ''::bytea), string_agg(float8send(bid_qty), ''::bytea),
           string_agg(float8send(ask), ''::bytea), string_agg(float8send(ask_qty), ''::bytea)
    FROM (SELECT id, ts, bid, bid_qty, ask, ask_qty FROM quotes
          WHERE {where} ORDER BY ts, id LIMIT :limit) AS page
"""
_OWN = "instrument_id = :instrument"
_NONE = "SELECT 0::int8 AS rows"


AWAY: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, OSError)
"""What reading raises while the server is away."""


def away_text(error: Exception) -> str:
    """One line without connection strings."""
    return describe(getattr(error, "orig", None) or error)


class NoDatabaseError(NotConnectedError):
    """No database is configured."""


class History:
    """Reads of the recorder's tables. All methods raise sqlalchemy errors while the server is away."""

    def __init__(self, url: str, pool_size: int) -> None:
        self._engine: AsyncEngine | None = (
            make_engine(url, "tapestream gateway", size=pool_size) if url else None
        )
        self._ids: dict[str, int] = {}

    @property
    def configured(self) -> bool:
        return self._engine is not None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """A pooled connection. Raises NoDatabaseError where DATABASE_URL is empty."""
        if self._engine is None:
            raise NoDatabaseError("no database is configured: set DATABASE_URL")
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """A pooled connection on which each statement is a transaction of its own."""
        async with self.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()

    def pool_state(self) -> dict[str, int]:
        """Connections in use and idle."""
        pool = self._engine.pool if self._engine is not None else None
        if not isinstance(pool, QueuePool):
            return {"in_use": 0, "idle": 0}
        return {"in_use": pool.checkedout(), "idle": pool.checkedin()}

    async def ping(self) -> float:
        """Seconds that a trivial query takes."""
        began = time.perf_counter()
        async with self.connect() as connection:
            await connection.execute(sa.text("SELECT 1"))
        return time.perf_counter() - began

    # --- instruments

    async def instrument_id(self, name: InstrumentName) -> int | None:
        """The instrument's number in the tables; None where history has nothing of it."""
        known = self._ids.get(str(name))
        if known is not None:
            return known
        async with self.connect() as connection:
            found = await history.instrument_id(connection, name)
        if found is not None:
            self._ids[str(name)] = found
        return found

    # --- trades

    async def recorded_up_to(self, instrument_id: int) -> int:
        """Id of the newest trade that the recorder has written from the live stream, -1 before the first."""
        query = sa.text("SELECT id FROM trade_heads WHERE instrument_id = :id")
        async with self.connect() as connection:
            return (await connection.execute(query, {"id": instrument_id})).scalar() or -1

    async def trades(
        self,
        instrument_id: int,
        *,
        limit: int,
        before_id: int | None = None,
        after_id: int | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        oldest_first: bool = False,
    ) -> TradeColumns:
        """At most ``limit`` trades, the newest ones unless ``oldest_first``; ascending ids either way."""
        conditions, values = period(start_ns, end_ns)
        conditions.append("instrument_id = :instrument")
        values |= {"instrument": instrument_id, "limit": limit}
        if before_id is not None:
            conditions.append("id < :before")
            values["before"] = before_id
        if after_id is not None:
            conditions.append("id > :after")
            values["after"] = after_id
        query = _TRADE_COLUMNS.format(where=" AND ".join(conditions), order="ASC" if oldest_first else "DESC")
        async with self.connect() as connection:
            row = (await connection.execute(sa.text(query), values)).one()
        columns = _trade_columns(row)
        return columns if oldest_first else _reversed(columns)

    async def count_rows(
        self, table: str, instrument_id: int, before_id: int | None, start_ns: int | None, end_ns: int | None
    ) -> int:
        """How many trades or quotes of a period there are below an id; ``table`` says which.

        Whole days are counted by the recorder; only what a period takes of its first and last day,
        and what lies above the id, is counted here.
        """
        values: dict[str, Any] = {"instrument": instrument_id, "table": table}
        first = None if start_ns is None else -(-start_ns // DAY_NS)
        last = None if end_ns is None else end_ns // DAY_NS
        counted, edges = "", [(start_ns, end_ns)]
        if first is None or last is None or first < last:
            counted = f"SELECT rows FROM day_counts WHERE {_days(first, last, values)} UNION ALL "  # noqa: S608 - our own words
            edges = [(start_ns, first * DAY_NS)] if start_ns is not None and first is not None else []
            edges += [(last * DAY_NS, end_ns)] if end_ns is not None and last is not None else []
        parts: list[str] = []
        for number, edge in enumerate(edges):
            conditions, bounds = period(*edge, name=f"edge{number}")
            parts.append(_counting(table, "", conditions))
            values |= bounds
        if before_id is not None:
            conditions, bounds = period(start_ns, end_ns)
            parts.append(_counting(table, "-", ["id >= :before", *conditions]))
            values |= bounds | {"before": before_id}
        # one statement: all parts are of one moment
        query = f"SELECT sum(rows)::int8 FROM ({counted}{' UNION ALL '.join([_NONE, *parts])}) AS parts"  # noqa: S608 - our own words
        async with self.connect() as connection:
            return (await connection.execute(sa.text(query), values)).scalar() or 0

    # --- quotes

    async def quote_days(self, instrument_id: int) -> tuple[int, int] | None:
        """Begin of the first and end of the last day that an instrument has quotes of; None where it has none."""
        query = sa.text(
            "SELECT min(day) - date '1970-01-01', max(day) - date '1970-01-01' FROM day_counts "
            "WHERE table_name = 'quotes' AND instrument_id = :instrument AND rows > 0"
        )
        async with self.connect() as connection:
            first, last = (await connection.execute(query, {"instrument": instrument_id})).one()
        return None if first is None else (first * DAY_NS, (last + 1) * DAY_NS)

    async def quotes(
        self, instrument_id: int, start_ns: int, end_ns: int, limit: int, after: tuple[int, int] | None = None
    ) -> tuple[Int64, Int64, list[Float64]] | None:
        """Ids, times and (bid, bid_qty, ask, ask_qty) of a short period, oldest first; None where there are none.

        At most ``limit``, those behind the time and id ``after``.
        """
        conditions, values = period(start_ns, end_ns)
        if after is not None:
            conditions.append(
                "(ts, id) > (to_timestamp(0) + :after_us * interval '1 microsecond', :after_id)"
            )
            values |= {"after_us": after[0] // 1000, "after_id": after[1]}
        query = _QUOTE_COLUMNS.format(where=" AND ".join([*conditions, _OWN]))
        values |= {"instrument": instrument_id, "limit": limit}
        async with self.connect() as connection:
            row = (await connection.execute(sa.text(query), values)).one()
        if row[0] is None:
            return None
        return (
            np.frombuffer(row[0], ">i8").astype(np.int64),
            times_ns(row[1]),
            [np.frombuffer(one, ">f8").astype(np.float64) for one in row[2:]],
        )

    # --- bars

    async def bars(
        self,
        name: InstrumentName,
        instrument_id: int,
        timeframe: str,
        *,
        limit: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        oldest_first: bool = False,
    ) -> list[Bar]:
        """At most ``limit`` complete bars, the newest ones unless ``oldest_first``; oldest first either way."""
        async with self.connect() as connection:
            return await history.bars(
                connection,
                name,
                instrument_id,
                timeframe,
                limit=limit,
                start_ns=start_ns,
                end_ns=end_ns,
                oldest_first=oldest_first,
            )

    async def count_bars(
        self, instrument_id: int, timeframe: str, start_ns: int | None, end_ns: int | None
    ) -> int:
        """How many complete bars of a period there are."""
        async with self.connect() as connection:
            return await history.count_bars(connection, instrument_id, timeframe, start_ns, end_ns)


def _days(first: int | None, last: int | None, values: dict[str, Any]) -> str:
    """Condition on ``day_counts`` for the days from ``first`` to before ``last``, counted since 1970."""
    conditions = ["table_name = :table", _OWN]
    for name, sign, day in (("first_day", ">=", first), ("last_day", "<", last)):
        if day is not None:
            conditions.append(f"day {sign} date '1970-01-01' + cast(:{name} AS int)")
            values[name] = day
    return " AND ".join(conditions)


def _counting(table: str, sign: str, conditions: list[str]) -> str:
    where = " AND ".join([_OWN, *conditions])
    return f"SELECT {sign}count(*) FROM {table} WHERE {where}"  # noqa: S608 - our own words


def _trade_columns(row: Any) -> TradeColumns:
    ids, ts, price, qty, buyer_maker, kind = row
    if ids is None:
        return no_trades()
    count = len(ids) // 8
    return make_columns(
        np.frombuffer(ids, ">i8"),
        times_ns(ts),
        np.frombuffer(price, ">f8"),
        np.frombuffer(qty, ">f8"),
        np.frombuffer(buyer_maker, np.bool_),
        np.frombuffer(kind, ">i2"),
        np.zeros(count),
    )


def _reversed(columns: TradeColumns) -> TradeColumns:
    return TradeColumns(
        columns.id[::-1],
        columns.ts_ns[::-1],
        columns.price[::-1],
        columns.qty[::-1],
        columns.buyer_maker[::-1],
        columns.kind[::-1],
        columns.seq[::-1],
    )
