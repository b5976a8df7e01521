"""How many trades there are, exactly and quickly.

Each day is a partition. A large one is counted again in full only when Postgres' own figures say that
it has changed, and then at most once a minute; in between its new rows are counted behind the highest
id that was seen. Small ones are counted each time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tapestream.gateway.history import History

SMALL_ROWS = 500_000
"""Counting as many takes some tens of milliseconds."""
FULL_EVERY_S = 60.0
KEEP_S = 1.0
"""An answer that is younger than this is given again."""

_PARTITIONS = sa.text("""
    SELECT i.inhrelid::regclass::text AS name, c.reltuples::int8 AS estimate,
           coalesce(s.n_tup_ins, 0)::text || '/' || coalesce(s.n_tup_del, 0)::text AS signature,
           greatest(coalesce(s.n_live_tup, 0), c.reltuples, 0)::int8 AS rows
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    LEFT JOIN pg_stat_user_tables AS s ON s.relid = i.inhrelid
    WHERE i.inhparent = 'trades'::regclass ORDER BY 1
""")


@dataclass(slots=True)
class _Partition:
    signature: str
    counted_at: float
    by_instrument: dict[int, tuple[int, int]]
    """Instrument → rows and highest id."""


@dataclass(frozen=True, slots=True)
class TradeCounts:
    by_instrument: dict[int, int]
    rows: int


class Counts:
    """Remembers what it has counted. Methods raise sqlalchemy errors while the server is away."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._partitions: dict[str, _Partition] = {}
        self._last: tuple[float, TradeCounts] | None = None
        self._lock = asyncio.Lock()

    async def trades(self) -> TradeCounts:
        """Rows by instrument."""
        async with self._lock:
            now = time.monotonic()
            if self._last is not None and now - self._last[0] < KEEP_S:
                return self._last[1]
            async with self._history.connect() as connection:
                names: set[str] = set()
                for name, _, signature, rows in (await connection.execute(_PARTITIONS)).all():
                    names.add(name)
                    await self._count(connection, name, signature, rows)
            for gone in self._partitions.keys() - names:
                del self._partitions[gone]
            totals: dict[int, int] = {}
            for partition in self._partitions.values():
                for instrument, (count, _) in partition.by_instrument.items():
                    totals[instrument] = totals.get(instrument, 0) + count
            counts = TradeCounts(totals, sum(totals.values()))
            self._last = (time.monotonic(), counts)
            return counts

    def forget(self) -> None:
        """After rows were deleted."""
        self._partitions.clear()
        self._last = None

    async def _count(self, connection: AsyncConnection, name: str, signature: str, rows: int) -> None:
        known = self._partitions.get(name)
        if known is not None and rows > SMALL_ROWS:
            if known.signature == signature:
                return
            if time.monotonic() - known.counted_at < FULL_EVERY_S:
                await self._count_new(connection, name, known)
                return
        query = f"SELECT instrument_id, count(*), max(id) FROM {name} GROUP BY 1"  # noqa: S608 - a name of Postgres' own
        found = (await connection.execute(sa.text(query))).all()
        self._partitions[name] = _Partition(
            signature, time.monotonic(), {instrument: (count, top) for instrument, count, top in found}
        )

    async def _count_new(self, connection: AsyncConnection, name: str, known: _Partition) -> None:
        for instrument, (count, top) in list(known.by_instrument.items()):
            query = sa.text(
                f"SELECT count(*), max(id) FROM {name} WHERE instrument_id = :one AND id > :top"  # noqa: S608
            )
            more, highest = (await connection.execute(query, {"one": instrument, "top": top})).one()
            if more:
                known.by_instrument[instrument] = (count + more, highest)
