"""Day partitions of ``trades`` and ``quotes``: made on demand, dropped for retention."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from psycopg import AsyncConnection, sql

from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.db import locks
from tapestream.common.db.counts import drop_day

_EPOCH = date(1970, 1, 1)


def day_of(ts_ns: int) -> int:
    """Days since 1970 of an instant, in UTC."""
    return ts_ns // DAY_NS


def partition_name(table: str, day: int) -> str:
    """``trades_20240808`` for a day given as days since 1970."""
    return f"{table}_{_EPOCH + timedelta(days=day):%Y%m%d}"


async def ensure_partition(connection: AsyncConnection, table: str, day: int) -> str:
    """Make the partition of a day if it is not there and return its name.

    The connection must be in autocommit mode: the partition is there at once for everybody. It is
    made aside and then attached, which does not wait for those who read the table.
    """
    name = partition_name(table, day)
    start = datetime.combine(_EPOCH + timedelta(days=day), datetime.min.time(), UTC)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [locks.PARTITIONS])
        if name in await list_partitions(connection, table):
            return name
        await connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
                sql.Identifier(name), sql.Identifier(table)
            )
        )
        await connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(table),
                sql.Identifier(name),
                sql.Literal(start),
                sql.Literal(start + timedelta(days=1)),
            )
        )
    return name


async def list_partitions(connection: AsyncConnection, table: str) -> list[str]:
    """Names of a table's partitions, oldest first."""
    cursor = await connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1", [table]
    )
    return [name for (name,) in await cursor.fetchall()]


async def drop_partitions_before(
    connection: AsyncConnection, table: str, day: int, *, wait_s: float = 2.0
) -> dict[str, int]:
    """Drop the partitions of all days before ``day`` (days since 1970); returns name → rows that it had.

    The connection must be in autocommit mode. Raises psycopg.errors.LockNotAvailable where readers
    hold the table for longer than ``wait_s`` seconds; what was dropped before stays dropped.
    """
    first_kept = partition_name(table, day)
    dropped: dict[str, int] = {}
    for name in await list_partitions(connection, table):
        if name >= first_kept:
            break
        async with connection.transaction():
            await connection.execute(
                sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{int(wait_s * 1000)}ms"))
            )
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [locks.PARTITIONS])
            await connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            rows = await drop_day(connection, table, _day_of_partition(name))
        dropped[name] = rows
    return dropped


def _day_of_partition(name: str) -> int:
    return (datetime.strptime(name.rpartition("_")[2], "%Y%m%d").date() - _EPOCH).days  # noqa: DTZ007 - a day
