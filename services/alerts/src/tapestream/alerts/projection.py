"""The history of firings: rows and position in one transaction, read from the stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection

from tapestream.alerts import figures
from tapestream.common.backoff import full_jitter
from tapestream.common.bus.durable import FAULTS, DurableReader, OrderBrokenError, Stored
from tapestream.common.contracts.alerts import AlertFired
from tapestream.common.contracts.messages import decoder
from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe, is_passing
from tapestream.common.db.projection import Projection
from tapestream.common.telemetry.health import Health

log = structlog.get_logger(__name__)

FETCH_WAIT_S, GATHER_S = 0.5, 0.05
_decode = decoder(AlertFired).decode

# The messages are JSON, so that Postgres takes a whole flush as it is, in one statement.
_WRITE = """
    WITH fired AS (
        SELECT * FROM jsonb_to_recordset(%s::jsonb) AS fired (id int8, rule_id int4, version int4, ordinal int4,
            ts_ns int8, severity text, name text, message text, metric text, "of" text, op text,
            actual_value float8, threshold_value float8, conditions jsonb)
    ), added AS (
        INSERT INTO alert_events (id, rule_id, version, ordinal, ts, ts_ns, severity, name, message, metric,
            instruments, op, actual_value, threshold_value, conditions)
        SELECT id, rule_id, version, ordinal, to_timestamp(0) + ts_ns / 1000 * interval '1 microsecond', ts_ns,
            severity, name, message, metric, "of", op, actual_value, threshold_value, conditions
        FROM fired ON CONFLICT DO NOTHING RETURNING id, rule_id, version, ts, actual_value
    ), counted AS (
        UPDATE alert_rules SET trigger_count = trigger_count + news.fired, version_count = version_count + news.same,
            last_triggered = news.ts, last_value = news.value
        FROM (SELECT rule_id, count(*) AS fired, count(*) FILTER (WHERE added.version = rules.version) AS same,
                (array_agg(ts ORDER BY added.id DESC))[1] AS ts,
                (array_agg(actual_value ORDER BY added.id DESC))[1] AS value
            FROM added JOIN alert_rules rules ON rules.id = rule_id GROUP BY rule_id) AS news
        WHERE alert_rules.id = news.rule_id
    ), notified AS (
        INSERT INTO alert_deliveries (event_id, url, state, attempts, created_at, next_attempt_at, last_error)
        SELECT added.id, url, 'waiting', 0, now(), now(), ''
        FROM added JOIN alert_rules ON alert_rules.id = rule_id, jsonb_array_elements_text(spec -> 'channels') url
        ORDER BY added.id
    )
    SELECT count(*) FROM added
"""


class EventWriter:
    """Writes ``alert_events``, the counts of the rules, and what is to be delivered."""

    def __init__(
        self, url: str, source: DurableReader, health: Health, on_written: Callable[[], None]
    ) -> None:
        self._url, self._source, self._health, self._on_written = url, source, health, on_written
        self._projection = Projection(source.durable, source.stream)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish what is under way, then return from :meth:`run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Write until stopped; outages of either server are waited for."""
        delays = full_jitter(0.2, 5.0)
        while not self._stopping.is_set():
            try:
                async with await connect(self._url, "tapestream alerts history") as connection:
                    while not await self._projection.take(connection):
                        await self._pause(0.5)  # the connection of a former life is about to end
                    await self._source.rewind(await self._projection.offset(connection))
                    self._health.set("history", True)
                    delays = full_jitter(0.2, 5.0)
                    await self._flow(connection)
            except OrderBrokenError as why:
                log.info("rewind", reason=str(why))
                await self._pause(0.1)
            except (psycopg.Error, *FAULTS) as error:
                if isinstance(error, psycopg.Error) and not is_passing(error):
                    log.exception("history_failed")
                self._health.set("history", False, describe(error))
                await self._pause(next(delays))
            finally:
                await self._source.close()

    async def _flow(self, connection: AsyncConnection) -> None:
        while not self._stopping.is_set():
            messages = await self._source.fetch(FETCH_WAIT_S, GATHER_S)
            if messages:
                await self._write(connection, messages)
                self._source.ack(messages[-1])
                self._on_written()

    async def _write(self, connection: AsyncConnection, messages: Sequence[Stored]) -> None:
        firings: list[bytes] = []
        for message in messages:
            try:
                _decode(message.data)
            except msgspec.DecodeError as error:
                await self._source.dead_letter(message, str(error))
            else:
                firings.append(message.data)
        async with connection.transaction():
            if firings:
                written = await connection.execute(_WRITE, [(b"[" + b",".join(firings) + b"]").decode()])
                row = await written.fetchone()
                figures.RECORDED.inc(row[0] if row else 0)
            await self._projection.advance(connection, messages[-1].offset)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
