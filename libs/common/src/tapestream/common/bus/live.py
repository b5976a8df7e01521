"""Reading a stream live and in order, from memory: for those who keep no position of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import api

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Incoming
from tapestream.common.bus.wire import AckPosition, Delivery, Wire, ack_position, make_head, new_inbox

log = structlog.get_logger(__name__)

REWIND_S = 5.0
"""After a reconnect, read again from this long before the last message: a crashed server may have
forgotten its last milliseconds and given their sequences to other messages since."""
RETRY_S = 0.1
HEARTBEAT_S = 2.0
MISSED_HEARTBEATS = 3
"""With so many missing, the server or the consumer is taken for gone."""


class LiveReader:
    """An ordered consumer on a connection of its own, both made anew when anything is missing.

    ``handle`` is called for each message, in stream order, in the call that read it off the socket.
    After a break it sees the last seconds again: it must ignore what it knows by the ids in the
    payload.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        filters: list[str],
        handle: Callable[[Incoming], None],
        start: datetime | None = None,
    ) -> None:
        self._bus, self._stream, self._filters = bus, bus.subjects.stream(stream), filters
        self._plain_stream = stream
        self._handle = handle
        self._start = start
        self._last_stored_ns = 0
        self._wire: Wire | None = None
        self._consumer_seq = 0
        self._heard_s = 0.0
        self._restart = asyncio.Event()
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._bus.connected.wait()
            self._restart.clear()
            try:
                await self._begin()
                while loop.time() - self._heard_s < HEARTBEAT_S * MISSED_HEARTBEATS:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT_S):  # wait_for may swallow a cancellation
                            await self._restart.wait()
                        break
                log.info("live_reader_restarts", stream=self._stream)
                await asyncio.sleep(RETRY_S)
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("live_reader_retry", stream=self._stream, error=repr(error))
                await asyncio.sleep(RETRY_S)
            finally:
                if self._wire is not None:
                    self._wire.close()
                    self._wire = None

    async def _begin(self) -> None:
        wire = self._wire = await self._bus.dial(f"reader {self._stream}", self._restart.set)
        inbox = new_inbox()
        self._consumer_seq = 0
        self._heard_s = asyncio.get_running_loop().time()
        wire.subscribe(inbox, self._on_delivery)
        await wire.flush()  # the server must know of it before there is a consumer
        info = await self._bus.js.add_consumer(self._stream, self._config(inbox))
        if not info.num_pending:
            self.caught_up.set()

    def _config(self, inbox: str) -> api.ConsumerConfig:
        config = api.ConsumerConfig(
            deliver_subject=inbox,
            filter_subjects=self._filters,
            deliver_policy=api.DeliverPolicy.ALL,
            ack_policy=api.AckPolicy.NONE,
            max_deliver=1,
            mem_storage=True,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_S,
        )
        start = self._start
        if self._last_stored_ns:
            start = datetime.fromtimestamp(self._last_stored_ns / 1e9 - REWIND_S, tz=UTC)
        if start is not None:
            config.deliver_policy = api.DeliverPolicy.BY_START_TIME
            config.opt_start_time = start
        return config

    def _on_delivery(self, message: Delivery) -> None:
        wire = self._wire
        if self._restart.is_set() or wire is None:
            return
        self._heard_s = asyncio.get_running_loop().time()
        if not message.reply.startswith("$JS.ACK."):
            self._on_status(message, wire)
            return
        at = ack_position(message.reply)
        if at.consumer_seq != self._consumer_seq + 1:
            log.warning("live_reader_missed", stream=self._stream, after_seq=self._consumer_seq)
            self._restart.set()
            return
        self._consumer_seq = at.consumer_seq
        try:
            self._handle(_incoming(message, message.head, at, self._plain_stream))
        except Exception:
            log.exception("live_message_failed", subject=message.subject, seq=at.stream_seq)
        self._last_stored_ns = max(self._last_stored_ns, at.stored_ns)
        if at.pending == 0:
            self.caught_up.set()

    def _on_status(self, message: Delivery, wire: Wire) -> None:
        """A heartbeat says how far the server thinks we are; a flow control request wants an answer."""
        headers = message.headers
        last = headers.get("Nats-Last-Consumer", "")
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled", "")
        if answer_to:
            wire.publish(answer_to, b"")
        elif last.isdigit() and int(last) != self._consumer_seq:
            self._restart.set()


def incoming_of(message: Msg, stream: str) -> Incoming:
    """A message that the client fetched, its sequence and time read from its reply subject."""
    return _incoming(message, make_head(message.headers or {}), ack_position(message.reply), stream)


def _incoming(message: Msg | Delivery, head: bytes, at: AckPosition, stream: str) -> Incoming:
    return Incoming(message.subject, message.data, head, at.stream_seq, at.stored_ns, at.pending, stream)
