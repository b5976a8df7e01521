"""Deleting old history."""

from __future__ import annotations

import asyncio
import time

from psycopg import AsyncConnection, sql
from pydantic import BaseModel, Field

from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.db.engine import connect
from tapestream.common.db.partitions import day_of, drop_partitions_before, list_partitions, partition_name
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.history import NoDatabaseError

CONNECT_TIMEOUT_S = 5.0


class Cleaned(BaseModel):
    """What was deleted."""

    status: str = "ok"
    older_than: str
    deleted: dict[str, int] = Field(description="Table → rows")
    dropped_partitions: list[str] = Field(description="Days that were dropped as a whole")


def cutoff(days: float) -> int:
    """The instant that many days ago, in nanoseconds."""
    return time.time_ns() - int(days * DAY_NS)


async def clean(gateway: Gateway, cutoff_ns: int) -> Cleaned:
    """Delete what is older. Raises psycopg errors and TimeoutError while the database is away or busy."""
    if not gateway.history.configured:
        raise NoDatabaseError("no database is configured: set DATABASE_URL")
    deleted: dict[str, int] = {}
    dropped: list[str] = []
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        connection = await connect(gateway.settings.database_address, "tapestream gateway-retention")
    async with connection:
        for table in ("trades", "quotes"):
            deleted[table] = await _count_before(connection, table, day_of(cutoff_ns))
            dropped += await drop_partitions_before(connection, table, day_of(cutoff_ns))
            deleted[table] += await _delete(connection, table, "ts", cutoff_ns)
        for table, column in (("bars", "ts"), ("gaps", "detected_at")):
            deleted[table] = await _delete(connection, table, column, cutoff_ns)
    gateway.counts.forget()
    return Cleaned(older_than=iso_utc(cutoff_ns), deleted=deleted, dropped_partitions=dropped)


async def _count_before(connection: AsyncConnection, table: str, day: int) -> int:
    total = 0
    for name in await list_partitions(connection, table):
        if name < partition_name(table, day):
            cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name)))
            row = await cursor.fetchone()
            total += row[0] if row else 0
    return total


async def _delete(connection: AsyncConnection, table: str, column: str, cutoff_ns: int) -> int:
    cursor = await connection.execute(
        sql.SQL("DELETE FROM {} WHERE {} < to_timestamp(0) + %s * interval '1 microsecond'").format(
            sql.Identifier(table), sql.Identifier(column)
        ),
        [cutoff_ns // 1000],
    )
    return cursor.rowcount
