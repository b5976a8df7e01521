"""The loop around each table: read, write rows and position in one transaction, acknowledge.

Whenever anything goes wrong the writer goes back to the position that the database holds, which
also settles whether a commit whose answer was lost took place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection

from tapestream.common.backoff import full_jitter
from tapestream.common.bus.durable import FAULTS, DurableReader, OrderBrokenError, Stored
from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe, is_passing
from tapestream.common.db.projection import Projection
from tapestream.common.recording.database_health import DatabaseHealth
from tapestream.common.recording.metrics import TableMetrics
from tapestream.common.recording.refusal import Refused

log = structlog.get_logger(__name__)

FETCH_WAIT_S = 0.5
QUIET_PERIOD_S = 0.2
"""Flushes keep this distance while the stream has no backlog: a lone trade is written at once, a
thousand a second share five commits."""
_DATA_FAULTS = (psycopg.Error, ValueError, ArithmeticError, LookupError, TypeError)
"""What a message may cause that the checks did not foresee; it must not stop the others."""
_STANDBY_S = 1.0
_LONGEST_RETRY_S = 5.0


@dataclass(slots=True)
class Outcome:
    """What a flush did, counted when it is committed."""

    received: int = 0
    recorded: int = 0
    duplicates: int = 0
    oldest_recv_ns: int = 0
    refused: list[Refused] = field(default_factory=list)


F = TypeVar("F")


class Table(Protocol[F]):
    """What a kind of message needs for being recorded. ``F`` is a flush that is ready to be written."""

    metrics: TableMetrics

    async def load(self, connection: AsyncConnection) -> None:
        """Read the state that decisions need; called whenever the position was read anew."""
        ...

    async def prepare(self, connection: AsyncConnection, messages: Sequence[Stored]) -> tuple[F, Outcome]:
        """Decode and decide, outside of a transaction."""
        ...

    async def write(self, connection: AsyncConnection, flush: F, outcome: Outcome) -> None:
        """Write the rows inside the caller's transaction."""
        ...

    def committed(self, flush: F) -> None:
        """The transaction is done: state moves on."""
        ...

    def careful(self, flush: F) -> F:
        """The same flush, taking nothing as new: after the database found a duplicate."""
        ...


class TableWriter(Generic[F]):
    """Runs one table for as long as the process lives."""

    def __init__(
        self, database_url: str, source: DurableReader, table: Table[F], health: DatabaseHealth
    ) -> None:
        self._url, self._source, self._table, self._health = database_url, source, table, health
        self._name = source.durable
        self._projection = Projection(source.durable, source.stream)
        self._stopping = asyncio.Event()
        self.running = asyncio.Event()
        """Set when positions are read and messages may flow."""

    def stop(self) -> None:
        """Finish the flush under way, then return from :meth:`run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Record until stopped; outages of either server are waited for."""
        delays = full_jitter(0.2, _LONGEST_RETRY_S)
        self._health.bad(self._name, "connecting")
        while not self._stopping.is_set():
            try:
                async with await self._connect() as connection:
                    await self._become_writer(connection)
                    if self._stopping.is_set():
                        break
                    self._health.good(self._name)
                    delays = full_jitter(0.2, _LONGEST_RETRY_S)
                    await self._read_and_write(connection)
            except (psycopg.Error, OSError) as error:
                if not is_passing(error):
                    log.exception("recording_failed", table=self._name)
                self._health.bad(self._name, describe(error))
                log.warning("database_retry", table=self._name, error=describe(error))
            finally:
                self.running.clear()
                await self._source.close()
            if not self._stopping.is_set():
                await self._pause(next(delays))

    # --- becoming ready

    async def _connect(self) -> AsyncConnection:
        def waiting(problem: str) -> None:
            self._health.bad(self._name, problem)

        return await connect(self._url, f"tapestream {self._name}", waiting=waiting)

    async def _become_writer(self, connection: AsyncConnection) -> None:
        # The stream keeps what a crash of the server takes back, and our position goes back with
        # the rows: waiting for the disk at each commit would buy nothing.
        await connection.execute("SET synchronous_commit = off")
        told = False
        while not self._stopping.is_set() and not await self._projection.take(connection):
            if not told:
                log.info("standing_by", table=self._name, reason="another recorder is writing")
                told = True
            self._health.good(self._name)
            await self._pause(_STANDBY_S)

    async def _read_and_write(self, connection: AsyncConnection) -> None:
        while not self._stopping.is_set():
            try:
                await self._table.load(connection)
                await self._source.rewind(await self._projection.offset(connection))
                self.running.set()
                await self._flow(connection)
            except OrderBrokenError as why:
                log.info("rewind", table=self._name, reason=str(why))
            except psycopg.Error:
                raise
            except FAULTS as error:
                log.info("stream_retry", table=self._name, error=str(error) or repr(error))
            self.running.clear()
            await self._pause(0.1)

    # --- the flow

    async def _flow(self, connection: AsyncConnection) -> None:
        last_flush = 0.0
        while not self._stopping.is_set():
            early = QUIET_PERIOD_S - (time.monotonic() - last_flush)
            messages = await self._source.fetch(FETCH_WAIT_S, early)
            if not messages:
                continue
            last_flush = time.monotonic()
            try:
                await self._flush(connection, messages)
            except _DATA_FAULTS as error:
                if is_passing(error) or connection.broken:
                    raise
                log.warning("flush_refused", table=self._name, error=describe(error))
                await self._flush_one_by_one(connection, messages)
            self._source.ack(messages[-1])

    async def _flush_one_by_one(self, connection: AsyncConnection, messages: Sequence[Stored]) -> None:
        """One message of them cannot be written: it goes to the dead letters, the others do not.

        What we remember may be at fault as well, such as a partition that retention has dropped.
        """
        await self._table.load(connection)
        for message in messages:
            try:
                await self._flush(connection, [message])
            except _DATA_FAULTS as error:
                if is_passing(error) or connection.broken:
                    raise
                await self._source.dead_letter(message, f"unexpected: {describe(error)}")
                self._table.metrics.refuse("unexpected", 0)
                await self._projection.advance(connection, message.offset)

    async def _flush(self, connection: AsyncConnection, messages: Sequence[Stored]) -> None:
        started = time.monotonic()
        metrics = self._table.metrics
        flush, outcome = await self._table.prepare(connection, messages)
        metrics.received.inc(outcome.received)
        try:
            for refused in outcome.refused:
                await self._source.dead_letter(messages[refused.index], f"{refused.reason}: {refused.detail}")
            try:
                await self._commit(connection, flush, outcome, messages[-1])
            except psycopg.errors.UniqueViolation as error:
                log.warning("unexpected_duplicate", table=self._name, error=describe(error))
                flush = self._table.careful(flush)
                await self._commit(connection, flush, outcome, messages[-1])
        except BaseException:
            metrics.returned.inc(outcome.received)
            raise
        self._table.committed(flush)
        self._count(outcome, messages, started)

    async def _commit(self, connection: AsyncConnection, flush: F, outcome: Outcome, last: Stored) -> None:
        async with connection.transaction():
            await self._table.write(connection, flush, outcome)
            await self._projection.advance(connection, last.offset)

    def _count(self, outcome: Outcome, messages: Sequence[Stored], started: float) -> None:
        metrics = self._table.metrics
        metrics.recorded.inc(outcome.recorded)
        metrics.duplicates.inc(outcome.duplicates)
        for refused in outcome.refused:
            metrics.refuse(refused.reason, refused.rows)
        metrics.batches.inc(len(messages))
        metrics.bytes.inc(sum(len(message.data) for message in messages))
        metrics.commit_seconds.observe(time.monotonic() - started)
        if outcome.oldest_recv_ns:
            metrics.lag_seconds.set((time.time_ns() - outcome.oldest_recv_ns) / 1e9)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
