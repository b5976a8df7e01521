"""Publishing to a data stream: a bounded window, and resuming after a fault.

Waiting for each acknowledgement costs ten times the throughput, so up to ``window`` messages are
under way at once. The data streams answer before the disk has a message, so a crashed server may
forget its last milliseconds *after* having acknowledged them, and a client's own reconnect sends
what it had buffered ahead of what was lost on the old socket. Therefore on a failed acknowledgement,
a broken connection and at the start the publisher dials anew, asks the stream for the last ordinal
of each subject, and resends from its own log what came after.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
import nats.errors
import structlog

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.headers import MSG_ID, ORDINAL, PRODUCER
from tapestream.common.bus.ordinals import last_ordinals, stored_ids
from tapestream.common.bus.wire import Delivery, Wire, make_head, new_inbox
from tapestream.common.telemetry.metrics import PublisherMetrics

log = structlog.get_logger(__name__)

ACK_TIMEOUT_S = 5.0
HOUSEKEEPING_S = 0.25
RETRY_S = 0.1
REMEMBER_S = 5.0
"""How long acknowledged messages are kept for resending: the server flushes within 8 ms."""


class _ApiError(msgspec.Struct):
    description: str = ""


class _PubAck(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: _ApiError | None = None


_decode_ack = msgspec.json.Decoder(_PubAck).decode


@dataclass(slots=True)
class Outgoing:
    """One message on its way."""

    subject: str
    ordinal: int
    payload: bytes
    head: bytes
    put_at: float
    sent_at: float = 0.0
    acked_at: float = 0.0


class ResumingPublisher:
    """Writes to the subjects of one stream that nobody else writes to.

    Per subject, ordinals must grow. ``put`` never blocks; a caller that outruns the server watches
    :attr:`backlog_bytes` and stops reading its source.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        filters: list[str],
        producer: str,
        window: int = 256,
    ) -> None:
        self._bus, self._stream, self._filters, self._producer = bus, stream, filters, producer
        self._window = window
        self.on_orphan: Callable[[Outgoing], None] = lambda _: None
        """Called for a message that was refused while one behind it was stored."""
        self._waiting: deque[Outgoing] = deque()
        self._log: deque[Outgoing] = deque()  # sent, in order: unacknowledged and recently acknowledged
        self._in_flight: dict[int, Outgoing] = {}
        self._refused: list[Outgoing] = []
        self._serial = 0
        self._stored: dict[str, int] = {}
        self._wire: Wire | None = None
        """While sound, and what the stream holds is known."""
        self._inbox = ""
        self._sent = self._sent_bytes = self._acked = 0
        self._broken = asyncio.Event()
        self.backlog_bytes = 0
        self.ready = asyncio.Event()
        """Set while connected, with what the stream holds known."""
        self.metrics = PublisherMetrics(stream)

    # --- the caller's side

    def put(
        self,
        subject: str,
        ordinal: int,
        payload: bytes,
        headers: dict[str, str] | None = None,
        key: str | None = None,
    ) -> None:
        """Queue a message; what the stream already holds (by its ordinal) is skipped.

        ``key`` makes its message id where that must be the same in another process's life.
        """
        if ordinal <= self._stored.get(subject, ordinal - 1):
            self.metrics.skipped.inc()
            return
        headers = headers or {}
        headers[ORDINAL] = str(ordinal)
        headers[MSG_ID] = f"{subject}:{ordinal if key is None else key}"
        headers[PRODUCER] = self._producer
        self._waiting.append(Outgoing(subject, ordinal, payload, make_head(headers), time.monotonic()))
        self.backlog_bytes += len(payload)
        self._send_waiting()

    @property
    def behind_s(self) -> float:
        """How long the oldest message that is not acknowledged has waited, 0 without any."""
        oldest = next(iter(self._in_flight.values()), None) or (self._waiting[0] if self._waiting else None)
        return time.monotonic() - oldest.put_at if oldest is not None else 0.0

    def stored_ordinal(self, subject: str) -> int | None:
        """Ordinal of the last message that the stream held when it was last asked."""
        return self._stored.get(subject)

    async def ids_since(self, since: datetime | None) -> set[str]:
        """Message ids that the stream holds of what was written since an instant; waits while it is away."""
        while True:
            try:
                name = self._bus.subjects.stream(self._stream)
                return await stored_ids(self._bus.js, name, self._filters, since)
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("ids_retry", error=repr(error))
                await asyncio.sleep(0.2)

    async def drained(self) -> None:
        """Return when everything put so far is acknowledged."""
        called = time.monotonic()
        while not self.ready.is_set() or self.behind_s > time.monotonic() - called:
            await asyncio.sleep(0.005)

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._broken.clear()
            wire: Wire | None = None
            try:
                wire = await self._bus.dial(f"publisher {self._stream}", self._broken.set)
                self._inbox = new_inbox()
                wire.subscribe(f"{self._inbox}.*", self._on_ack)
                await self._resume()
                self._wire = wire
                self.ready.set()
                self._send_waiting()
                await self._keep_house()
                await asyncio.sleep(RETRY_S)  # what broke it may break the next one, too
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("publisher_retry", stream=self._stream, error=repr(error))
                await asyncio.sleep(RETRY_S)
            finally:
                self.ready.clear()
                self._wire = None
                if wire is not None:
                    if not wire.is_closed:
                        await self._settle()
                    wire.close()

    # --- sending

    async def _keep_house(self) -> None:
        """Beside the sending, until it breaks: a timer or a count for each message would cost as much as it."""
        while not self._broken.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HOUSEKEEPING_S):  # wait_for may swallow a cancellation
                    await self._broken.wait()
            self._report()
            self._forget_old()
            oldest = next(iter(self._in_flight.values()), None)
            if oldest is not None and time.monotonic() - oldest.sent_at > ACK_TIMEOUT_S:
                log.warning("publish_ack_overdue", subject=oldest.subject)
                self._broken.set()

    def _send_waiting(self) -> None:
        wire = self._wire
        if wire is None or self._broken.is_set():
            return
        while self._waiting and len(self._in_flight) < self._window:
            out = self._waiting.popleft()
            self._serial += 1
            out.sent_at = time.monotonic()
            self._in_flight[self._serial] = out
            self._log.append(out)
            wire.publish(out.subject, out.payload, f"{self._inbox}.{self._serial}", out.head)
            self._sent += 1
            self._sent_bytes += len(out.payload)

    def _on_ack(self, message: Delivery) -> None:
        out = self._in_flight.pop(int(message.subject[len(self._inbox) + 1 :]), None)
        if out is None:
            return  # answered after we had already started over
        try:
            ack = _decode_ack(message.data) if message.data else _PubAck(error=_ApiError("no stream answers"))
        except msgspec.DecodeError as error:
            ack = _PubAck(error=_ApiError(str(error)))
        if ack.error is not None:
            if not self._refused:
                log.warning("publish_refused", subject=out.subject, error=ack.error.description)
            self.metrics.refused.inc()
            self._refused.append(out)
            self._broken.set()
            return
        out.acked_at = time.monotonic()
        self.backlog_bytes -= len(out.payload)
        if out.ordinal > self._stored.get(out.subject, -1):
            self._stored[out.subject] = out.ordinal
        self._acked += 1
        self.metrics.ack_seconds.observe(out.acked_at - out.sent_at)
        if ack.duplicate:
            self.metrics.duplicates.inc()
        if self._waiting:
            self._send_waiting()

    def _report(self) -> None:
        self.metrics.published.inc(self._sent)
        self.metrics.bytes.inc(self._sent_bytes)
        self.metrics.acknowledged.inc(self._acked)
        self._sent = self._sent_bytes = self._acked = 0

    def _forget_old(self) -> None:
        if self.behind_s > HOUSEKEEPING_S:
            return  # a server that does not answer may not have stored what it acknowledged before
        horizon = time.monotonic() - REMEMBER_S
        while self._log and 0 < self._log[0].acked_at < horizon:
            self._log.popleft()

    # --- starting over

    async def _resume(self) -> None:
        """Bring the waiting queue back to just behind what the stream holds."""
        stored = await last_ordinals(self._bus.js, self._bus.subjects.stream(self._stream), self._filters)
        resend = [out for out in self._log if out.ordinal > stored.get(out.subject, -1)]
        orphans = [out for out in self._refused if out.ordinal <= stored.get(out.subject, -1)]
        lost_acks = sum(1 for out in resend if out.acked_at)
        self._stored = stored
        self._log.clear()
        self._in_flight.clear()
        self._refused.clear()
        for out in resend:
            out.acked_at = 0.0
        self._waiting.extendleft(reversed(resend))
        self.backlog_bytes = sum(len(out.payload) for out in self._waiting)
        if resend:
            log.info(
                "publisher_resumed", stream=self._stream, resent=len(resend), forgotten_by_server=lost_acks
            )
            self.metrics.resent.inc(len(resend))
        for out in orphans:
            self.on_orphan(out)

    async def _settle(self) -> None:
        """Give acknowledgements that are already on their way a moment to arrive."""
        deadline = time.monotonic() + 0.25
        while self._in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
