"""Reading a stream at one's own pace, from a position that the server remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.headers import ERROR, MSG_ID, ORIGIN

log = structlog.get_logger(__name__)

ACK_WAIT_S = 30.0
MAX_DELIVER = 20


class DurableReader:
    """A durable pull consumer: acknowledged after commit, at least once, poison dead-lettered."""

    def __init__(
        self,
        bus: Bus,
        *,
        stream: str,
        durable: str,
        filters: list[str],
        max_ack_pending: int = 4096,
    ) -> None:
        self._bus, self._stream, self._durable = bus, bus.subjects.stream(stream), durable
        self._short_stream = stream
        self._config = api.ConsumerConfig(
            durable_name=durable,
            filter_subjects=filters,
            deliver_policy=api.DeliverPolicy.ALL,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_S,
            max_deliver=MAX_DELIVER,
            max_ack_pending=max_ack_pending,
        )
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._bus.on_reconnect(self._on_reconnect)

    async def fetch(self, most: int = 256, wait_s: float = 1.0) -> list[Msg]:
        """Messages that are there, after waiting ``wait_s`` for the first at most.

        Returns an empty list when nothing came and also while the server is away.
        """
        try:
            if self._subscription is None:
                await self._bind()
            assert self._subscription is not None
            return await self._subscription.fetch(most, timeout=wait_s)
        except nats.errors.TimeoutError:
            return []
        except (nats.errors.Error, OSError) as error:
            log.debug("durable_fetch_failed", consumer=self._durable, error=repr(error))
            self._subscription = None
            await asyncio.sleep(0.1)
            return []

    async def ack(self, messages: Sequence[Msg]) -> None:
        """Acknowledge; where the server is away they come again, which the reader's keys absorb."""
        for message in messages:
            await self._quietly(message, b"+ACK")

    async def nak(self, messages: Sequence[Msg], delay_s: float) -> None:
        """Ask for the messages again after a delay."""
        for message in messages:
            await self._quietly(message, b'-NAK {"delay": %d}' % int(delay_s * 1e9))

    async def dead_letter(self, message: Msg, error: str) -> None:
        """Move a poison message to ``dlq.<stream>.<consumer>`` with the error in its headers."""
        origin = f"{message.subject} {self._stream} {message.metadata.sequence.stream}"
        subject = self._bus.subjects.dead_letter(self._short_stream, self._durable)
        headers = {ERROR: error[:500].replace("\n", " "), ORIGIN: origin, MSG_ID: f"{self._durable}:{origin}"}
        try:
            await self._bus.js.publish(subject, message.data, headers=headers)
        except (nats.errors.Error, TimeoutError, OSError) as failure:
            log.warning("dead_letter_failed", error=repr(failure))
            await self.nak([message], 1.0)
            return
        log.error("dead_letter", origin=origin, error=error)
        await self._quietly(message, b"+TERM")

    async def pending(self) -> int:
        """How many messages the stream holds that were not delivered yet."""
        info = await self._bus.js.consumer_info(self._stream, self._durable)
        return info.num_pending or 0

    async def _bind(self) -> None:
        try:
            await self._bus.js.consumer_info(self._stream, self._durable)
        except NotFoundError:
            await self._bus.js.add_consumer(self._stream, self._config)
        self._subscription = await self._bus.js.pull_subscribe_bind(
            self._durable, stream=self._stream, pending_msgs_limit=-1, pending_bytes_limit=256 << 20
        )

    async def _quietly(self, message: Msg, answer: bytes) -> None:
        try:
            await self._bus.nc.publish(message.reply, answer)
        except (nats.errors.Error, OSError) as error:
            log.debug("ack_failed", error=repr(error))

    async def _on_reconnect(self) -> None:
        self._subscription = None
