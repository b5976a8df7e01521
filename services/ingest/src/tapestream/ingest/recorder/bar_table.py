"""``bars`` and ``gaps``: both come from the stream ``BARS``, in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import msgspec
from psycopg import AsyncConnection, sql

from tapestream.common.bus.durable import Stored
from tapestream.common.contracts.messages import Bar, BarSource, Gap, decoder
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.db.counts import add_bars
from tapestream.common.recording.metrics import TableMetrics
from tapestream.common.recording.refusal import Refused
from tapestream.common.recording.writer import Outcome
from tapestream.ingest.recorder import ledger
from tapestream.ingest.recorder.core import bars as bar_rules
from tapestream.ingest.recorder.core import gaps as gap_rules
from tapestream.ingest.recorder.instruments import InstrumentIds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("instrument_id", "int4"), ("timeframe", "text"), ("ts", "timestamptz"),
    ("open", "float8"), ("high", "float8"), ("low", "float8"), ("close", "float8"),
    ("volume", "float8"), ("quote_volume", "float8"), ("buy_volume", "float8"),
    ("trades", "int8"), ("first_id", "int8"), ("last_id", "int8"), ("rev", "int4"), ("source", "text"),
)  # fmt: skip
_PLAIN = [name for name, _ in _COLUMNS[3:]]
_UPSERT = sql.SQL(
    """
    WITH written AS (
        INSERT INTO bars AS old ({names})
        SELECT * FROM unnest({arrays})
        ON CONFLICT (instrument_id, timeframe, ts) DO UPDATE SET {moves}
        WHERE CASE WHEN excluded.source = old.source THEN excluded.rev > old.rev
                   ELSE array_position({ranks}, excluded.source) > array_position({ranks}, old.source) END
        RETURNING instrument_id, timeframe, xmax = 0 AS is_new  -- a row that was there has been locked
    )
    SELECT instrument_id, timeframe, count(*), count(*) FILTER (WHERE is_new) FROM written GROUP BY 1, 2
    """
).format(
    names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in _COLUMNS),
    arrays=sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kind)) for _, kind in _COLUMNS),
    ranks=sql.Literal([source.value for source in sorted(BarSource, key=lambda source: source.rank)]),
    moves=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in _PLAIN),
)


@dataclass(slots=True)
class BarFlush:
    """Bars and gaps of one flush, decided on."""

    bars: list[Bar] = field(default_factory=list)
    bar_instruments: list[int] = field(default_factory=list)
    gaps: list[tuple[int, Gap]] = field(default_factory=list)


class BarTable:
    """Records ``md.bar`` (complete ones) and ``md.gap``."""

    def __init__(self, subjects: Subjects, ids: InstrumentIds) -> None:
        self.metrics = TableMetrics("bars")
        self._ids = ids
        self._gap_prefix = subjects.market("gap").removesuffix(">")
        self._decode_bar, self._decode_gap = decoder(Bar).decode, decoder(Gap).decode

    async def load(self, connection: AsyncConnection) -> None:
        await self._ids.load(connection)

    async def prepare(
        self, connection: AsyncConnection, messages: Sequence[Stored]
    ) -> tuple[BarFlush, Outcome]:
        bars: list[Bar] = []
        gaps: list[Gap] = []
        outcome = Outcome()
        for index, message in enumerate(messages):
            try:
                if message.subject.startswith(self._gap_prefix):
                    gap = self._decode_gap(message.data)
                    problem = gap_rules.problem(gap)
                    gaps += [] if problem else [gap]
                else:
                    bar = self._decode_bar(message.data)
                    if not bar.complete:
                        continue
                    problem = bar_rules.problem(bar)
                    bars += [] if problem else [bar]
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                outcome.refused.append(Refused(index, "undecodable", str(error)))
                continue
            outcome.received += 1
            if problem:
                outcome.refused.append(Refused(index, "content", problem, 1))
        best = bar_rules.newest(bars)
        flush = BarFlush(
            best,
            await self._ids.of(connection, [(bar.venue, bar.symbol) for bar in best]),
            list(
                zip(
                    await self._ids.of(connection, [(gap.venue, gap.symbol) for gap in gaps]),
                    gaps,
                    strict=True,
                )
            ),
        )
        return flush, outcome

    def careful(self, flush: BarFlush) -> BarFlush:
        return flush

    async def write(self, connection: AsyncConnection, flush: BarFlush, outcome: Outcome) -> None:
        outcome.recorded = 0
        if flush.bars:
            outcome.recorded += await _upsert(connection, flush)
        if flush.gaps:
            await ledger.lock(connection)
            for instrument_id, gap in flush.gaps:
                changed = await ledger.declare(connection, instrument_id, gap_rules.hole(gap))
                outcome.recorded += bool(changed)
        outcome.duplicates = outcome.received - outcome.recorded - sum(one.rows for one in outcome.refused)

    def committed(self, flush: BarFlush) -> None:
        """Nothing is kept in memory."""


async def _upsert(connection: AsyncConnection, flush: BarFlush) -> int:
    columns: list[list[object]] = [
        list(flush.bar_instruments),
        [bar.timeframe for bar in flush.bars],
        [_EPOCH + timedelta(microseconds=bar.ts_ns // 1000) for bar in flush.bars],
    ]
    columns += [[getattr(bar, name) for bar in flush.bars] for name in _PLAIN[:-1]]
    columns.append([bar.source.value for bar in flush.bars])
    found = await (await connection.execute(_UPSERT, columns)).fetchall()
    await add_bars(connection, {(one, timeframe): new for one, timeframe, _, new in found if new})
    return sum(written for _, _, written, _ in found)
