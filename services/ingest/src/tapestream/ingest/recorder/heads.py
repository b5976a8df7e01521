"""The newest recorded id of each instrument, in ``trade_heads`` and ``quote_heads``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import LiteralString

from psycopg import AsyncConnection, sql

from tapestream.ingest.recorder.core.trades import Head


async def load_heads(connection: AsyncConnection, table: LiteralString) -> dict[int, Head]:
    cursor = await connection.execute(
        sql.SQL("SELECT instrument_id, id, (extract(epoch FROM ts) * 1000000)::int8 FROM {}").format(
            sql.Identifier(table)
        )
    )
    return {one: Head(id_, ts_us * 1000) for one, id_, ts_us in await cursor.fetchall()}


async def store_heads(connection: AsyncConnection, table: LiteralString, heads: Mapping[int, Head]) -> None:
    """Move heads forward, inside the caller's transaction; a head never goes back."""
    if not heads:
        return
    await connection.execute(
        sql.SQL(
            """INSERT INTO {0} (instrument_id, id, ts)
               SELECT one, id, 'epoch'::timestamptz + us * '1 microsecond'::interval
               FROM unnest(%s::int4[], %s::int8[], %s::int8[]) AS moved (one, id, us)
               ON CONFLICT (instrument_id) DO UPDATE SET id = excluded.id, ts = excluded.ts
               WHERE excluded.id > {0}.id"""
        ).format(sql.Identifier(table)),
        [list(heads), [head.id for head in heads.values()], [head.ts_ns // 1000 for head in heads.values()]],
    )
