"""Notifying channels: what the history wants delivered, until it is, or its time is up.

Each URL has a task of its own, so that one that does not answer holds up only what is for itself; its
notifications go out in the order of the firings. A process killed between sending and noting so sends
again, with the same delivery id.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from tapestream.alerts import figures
from tapestream.alerts.channel import Delivery, DeliveryError, SendOptions
from tapestream.alerts.masking import masked
from tapestream.alerts.registry import channel_of
from tapestream.common.backoff import full_jitter
from tapestream.common.contracts.alerts import AlertEvent, FiredCondition

log = structlog.get_logger(__name__)

AT_ONCE = 64
"""URLs that are notified at the same time."""
LOOK_AGAIN_S = 30.0
FIRST_WAIT_S = 1.0

_URLS = "SELECT DISTINCT url FROM alert_deliveries WHERE state = 'waiting'"
_WAITING = "SELECT count(*) FROM alert_deliveries WHERE state = 'waiting'"
_NEXT = """
    SELECT d.id, d.attempts, d.created_at + cast(:deadline AS interval) < now() AS late, e.id AS event_id, e.rule_id,
        e.version, e.ordinal, e.name, e.message, e.severity, e.ts_ns, e.metric, e.instruments, e.op,
        e.actual_value, e.threshold_value, e.conditions::text AS conditions
    FROM alert_deliveries d JOIN alert_events e ON e.id = d.event_id
    WHERE d.url = :url AND d.state = 'waiting' ORDER BY d.id LIMIT 1
"""
_DONE = """
    UPDATE alert_deliveries SET state = 'delivered', attempts = :attempts, delivered_at = now(),
        next_attempt_at = NULL, last_error = '' WHERE id = :id
"""
_FAILED = """
    UPDATE alert_deliveries SET state = CASE WHEN :final THEN 'failed' ELSE 'waiting' END, attempts = :attempts,
        next_attempt_at = CASE WHEN :final THEN NULL ELSE now() + cast(:wait AS interval) END, last_error = :error
    WHERE id = :id
"""


class Deliveries:
    """Runs for as long as the process lives."""

    def __init__(
        self, engine: AsyncEngine, options: SendOptions, *, deadline_s: float, longest_wait_s: float
    ) -> None:
        self._engine, self._options = engine, options
        self._deadline, self._longest_wait_s = timedelta(seconds=deadline_s), longest_wait_s
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        """There may be something new to deliver."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                with contextlib.suppress(SQLAlchemyError, OSError):
                    await self._begin()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._wake.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _begin(self) -> None:
        async with self._engine.connect() as connection:
            urls = (await connection.execute(sa.text(_URLS))).scalars().all()
            figures.WAITING.set((await connection.execute(sa.text(_WAITING))).scalar() or 0)
        for url in urls:
            if url not in self._tasks:
                self._tasks[url] = asyncio.create_task(self._serve(url))

    async def _serve(self, url: str) -> None:
        """Deliver all that waits for a URL."""
        waits = full_jitter(FIRST_WAIT_S, self._longest_wait_s)
        try:
            while (row := await self._next(url)) is not None:
                error = await self._try(url, row)
                wait_s = 0.0 if error is None else next(waits)
                await self._note(row, error, wait_s)
                if error is None:
                    waits = full_jitter(FIRST_WAIT_S, self._longest_wait_s)
                await asyncio.sleep(wait_s)
        except (SQLAlchemyError, OSError) as error:
            log.warning("delivery_paused", channel=masked(url), error=type(error).__name__)
            await asyncio.sleep(next(waits))
            self.wake()
        finally:
            self._tasks.pop(url, None)
            self.wake()  # what came in the very last moment

    async def _next(self, url: str) -> Any:
        async with self._engine.connect() as connection:
            found = await connection.execute(sa.text(_NEXT), {"url": url, "deadline": self._deadline})
            return found.first()

    async def _try(self, url: str, row: Any) -> DeliveryError | None:
        channel = channel_of(url)
        if channel is None:
            return DeliveryError("no channel takes this URL", is_final=True)
        outcome = "failed"
        try:
            async with self._slots:
                await channel.send(Delivery(row.id, url, _event(row), row.attempts + 1), self._options)
            outcome = "delivered"
        except DeliveryError as error:
            log.warning("delivery_failed", channel=masked(url), error=str(error), attempt=row.attempts + 1)
            return error
        except Exception as error:  # noqa: BLE001 - whatever one URL does, its task must wait before it tries again
            name = type(error).__name__  # its text may hold the URL
            log.warning("delivery_failed", channel=masked(url), error=name, attempt=row.attempts + 1)
            return DeliveryError(name, is_final=isinstance(error, ValueError))
        finally:
            figures.DELIVERIES.labels(channel.name, outcome).inc()
        return None

    async def _note(self, row: Any, error: DeliveryError | None, wait_s: float) -> None:
        values: dict[str, Any] = {"id": row.id, "attempts": row.attempts + 1}
        if error is not None:
            final = error.is_final or row.late
            values |= {"final": final, "wait": timedelta(seconds=wait_s), "error": str(error)[:300]}
        async with self._engine.begin() as connection:
            await connection.execute(sa.text(_DONE if error is None else _FAILED), values)


def _event(row: Any) -> AlertEvent:
    return AlertEvent(
        id=row.event_id,
        rule_id=row.rule_id,
        version=row.version,
        ordinal=row.ordinal,
        name=row.name,
        message=row.message,
        severity=row.severity,
        ts_ns=row.ts_ns,
        metric=row.metric,
        of=row.instruments,
        op=row.op,
        actual_value=row.actual_value,
        threshold_value=row.threshold_value,
        conditions=msgspec.json.decode(row.conditions, type=list[FiredCondition]),
        deliveries=[],
    )
