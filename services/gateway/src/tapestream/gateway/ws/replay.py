"""Reading a stretch of a stream once, from a sequence on."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

import nats.errors
from nats.js import JetStreamContext, api

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.live import Incoming, incoming_of

FETCH = 50
"""Messages at once; each may have half a megabyte."""


class StreamReplay:
    """An ephemeral consumer for one reading; raises nats errors and TimeoutError."""

    def __init__(self, bus: Bus, stream: str, filters: list[str], start_seq: int) -> None:
        self._bus, self._stream = bus, bus.subjects.stream(stream)
        self._plain_stream = stream
        self._filters, self._start_seq = filters, max(1, start_seq)
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._name = ""
        self._left = 0
        self.first_seq = 0
        """The oldest sequence that the stream still holds."""

    async def __aenter__(self) -> Self:
        self.first_seq = (await self._bus.js.stream_info(self._stream)).state.first_seq
        info = await self._bus.js.add_consumer(
            self._stream,
            api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._start_seq,
                ack_policy=api.AckPolicy.NONE,
                filter_subjects=self._filters,
                mem_storage=True,
                inactive_threshold=30,
            ),
        )
        self._name, self._left = info.name, info.num_pending or 0
        self._subscription = await self._bus.js.pull_subscribe_bind(info.name, stream=self._stream)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await self._subscription.unsubscribe()
                await self._bus.js.delete_consumer(self._stream, self._name)

    async def next(self) -> list[Incoming]:
        """The next messages, empty when what the stream held at the start has been read."""
        if self._left <= 0 or self._subscription is None:
            return []
        messages = await self._subscription.fetch(min(FETCH, self._left), timeout=2)
        incoming = [incoming_of(message, self._plain_stream) for message in messages]
        self._left = incoming[-1].pending if incoming else 0
        return incoming
