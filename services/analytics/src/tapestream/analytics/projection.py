"""The table ``signals``: complete figures of pairs as the stream has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection, sql

from tapestream.common.bus.durable import Stored
from tapestream.common.contracts.messages import decoder
from tapestream.common.contracts.signals import PairSignal
from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe
from tapestream.common.recording.metrics import TableMetrics
from tapestream.common.recording.refusal import Refused
from tapestream.common.recording.writer import Outcome

log = structlog.get_logger(__name__)

CLEAN_EVERY_S = 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("venue_a", "text"), ("symbol_a", "text"), ("venue_b", "text"), ("symbol_b", "text"),
    ("timeframe", "text"), ("window_bars", "int4"), ("method", "text"), ("ts", "timestamptz"),
)  # fmt: skip
_FIGURES: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("price_a", "float8"), ("price_b", "float8"), ("hedge_ratio", "float8"), ("intercept", "float8"),
    ("spread", "float8"), ("zscore", "float8"), ("correlation", "float8"), ("adf_statistic", "float8"),
    ("adf_pvalue", "float8"), ("half_life_bars", "float8"), ("reason", "text"), ("rev", "int4"),
)  # fmt: skip
_COLUMNS = (*_KEY, *_FIGURES)
_UPSERT = sql.SQL(
    """
    INSERT INTO signals AS old ({names}) SELECT * FROM unnest({arrays})
    ON CONFLICT ({key}) DO UPDATE SET {moves} WHERE excluded.rev > old.rev
    """
).format(
    names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in _COLUMNS),
    arrays=sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kind)) for _, kind in _COLUMNS),
    key=sql.SQL(", ").join(sql.Identifier(name) for name, _ in _KEY),
    moves=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(n)) for n, _ in _FIGURES),
)
_LARGEST_NS = 1 << 63


@dataclass(slots=True)
class SignalFlush:
    """Signals of one flush, one of each key."""

    signals: list[PairSignal] = field(default_factory=list)


class SignalTable:
    """Records complete ``sig.pair``; see :class:`tapestream.common.recording.writer.Table`."""

    def __init__(self) -> None:
        self.metrics = TableMetrics("signals")
        self._decode = decoder(PairSignal).decode

    async def load(self, connection: AsyncConnection) -> None:
        """Decisions need no state."""

    async def prepare(
        self,
        connection: AsyncConnection,  # noqa: ARG002 - of the protocol
        messages: Sequence[Stored],
    ) -> tuple[SignalFlush, Outcome]:
        newest: dict[tuple[object, ...], PairSignal] = {}
        outcome = Outcome()
        for index, message in enumerate(messages):
            try:
                signal = self._decode(message.data)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                outcome.refused.append(Refused(index, "undecodable", str(error)))
                continue
            if not signal.complete:
                continue
            outcome.received += 1
            if not 0 <= signal.ts_ns < _LARGEST_NS:
                detail = f"ts_ns {signal.ts_ns}: 0 to {_LARGEST_NS - 1}"
                outcome.refused.append(Refused(index, "content", detail, 1))
                continue
            key = _values(signal)[: len(_KEY)]
            held = newest.get(tuple(key))
            if held is None or signal.rev > held.rev:
                newest[tuple(key)] = signal
        return SignalFlush(list(newest.values())), outcome

    def careful(self, flush: SignalFlush) -> SignalFlush:
        return flush

    async def write(self, connection: AsyncConnection, flush: SignalFlush, outcome: Outcome) -> None:
        outcome.recorded = 0
        if flush.signals:
            rows = [_values(signal) for signal in flush.signals]
            columns = [list(column) for column in zip(*rows, strict=True)]
            outcome.recorded = (await connection.execute(_UPSERT, columns)).rowcount
        outcome.duplicates = outcome.received - outcome.recorded - sum(one.rows for one in outcome.refused)

    def committed(self, flush: SignalFlush) -> None:
        """Nothing is kept in memory."""


def _values(signal: PairSignal) -> list[object]:
    """A row in the order of the columns."""
    named = {"window_bars": signal.window, "ts": _EPOCH + timedelta(microseconds=signal.ts_ns // 1000)}
    return [named[name] if name in named else getattr(signal, name) for name, _ in _COLUMNS]


async def keep_days(database_url: str, days: int) -> None:
    """Delete signals older than a number of days, hourly, until cancelled; 0 keeps everything."""
    while days:
        try:
            async with await connect(database_url, "tapestream analytics-retention") as connection:
                cursor = await connection.execute(
                    "DELETE FROM signals WHERE ts < now() - %s * interval '1 day'", [days]
                )
            if cursor.rowcount:
                log.info("signals_deleted", rows=cursor.rowcount, kept_days=days)
        except (psycopg.Error, OSError) as error:
            log.warning("retention_retry", error=describe(error))
        await asyncio.sleep(CLEAN_EVERY_S)
