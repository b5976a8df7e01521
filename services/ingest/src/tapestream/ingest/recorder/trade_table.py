"""``trades``: live batches by binary COPY straight into the partition of their day."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from msgspec import UNSET
from psycopg import AsyncConnection, sql

from tapestream.common.bus.durable import Stored
from tapestream.common.contracts.messages import Gap, TradeBatch, decoder
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.db.copy import CopyFormat, Rows, timestamptz
from tapestream.common.recording.metrics import TableMetrics
from tapestream.common.recording.writer import Outcome
from tapestream.ingest.core.ranges import IdRange
from tapestream.ingest.recorder import ledger
from tapestream.ingest.recorder.core.batches import Columns, decode, trade_columns
from tapestream.ingest.recorder.core.ledger import Hole
from tapestream.ingest.recorder.core.trades import TradePlan, plan_trades
from tapestream.ingest.recorder.day_copy import DayCopy
from tapestream.ingest.recorder.heads import load_heads, store_heads
from tapestream.ingest.recorder.instruments import InstrumentIds, Name
from tapestream.ingest.recorder.metrics import lost_trades

TRADES = CopyFormat(
    [
        ("instrument_id", "int4"),
        ("id", "int8"),
        ("ts", "timestamptz"),
        ("price", "float8"),
        ("qty", "float8"),
        ("buyer_maker", "bool"),
        ("kind", "int2"),
    ]
)
_LISTS = ("ts_ns", "price", "qty", "buyer_maker")

PublishGap = Callable[[Gap], Awaitable[None]]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class TradeFlush:
    """Trades of one flush, decided on."""

    columns: Columns[TradeBatch]
    plan: TradePlan
    names: list[Name]
    spans: list[tuple[int, IdRange]]
    """Lowest and highest id of each batch, by instrument."""
    declared: list[tuple[int, Hole]]
    """What the batches say of ids that they leave out, by instrument."""


class TradeTable:
    """Records ``md.trade`` and ``md.backfill``."""

    def __init__(self, subjects: Subjects, ids: InstrumentIds, publish_gap: PublishGap) -> None:
        self.metrics = TableMetrics("trades")
        self._subjects, self._ids, self._publish_gap = subjects, ids, publish_gap
        self._decoder = decoder(TradeBatch)
        self._backfill_prefix = subjects.market("backfill").removesuffix(">")
        self._copy = DayCopy("trades", TRADES)

    async def load(self, connection: AsyncConnection) -> None:
        await self._ids.load(connection)
        await self._copy.load(connection)
        self._heads = await load_heads(connection, "trade_heads")

    async def prepare(
        self, connection: AsyncConnection, messages: Sequence[Stored]
    ) -> tuple[TradeFlush, Outcome]:
        found, undecodable = decode(self._decoder, [message.data for message in messages], _LISTS)
        columns, unsound = trade_columns(found)
        names = [(batch.venue, batch.symbol) for batch in columns.batches]
        ids = await self._ids.of(connection, names)
        backfill = [messages[k].subject.startswith(self._backfill_prefix) for k in columns.origins]
        plan = plan_trades(columns, backfill, ids, self._heads)
        await self._copy.ensure(connection, columns.ts_ns)
        outcome = Outcome(
            received=len(columns.id) + sum(one.rows for one in (*undecodable, *unsound)),
            oldest_recv_ns=min((batch.recv_ns for batch in columns.batches), default=0),
            refused=[*undecodable, *unsound, *plan.refused],
        )
        spans = [
            (one, IdRange(batch.id[0], batch.id[-1])) for one, batch in zip(ids, columns.batches, strict=True)
        ]
        return TradeFlush(columns, plan, names, spans, _declared(columns, ids)), outcome

    def careful(self, flush: TradeFlush) -> TradeFlush:
        plan = flush.plan
        everything = np.ones(len(flush.columns.id), np.bool_) if plan.live is None else plan.live.copy()
        if plan.check is not None:
            everything |= plan.check
        return replace(flush, plan=replace(plan, live=np.zeros_like(everything), check=everything))

    async def write(self, connection: AsyncConnection, flush: TradeFlush, outcome: Outcome) -> None:
        plan, columns = flush.plan, flush.columns
        outcome.recorded, outcome.duplicates = 0, plan.duplicates
        if plan.live is None or plan.live.any():
            outcome.recorded += await self._insert(connection, columns, plan, plan.live)
        if plan.check is not None:
            new = await _unrecorded(connection, columns, plan, plan.check)
            inserted = await self._insert(connection, columns, plan, new) if new.any() else 0
            outcome.recorded += inserted
            outcome.duplicates += int(plan.check.sum()) - inserted
        await store_heads(connection, "trade_heads", plan.heads)
        await self._settle_ledger(connection, flush)

    def committed(self, flush: TradeFlush) -> None:
        self._heads.update(flush.plan.heads)
        for missing in flush.plan.overtaken:
            lost_trades.inc(missing.ids.last - missing.ids.first + 1)

    async def _insert(
        self, connection: AsyncConnection, columns: Columns[TradeBatch], plan: TradePlan, mask: Mask | None
    ) -> int:
        rows = _rows(columns, plan, mask)
        await self._copy.write(connection, rows, columns.ts_ns if mask is None else columns.ts_ns[mask])
        return len(rows)

    async def _settle_ledger(self, connection: AsyncConnection, flush: TradeFlush) -> None:
        """Holes that these trades fill, and trades that the stream dropped before we read them."""
        if not flush.spans:
            return
        if not (flush.plan.overtaken or flush.declared):
            await ledger.lock_shared(connection)
            if not await ledger.open_holes(connection, flush.spans):
                return
        await ledger.lock(connection)
        for instrument_id, hole in flush.declared:
            await ledger.declare(connection, instrument_id, hole)
        for instrument_id in await ledger.open_holes(connection, flush.spans):
            for one, span in flush.spans:
                if one == instrument_id:
                    await ledger.fill(connection, instrument_id, span)
        names = {one: name for (one, _), name in zip(flush.spans, flush.names, strict=True)}
        for missing in flush.plan.overtaken:
            for hole in await ledger.lost(connection, missing, time.time_ns()):
                await ledger.declare(connection, missing.instrument_id, hole)
                # Before the commit: should that fail, the same is found and said again.
                await self._publish_gap(_message(names[missing.instrument_id], hole))


def _declared(columns: Columns[TradeBatch], ids: Sequence[int]) -> list[tuple[int, Hole]]:
    return [
        (
            instrument_id,
            Hole(IdRange(gap.from_id, gap.to_id), gap.reason, 0, batch.ts_ns[0], batch.recv_ns),
        )
        for instrument_id, batch in zip(ids, columns.batches, strict=True)
        if batch.gaps is not UNSET
        for gap in batch.gaps
    ]


def _rows(columns: Columns[TradeBatch], plan: TradePlan, mask: Mask | None) -> Rows:
    picked = slice(None) if mask is None else mask
    ids = columns.id[picked]
    rows = TRADES.rows(len(ids))
    rows["instrument_id"] = plan.instrument_id[picked]
    rows["id"] = ids
    rows["ts"] = timestamptz(columns.ts_ns[picked])
    for name, values in columns.values.items():
        rows[name] = values[picked]
    return rows


async def _unrecorded(
    connection: AsyncConnection, columns: Columns[TradeBatch], plan: TradePlan, mask: Mask
) -> Mask:
    """The masked rows whose ids the table does not have; of equal ones the first.

    Nobody else writes trades, so looking first is as safe as ON CONFLICT, and an id is found also
    where the venue's history gives it another time than its live feed did.
    """
    new = np.zeros(len(mask), np.bool_)
    await connection.execute("SET LOCAL enable_seqscan = off")
    await connection.execute("SET LOCAL enable_bitmapscan = off")
    for instrument_id in np.unique(plan.instrument_id[mask]):
        (at,) = np.nonzero(mask & (plan.instrument_id == instrument_id))
        ids, firsts = np.unique(columns.id[at], return_index=True)
        cursor = await connection.execute(
            sql.SQL("SELECT id FROM trades WHERE instrument_id = %s AND id = ANY(%s)"),
            [int(instrument_id), ids.tolist()],
            binary=True,
        )
        known = [id_ for (id_,) in await cursor.fetchall()]
        new[at[firsts[~np.isin(ids, known)]]] = True
    return new


def _message(name: Name, hole: Hole) -> Gap:
    return Gap(
        venue=name[0],
        symbol=name[1],
        from_id=hole.ids.first,
        to_id=hole.ids.last,
        from_ts_ns=hole.from_ts_ns,
        to_ts_ns=hole.to_ts_ns,
        reason=hole.reason,
        detected_ns=hole.detected_ns,
    )
