"""Old days go by dropping their partitions."""

from __future__ import annotations

import asyncio
import time

import psycopg
import structlog

from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe
from tapestream.common.db.partitions import day_of, drop_partitions_before

log = structlog.get_logger(__name__)

EVERY_S = 3600.0


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
                    for name in await drop_partitions_before(connection, table, first):
                        log.info("partition_dropped", partition=name, kept_days=kept)
        except (psycopg.Error, OSError) as error:
            log.warning("retention_retry", error=describe(error))
        await asyncio.sleep(EVERY_S)
