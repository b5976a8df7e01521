"""The gap ledger in Postgres. All changes to it are made one after another, under one lock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from tapestream.common.contracts.messages import GapReason
from tapestream.common.db import locks
from tapestream.ingest.core.ranges import IdRange
from tapestream.ingest.recorder.core.ledger import Hole, rewrite, unaccounted
from tapestream.ingest.recorder.core.trades import Overtaken

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RECORDED = """
    SELECT min(id), max(id) FROM (
        SELECT id, id - row_number() OVER (ORDER BY id) AS island
        FROM (SELECT DISTINCT id FROM trades WHERE instrument_id = %s AND id BETWEEN %s AND %s) AS ids
    ) AS islands
    GROUP BY island ORDER BY 1
"""


async def lock_shared(connection: AsyncConnection) -> None:
    """Until the transaction ends nobody changes the ledger; many may hold this."""
    await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", [locks.GAP_LEDGER])


async def lock(connection: AsyncConnection) -> None:
    """Until the transaction ends the ledger, and whether its trades are there, is ours alone."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [locks.GAP_LEDGER])


async def declare(connection: AsyncConnection, instrument_id: int, hole: Hole) -> int:
    """Note a hole; returns how many ranges changed. Needs :func:`lock`."""
    return await _rewrite(connection, instrument_id, hole.ids, hole)


async def fill(connection: AsyncConnection, instrument_id: int, ids: IdRange) -> None:
    """Turn into ``filled`` what is recorded of these ids. Needs :func:`lock`."""
    await _rewrite(connection, instrument_id, ids, None)


async def open_holes(connection: AsyncConnection, among: Sequence[tuple[int, IdRange]]) -> list[int]:
    """Those of the instruments which have an unfilled hole that touches their ids."""
    cursor = await connection.execute(
        """SELECT DISTINCT asked.instrument_id
           FROM unnest(%s::int4[], %s::int8[], %s::int8[]) AS asked (instrument_id, first, last)
           JOIN gaps ON gaps.instrument_id = asked.instrument_id AND gaps.reason <> 'filled'
            AND gaps.to_id >= asked.first AND gaps.from_id <= asked.last""",
        [[one for one, _ in among], [ids.first for _, ids in among], [ids.last for _, ids in among]],
    )
    return [one for (one,) in await cursor.fetchall()]


async def lost(connection: AsyncConnection, missing: Overtaken, detected_ns: int) -> list[Hole]:
    """The parts of an overtaken range that neither trades nor the ledger account for."""
    known = await _known(connection, missing.instrument_id, missing.ids)
    recorded = await _recorded(connection, missing.instrument_id, missing.ids)
    return [
        Hole(ids, GapReason.LOST, missing.from_ts_ns, missing.to_ts_ns, detected_ns)
        for ids in unaccounted(missing.ids, known, recorded)
    ]


async def _rewrite(
    connection: AsyncConnection, instrument_id: int, ids: IdRange, incoming: Hole | None
) -> int:
    known = await _known(connection, instrument_id, ids)
    if not known and incoming is None:
        return 0
    firsts = [hole.ids.first for hole in known] + ([incoming.ids.first] if incoming else [])
    lasts = [hole.ids.last for hole in known] + ([incoming.ids.last] if incoming else [])
    recorded = await _recorded(connection, instrument_id, IdRange(min(firsts), max(lasts)))
    wanted = rewrite(known, incoming, recorded)
    gone, new = [hole for hole in known if hole not in wanted], [hole for hole in wanted if hole not in known]
    if gone:
        await connection.execute(
            "DELETE FROM gaps WHERE instrument_id = %s AND from_id = ANY(%s)",
            [instrument_id, [hole.ids.first for hole in gone]],
        )
    if new:
        await connection.execute(
            """INSERT INTO gaps (instrument_id, from_id, to_id, reason, from_ts, to_ts, detected_at)
               SELECT %s, * FROM unnest(%s::int8[], %s::int8[], %s::text[], %s::timestamptz[],
                                        %s::timestamptz[], %s::timestamptz[])""",
            [
                instrument_id,
                [hole.ids.first for hole in new],
                [hole.ids.last for hole in new],
                [hole.reason.value for hole in new],
                [_time(hole.from_ts_ns) for hole in new],
                [_time(hole.to_ts_ns) for hole in new],
                [_EPOCH + timedelta(microseconds=hole.detected_ns // 1000) for hole in new],
            ],
        )
    return len(new)


async def _known(connection: AsyncConnection, instrument_id: int, ids: IdRange) -> list[Hole]:
    cursor = await connection.execute(
        """SELECT from_id, to_id, reason, from_ts, to_ts, detected_at FROM gaps
           WHERE instrument_id = %s AND from_id <= %s AND to_id >= %s ORDER BY from_id""",
        [instrument_id, ids.last, ids.first],
    )
    return [
        Hole(IdRange(first, last), GapReason(reason), _ns(from_ts), _ns(to_ts), _ns(detected_at))
        for first, last, reason, from_ts, to_ts, detected_at in await cursor.fetchall()
    ]


async def _recorded(connection: AsyncConnection, instrument_id: int, ids: IdRange) -> list[IdRange]:
    cursor = await connection.execute(_RECORDED, [instrument_id, ids.first, ids.last])
    return [IdRange(first, last) for first, last in await cursor.fetchall()]


def _time(ts_ns: int) -> datetime | None:
    return _EPOCH + timedelta(microseconds=ts_ns // 1000) if ts_ns else None


def _ns(time: datetime | None) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1) * 1000 if time else 0
