"""Exact row counts, changed in the transactions that write and delete the rows.

A count that goes with its rows is right after any crash, and reading it costs the same however many
rows there are. Writers and deleters touch the rows first and the counts last, so that they wait for
each other in one order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

_EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).date()


async def add_rows(connection: AsyncConnection, table: str, rows: Mapping[tuple[int, int], int]) -> None:
    """Count ``(day, instrument) → rows`` that were written (or, negative, deleted), inside the caller's transaction.

    Days are counted since 1970, in UTC; ``table`` is ``trades`` or ``quotes``.
    """
    if not rows:
        return
    keys = sorted(rows)  # one order for all, or two who count at once could wait for each other for ever
    await connection.execute(
        """INSERT INTO day_counts (table_name, day, instrument_id, rows)
           SELECT %s, * FROM unnest(%s::date[], %s::int4[], %s::int8[])
           ON CONFLICT (table_name, day, instrument_id) DO UPDATE SET rows = day_counts.rows + excluded.rows""",
        [
            table,
            [_EPOCH_DAY + timedelta(days=day) for day, _ in keys],
            [instrument_id for _, instrument_id in keys],
            [rows[key] for key in keys],
        ],
    )


async def add_bars(connection: AsyncConnection, rows: Mapping[tuple[int, str], int]) -> None:
    """The same for ``bars``: ``(instrument, timeframe) → rows``."""
    if not rows:
        return
    keys = sorted(rows)
    await connection.execute(
        """INSERT INTO bar_counts (instrument_id, timeframe, rows)
           SELECT * FROM unnest(%s::int4[], %s::text[], %s::int8[])
           ON CONFLICT (instrument_id, timeframe) DO UPDATE SET rows = bar_counts.rows + excluded.rows""",
        [[one for one, _ in keys], [timeframe for _, timeframe in keys], [rows[key] for key in keys]],
    )


async def drop_day(connection: AsyncConnection, table: str, day: int) -> int:
    """Forget a day that is dropped as a whole, inside the caller's transaction; returns its rows."""
    cursor = await connection.execute(
        """WITH gone AS (DELETE FROM day_counts WHERE table_name = %s AND day = %s RETURNING rows)
           SELECT coalesce(sum(rows), 0)::int8 FROM gone""",
        [table, _EPOCH_DAY + timedelta(days=day)],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0
