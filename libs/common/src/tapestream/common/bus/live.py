"""Reading a stream live and in order, from memory: for those who keep no position of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Incoming

log = structlog.get_logger(__name__)

REWIND_S = 5.0
"""After a reconnect, read again from this long before the last message: a crashed server may have
forgotten its last milliseconds and given their sequences to other messages since."""


class LiveReader:
    """An ordered consumer that is made anew on every reconnect.

    ``handle`` is called for each message, in stream order. After a reconnect it sees the last
    seconds again: it must ignore what it knows by the ids in the payload.
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
        self._handle = handle
        self._start = start
        self._last_stored_ns = 0
        self._subscription: JetStreamContext.PushSubscription | None = None
        self._restart = asyncio.Event()
        self.caught_up = asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled."""
        self._bus.on_reconnect(self._on_reconnect)
        while True:
            self._restart.clear()
            await self._bus.connected.wait()
            try:
                await self._subscribe()
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("live_reader_retry", stream=self._stream, error=repr(error))
                await asyncio.sleep(0.1)
                continue
            try:
                await self._restart.wait()
            finally:
                await self._unsubscribe()

    async def _subscribe(self) -> None:
        config = api.ConsumerConfig(filter_subjects=self._filters)
        start = self._start
        if self._last_stored_ns:
            start = datetime.fromtimestamp(self._last_stored_ns / 1e9 - REWIND_S, tz=UTC)
        if start is None:
            config.deliver_policy = api.DeliverPolicy.ALL
        else:
            config.deliver_policy = api.DeliverPolicy.BY_START_TIME
            config.opt_start_time = start
        self._subscription = await self._bus.js.subscribe(
            self._filters[0],
            stream=self._stream,
            cb=self._on_message,
            config=config,
            ordered_consumer=True,
            idle_heartbeat=2,
            pending_msgs_limit=-1,
            pending_bytes_limit=256 << 20,
        )
        info = await self._subscription.consumer_info()
        if not info.num_pending:
            self.caught_up.set()

    async def _unsubscribe(self) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._subscription.unsubscribe()
            self._subscription = None

    async def _on_reconnect(self) -> None:
        self._restart.set()

    async def _on_message(self, message: Msg) -> None:
        incoming = incoming_of(message)
        try:
            self._handle(incoming)
        except Exception:
            log.exception("live_message_failed", subject=message.subject, seq=incoming.seq)
        self._last_stored_ns = max(self._last_stored_ns, incoming.stored_ns)
        if incoming.pending == 0:
            self.caught_up.set()


def incoming_of(message: Msg) -> Incoming:
    """Read the sequence and time of a JetStream message from its reply subject.

    ``$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>``,
    with a domain and an account hash in front of the stream on some servers.
    """
    tokens = message.reply.split(".")
    sequence, _, stored_ns, pending = tokens[-4:] if len(tokens) == 9 else tokens[-5:-1]
    return Incoming(
        message.subject, message.data, message.headers or {}, int(sequence), int(stored_ns), int(pending)
    )
