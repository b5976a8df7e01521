"""Old history goes: whole days by dropping their partitions, the rest row by row on request."""

from __future__ import annotations

import asyncio
import time
from typing import LiteralString

import msgspec
import psycopg
import structlog
from nats.aio.msg import Msg
from psycopg import AsyncConnection, sql

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import CleanReply, CleanRequest, decoder, encode
from tapestream.common.db.counts import add_bars, add_rows
from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe
from tapestream.common.db.partitions import day_of, drop_partitions_before
from tapestream.ingest.recorder import ledger

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
CONNECT_TIMEOUT_S = 5.0
_decode = decoder(CleanRequest).decode
_DELETE_TICKS: LiteralString = """
    WITH gone AS (
        DELETE FROM {} WHERE ts < to_timestamp(0) + %s * interval '1 microsecond' RETURNING instrument_id, ts
    )
    SELECT (ts AT TIME ZONE 'UTC')::date - date '1970-01-01', instrument_id, count(*) FROM gone GROUP BY 1, 2
"""
_DELETE_BARS: LiteralString = """
    WITH gone AS (
        DELETE FROM bars WHERE ts < to_timestamp(0) + %s * interval '1 microsecond'
        RETURNING instrument_id, timeframe
    )
    SELECT instrument_id, timeframe, count(*) FROM gone GROUP BY 1, 2
"""
_DELETE_GAPS: LiteralString = (
    "DELETE FROM gaps WHERE detected_at < to_timestamp(0) + %s * interval '1 microsecond'"
)


async def keep_days(database_url: str, days: dict[str, int]) -> None:
    """Drop partitions older than each table's number of days, hourly, until cancelled.

    0 keeps everything. A table that is being read is tried again an hour later.
    """
    while True:
        try:
            async with await connect(database_url, "tapestream recorder-retention") as connection:
                for table, kept in days.items():
                    if not kept:
                        continue
                    first = day_of(time.time_ns()) - kept
                    for name, rows in (await drop_partitions_before(connection, table, first)).items():
                        log.info("partition_dropped", partition=name, rows=rows, kept_days=kept)
        except (psycopg.Error, OSError) as error:
            log.warning("retention_retry", error=describe(error))
        await asyncio.sleep(EVERY_S)


async def serve_cleanups(bus: Bus, database_url: str) -> None:
    """Answer ``rpc.recorder.clean``, one request after another, until cancelled."""
    subscription = await bus.nc.subscribe(bus.subjects.rpc("recorder", "clean"), queue="recorder")
    async for message in subscription.messages:
        await message.respond(encode(await _answer(message, database_url)))


async def _answer(message: Msg, database_url: str) -> CleanReply:
    try:
        request = _decode(message.data)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await connect(database_url, "tapestream recorder-cleanup")
        async with connection:
            reply = await clean(connection, request.older_than_ns)
    except msgspec.DecodeError as error:
        return CleanReply(error=str(error))
    except (psycopg.Error, OSError, OverflowError) as error:
        log.warning("cleanup_failed", error=describe(error))
        return CleanReply(error=describe(error))
    log.info("history_deleted", older_than_ns=request.older_than_ns, rows=reply.deleted)
    return reply


async def clean(connection: AsyncConnection, cutoff_ns: int) -> CleanReply:
    """Delete what is older, and its counts with it; the connection must be in autocommit mode.

    Raises psycopg.Error; what was deleted before stays deleted.
    """
    deleted: dict[str, int] = {}
    dropped: list[str] = []
    for table in ("trades", "quotes"):
        days = await drop_partitions_before(connection, table, day_of(cutoff_ns))
        dropped += days
        deleted[table] = sum(days.values()) + await _delete_ticks(connection, table, cutoff_ns)
    deleted["bars"] = await _delete_bars(connection, cutoff_ns)
    async with connection.transaction():
        await ledger.lock(connection)
        cursor = await connection.execute(_DELETE_GAPS, [cutoff_ns // 1000])
        deleted["gaps"] = cursor.rowcount
    return CleanReply(deleted=deleted, dropped_partitions=dropped)


async def _delete_ticks(connection: AsyncConnection, table: LiteralString, cutoff_ns: int) -> int:
    """Rows of the cutoff's own day."""
    query = sql.SQL(_DELETE_TICKS).format(sql.Identifier(table))
    async with connection.transaction():
        found = await (await connection.execute(query, [cutoff_ns // 1000])).fetchall()
        await add_rows(connection, table, {(day, one): -rows for day, one, rows in found})
    return sum(rows for _, _, rows in found)


async def _delete_bars(connection: AsyncConnection, cutoff_ns: int) -> int:
    async with connection.transaction():
        found = await (await connection.execute(_DELETE_BARS, [cutoff_ns // 1000])).fetchall()
        await add_bars(connection, {(one, timeframe): -rows for one, timeframe, rows in found})
    return sum(rows for _, _, rows in found)
