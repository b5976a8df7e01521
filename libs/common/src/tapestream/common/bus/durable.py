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
from nats.js import api
from nats.js.errors import NotFoundError

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.headers import ERROR, MSG_ID, ORIGIN
from tapestream.common.bus.offset import Offset
from tapestream.common.bus.wire import Delivery, Wire, ack_position, new_inbox

log = structlog.get_logger(__name__)

PULL_MESSAGES, PULL_BYTES, PULL_EXPIRES_S = 256, 4 << 20, 5.0
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
        self._arrived, self._ended = asyncio.Event(), asyncio.Event()
        self._wire: Wire | None = None
        self._inbox = ""
        self._pull = 0
        self._under_way = 0
        """Messages still to come of the one request that the server has."""
        self._asked = 0
        self._more = False
        """The last request was filled: the stream has more than that."""
        self._pull_deadline = 0.0
        self._consumer_seq = 0
        self._broken = "not started"

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
        self._wire = await self._bus.dial(f"reader {self.durable}", lambda: self._break("connection lost"))
        self._inbox = new_inbox()
        self._wire.subscribe(f"{self._inbox}.*", self._on_message)
        self._consumer_seq = 0

    async def close(self) -> None:
        """Stop reading; what is held is read again later."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        self._held.clear()
        self._under_way, self._more = 0, False
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

    async def fetch(self, wait_s: float, gather_s: float = 0.0) -> list[Stored]:
        """What is there, in order, up to a flush's size, after waiting ``wait_s`` for the first at most.

        Unless the stream is known to have plenty, ``gather_s`` is waited for others to join the first:
        being woken for each message would cost more than handling it. Raises OrderBrokenError where
        the connection or the order was lost.
        """
        if not self._held:
            self._ask(1)
            await _within(self._arrived, wait_s)
        if self._held and not self._more and gather_s > 0:
            await asyncio.sleep(gather_s)
        if self._held:
            self._ask(PULL_MESSAGES)
            await _within(self._ended, PULL_EXPIRES_S)
        if self._broken:
            raise OrderBrokenError(self._broken)
        taken: list[Stored] = []
        size = 0
        while self._held and size < FLUSH_BYTES:
            taken.append(self._held.popleft())
            size += len(taken[-1].data)
        if not self._held:
            self._arrived.clear()
        if self._more and len(self._held) < PULL_MESSAGES:
            self._ask(PULL_MESSAGES)  # read while the flush is written
        return taken

    def ack(self, last: Stored) -> None:
        """Tell the server that this message and all before it are applied."""
        if self._wire is not None:
            self._wire.publish(last.reply, b"+ACK")

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

    def _ask(self, messages: int) -> None:
        """Send a request if none is under way: for one message whenever it comes, for more if they are there."""
        now = asyncio.get_running_loop().time()
        if self._under_way > 0 and now > self._pull_deadline:
            self._break("the server does not answer")
        if self._broken or self._under_way > 0 or self._wire is None:
            return
        self._pull += 1
        self._asked = self._under_way = messages
        self._ended.clear()
        self._pull_deadline = now + 2 * PULL_EXPIRES_S
        request: dict[str, int | bool] = {"batch": messages, "max_bytes": PULL_BYTES}
        if messages == 1:
            request["expires"] = int(PULL_EXPIRES_S * 1e9)
        else:
            request["no_wait"] = True
        self._wire.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}",
            json.dumps(request).encode(),
            f"{self._inbox}.{self._pull}",
        )

    def _end(self, *, more: bool) -> None:
        self._under_way, self._more = 0, more
        self._ended.set()

    def _on_message(self, message: Delivery) -> None:
        if self._broken:
            return
        if message.subject.startswith(self._inbox):
            self._on_status(message)
        else:
            self._take(message)

    def _on_status(self, message: Delivery) -> None:
        status, description = message.status
        if status == "100":
            return
        if message.subject != f"{self._inbox}.{self._pull}":
            return  # the end of a request that we had given up
        if status in ("404", "408"):
            self._end(more=False)
            self._arrived.set()  # nothing has, but whoever waits may ask again at once
        elif status == "409" and description in _REQUEST_ENDS:
            self._end(more=self._asked > 1)
        else:
            self._break(f"{status} {description}".strip())

    def _take(self, message: Delivery) -> None:
        at = ack_position(message.reply)
        if at.deliveries != 1 or at.consumer_seq != self._consumer_seq + 1:
            self._break(f"message {at.stream_seq} came out of order")
            return
        self._consumer_seq += 1
        self._held.append(
            Stored(message.subject, message.data, Offset(at.stream_seq, at.stored_ns), message.reply)
        )
        self._arrived.set()
        self._under_way -= 1
        if not self._under_way:
            self._end(more=self._asked > 1)

    def _break(self, why: str) -> None:
        self._broken = self._broken or why
        self._arrived.set()
        self._ended.set()


async def _within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation
            await event.wait()
