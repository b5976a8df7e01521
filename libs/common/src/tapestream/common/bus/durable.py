"""Reading a stream in strict order, from a position that the database keeps.

A consumer's own memory does not do here. After a crash it hands out newer messages first and those
that were under way when their time is up, after a server's crash it may stand behind the end of
its stream, and after ``max_deliver`` tries it forgets. So the consumer is made anew, right behind
the last applied message, at each start, after each reconnect and whenever a message is missing
from its own numbering. Acknowledgements then only tell others how far we are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import api
from nats.js.errors import NotFoundError

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.headers import ERROR, MSG_ID, ORIGIN
from tapestream.common.bus.offset import Offset

log = structlog.get_logger(__name__)

PULL_MESSAGES, PULL_BYTES, PULL_EXPIRES_S = 256, 4 << 20, 5.0
HOLD_MESSAGES = 512
"""Messages held at most, beyond those under way: reading ahead while a flush is written."""
FLUSH_BYTES = 5 << 19
"""About fifty thousand trades: a flush of that size is written in a quarter of a second."""
OVERLAP_S = 60.0
"""Where the stream has another message than the one applied last, read again from this long before
it: a crashed server forgets milliseconds, and what is recorded already is recognised by its ids."""
_ACK_WAIT_S = 300.0

_REQUEST_ENDS = ("Batch Completed", "Message Size Exceeds MaxBytes")
"""A request's ordinary ends; any other 409 means that the consumer is gone or moving."""

FAULTS = (nats.errors.Error, TimeoutError, OSError)


class OrderBrokenError(Exception):
    """The next message is not the one behind the last: rewind, then go on."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream."""

    subject: str
    data: bytes
    offset: Offset
    reply: str


class DurableReader:
    """One durable pull consumer, made anew at each rewind."""

    def __init__(self, bus: Bus, *, stream: str, durable: str, filters: list[str]) -> None:
        self._bus, self._plain_stream, self.durable = bus, stream, durable
        self.stream = bus.subjects.stream(stream)
        self._filters = filters
        self._held: deque[Stored] = deque()
        self._arrived = asyncio.Event()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._pull = 0
        self._under_way = 0
        self._pull_deadline = 0.0
        self._consumer_seq = 0
        self._broken = "not started"
        bus.on_reconnect(self._on_reconnect)

    # --- position

    async def rewind(self, offset: Offset | None) -> None:
        """Stand right behind ``offset``, or at the oldest message. Raises nats errors and TimeoutError."""
        await self.close()
        self._broken = ""
        config = api.ConsumerConfig(
            durable_name=self.durable,
            filter_subjects=self._filters,
            ack_policy=api.AckPolicy.ALL,
            ack_wait=_ACK_WAIT_S,
            max_ack_pending=100_000,
            deliver_policy=api.DeliverPolicy.ALL,
        )
        if offset is not None:
            await self._start_behind(offset, config)
        with contextlib.suppress(NotFoundError):
            await self._bus.js.delete_consumer(self.stream, self.durable)
        await self._bus.js.add_consumer(self.stream, config)
        self._inbox = self._bus.nc.new_inbox()
        self._subscription = await self._bus.nc.subscribe(
            f"{self._inbox}.*", cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        self._consumer_seq = 0
        await self._ask()

    async def close(self) -> None:
        """Stop reading; what is held is read again later."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(*FAULTS):
                await subscription.unsubscribe()
        self._held.clear()
        self._under_way = 0
        self._broken = "closed"

    async def _start_behind(self, offset: Offset, config: api.ConsumerConfig) -> None:
        state = (await self._bus.js.stream_info(self.stream)).state
        if offset.seq < state.first_seq and offset.seq <= state.last_seq:
            same = True  # it has gone with age: whatever follows is newer
        else:
            same = await self._stored_us(offset.seq) == offset.stored_ns // 1000
        if same:
            config.deliver_policy = api.DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = offset.seq + 1
            return
        start = datetime.fromtimestamp(offset.stored_ns / 1e9 - OVERLAP_S, UTC)
        log.warning("stream_is_another", stream=self.stream, seq=offset.seq, reading_from=start.isoformat())
        config.deliver_policy = api.DeliverPolicy.BY_START_TIME
        config.opt_start_time = start

    async def _stored_us(self, seq: int) -> int | None:
        """When the stream stored a message, in microseconds since 1970; None where it has none."""
        answer = await self._bus.nc.request(
            f"$JS.API.STREAM.MSG.GET.{self.stream}", json.dumps({"seq": seq}).encode(), timeout=5
        )
        found = json.loads(answer.data).get("message")
        if found is None:
            return None
        whole, _, fraction = found["time"].removesuffix("Z").partition(".")
        seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
        return seconds * 1_000_000 + int(fraction[:6].ljust(6, "0"))

    # --- reading

    async def fetch(self, wait_s: float) -> list[Stored]:
        """What is there, in order, up to a flush's size, after waiting ``wait_s`` for the first at most.

        Raises OrderBrokenError where the connection or the order was lost.
        """
        if not self._held and not self._broken:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), wait_s)
        if self._broken:
            raise OrderBrokenError(self._broken)
        taken: list[Stored] = []
        size = 0
        while self._held and size < FLUSH_BYTES:
            taken.append(self._held.popleft())
            size += len(taken[-1].data)
        await self._ask()
        return taken

    async def ack(self, last: Stored) -> None:
        """Tell the server that this message and all before it are applied."""
        with contextlib.suppress(*FAULTS):
            await self._bus.nc.publish(last.reply, b"+ACK")

    async def dead_letter(self, message: Stored, error: str) -> None:
        """Copy a poison message to ``dlq.<stream>.<consumer>``, the error in its headers.

        Raises nats errors and TimeoutError: it must be stored before the position moves on.
        """
        origin = f"{message.subject} {self.stream} {message.offset.seq}"
        headers = {
            ERROR: " ".join(error[:500].split()),
            ORIGIN: origin,
            MSG_ID: f"{self.durable}:{origin}:{message.offset.stored_ns}",
        }
        subject = self._bus.subjects.dead_letter(self._plain_stream, self.durable)
        await self._bus.js.publish(subject, message.data, headers=headers)
        log.error("dead_letter", origin=origin, error=error)

    async def _ask(self) -> None:
        """Keep one request with the server, as long as there is room."""
        now = asyncio.get_running_loop().time()
        if self._under_way > 0 and now > self._pull_deadline:
            self._break("the server does not answer")
        if self._broken or self._under_way > 0 or len(self._held) >= HOLD_MESSAGES:
            return
        self._pull += 1
        self._under_way = PULL_MESSAGES
        self._pull_deadline = now + 2 * PULL_EXPIRES_S
        request = {"batch": PULL_MESSAGES, "max_bytes": PULL_BYTES, "expires": int(PULL_EXPIRES_S * 1e9)}
        try:
            await self._bus.nc.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}",
                json.dumps(request).encode(),
                f"{self._inbox}.{self._pull}",
            )
        except FAULTS as error:
            self._break(repr(error))

    async def _on_message(self, message: Msg) -> None:
        if self._broken or not message.subject:
            return
        if message.subject.startswith(self._inbox):
            self._on_status(message)
        else:
            self._take(message)
        await self._ask()

    def _on_status(self, message: Msg) -> None:
        status = (message.headers or {}).get("Status", "")
        description = (message.headers or {}).get("Description", "")
        if status == "100":
            return
        if message.subject != f"{self._inbox}.{self._pull}":
            return  # the end of a request that we had given up
        if status in ("404", "408") or (status == "409" and description in _REQUEST_ENDS):
            self._under_way = 0
        else:
            self._break(f"{status} {description}".strip())

    def _take(self, message: Msg) -> None:
        # $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>,
        # on some servers with domain and account before the stream and a token at the end.
        tokens = message.reply.split(".")
        deliveries, seq, consumer_seq, stored_ns = tokens[4:8] if len(tokens) == 9 else tokens[6:10]
        if deliveries != "1" or int(consumer_seq) != self._consumer_seq + 1:
            self._break(f"message {seq} came out of order")
            return
        self._consumer_seq += 1
        self._under_way -= 1
        self._held.append(
            Stored(message.subject, message.data, Offset(int(seq), int(stored_ns)), message.reply)
        )
        self._arrived.set()

    def _break(self, why: str) -> None:
        self._broken = self._broken or why
        self._arrived.set()

    async def _on_reconnect(self) -> None:
        self._break("reconnected")
