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

FETCH_WAIT_S, GATHER_S = 0.5, 0.02
_decode = decoder(AlertFired).decode

_EVENT = """
    INSERT INTO alert_events (id, rule_id, version, ordinal, ts, ts_ns, severity, name, message, metric,
        instruments, op, actual_value, threshold_value, conditions)
    VALUES (%s, %s, %s, %s, to_timestamp(0) + %s * interval '1 microsecond', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
_COUNT = """
    UPDATE alert_rules SET trigger_count = trigger_count + 1,
        version_count = version_count + (version = %(version)s)::int,
        last_triggered = to_timestamp(0) + %(us)s * interval '1 microsecond', last_value = %(value)s
    WHERE id = %(rule)s
"""
_NOTIFY = """
    INSERT INTO alert_deliveries (event_id, url, state, attempts, created_at, next_attempt_at, last_error)
    SELECT %s, url, 'waiting', 0, now(), now(), '' FROM alert_rules, jsonb_array_elements_text(spec -> 'channels') url
    WHERE id = %s
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
        firings: list[AlertFired] = []
        for message in messages:
            try:
                firings.append(_decode(message.data))
            except msgspec.DecodeError as error:
                await self._source.dead_letter(message, str(error))
        async with connection.transaction(), connection.cursor() as cursor:
            for fired in firings:
                await cursor.execute(_EVENT, _row(fired))
                if cursor.rowcount:
                    await cursor.execute(_COUNT, _counted(fired))
                    await cursor.execute(_NOTIFY, [fired.id, fired.rule_id])
                    figures.RECORDED.inc()
            await self._projection.advance(connection, messages[-1].offset)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _row(fired: AlertFired) -> list[object]:
    return [
        fired.id,
        fired.rule_id,
        fired.version,
        fired.ordinal,
        fired.ts_ns // 1000,
        fired.ts_ns,
        fired.severity,
        fired.name,
        fired.message,
        fired.metric,
        fired.of,
        fired.op,
        fired.actual_value,
        fired.threshold_value,
        msgspec.json.encode(fired.conditions).decode(),
    ]


def _counted(fired: AlertFired) -> dict[str, object]:
    return {
        "version": fired.version,
        "us": fired.ts_ns // 1000,
        "value": fired.actual_value,
        "rule": fired.rule_id,
    }
