"""A bare connection to the server, for the paths where each microsecond counts.

The NATS client puts a queue and a task between its socket and whoever listens, and a queue and a
task between whoever publishes and its socket: with a thousand messages a second that is most of the
work of a hop. Here a message is handed on in the very call that read it, and what is published is
with the transport when the call returns. It speaks the part of the protocol that publishing and
subscribing need (https://docs.nats.io/reference/reference-protocols/nats-protocol); streams,
buckets and requests stay with the client. It ends for good when it breaks: see :meth:`Bus.dial`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

log = structlog.get_logger(__name__)

DIAL_TIMEOUT_S = 2.0
_HEAD = b"NATS/1.0"
_CRLF = b"\r\n"


class Delivery(NamedTuple):
    """A message as it came off the socket."""

    subject: str
    reply: str
    head: bytes
    """The header block as it was sent; empty without headers."""
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        return read_headers(self.head)

    @property
    def status(self) -> tuple[str, str]:
        """Code and description of a message that the server itself made; empty for all others."""
        line = self.head[len(_HEAD) : self.head.find(_CRLF)].strip().decode()
        code, _, description = line.partition(" ")
        return code, description


Handler = Callable[[Delivery], None]


def make_head(headers: dict[str, str]) -> bytes:
    """A header block. Names and values must not hold line ends."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def read_headers(head: bytes) -> dict[str, str]:
    """The headers of a block; of a name that comes twice the last."""
    if not head:
        return {}
    pairs = [line.partition(":") for line in head.decode().split("\r\n")[1:-2]]
    return {name: value.strip() for name, _, value in pairs}


class AckPosition(NamedTuple):
    """What the reply subject of a message from a stream says."""

    deliveries: int
    stream_seq: int
    consumer_seq: int
    stored_ns: int
    pending: int


def ack_position(reply: str) -> AckPosition:
    """Read a reply subject.

    ``$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>``, on some
    servers with a domain and an account hash before the stream and a token at the end.
    """
    tokens = reply.split(".")
    first = 4 if len(tokens) == 9 else 6
    return AckPosition(*map(int, tokens[first : first + 5]))


class Wire(asyncio.Protocol):
    """One connection. ``on_closed`` is called when it breaks, not when it is closed from here."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._handlers: dict[bytes, Handler] = {}
        self._last_id = 0
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._greeting: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
        self._error = ""
        self.is_closed = False

    # --- use

    def subscribe(self, subject: str, handler: Handler) -> None:
        """Hand every message of a subject to ``handler``, which must not raise."""
        self._last_id += 1
        number = str(self._last_id).encode()
        self._handlers[number] = handler
        self._write(b"SUB %s %s\r\n" % (subject.encode(), number))

    def publish(self, subject: str, payload: bytes, reply: str = "", head: bytes = b"") -> None:
        """Send a message; on a closed wire it is lost."""
        if head:
            sizes = f"{len(head)} {len(head) + len(payload)}"
            self._write(b"".join((f"HPUB {subject} {reply} {sizes}\r\n".encode(), head, payload, _CRLF)))
        else:
            self._write(b"".join((f"PUB {subject} {reply} {len(payload)}\r\n".encode(), payload, _CRLF)))

    async def flush(self) -> None:
        """Return when the server has taken in all that was sent. Raises ConnectionError, TimeoutError."""
        if self.is_closed:
            raise ConnectionError(self._error or "closed")
        pong = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self._write(b"PING\r\n")
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            await pong

    def close(self) -> None:
        """End it; what is buffered is still sent."""
        self._on_closed = lambda: None
        if self._transport is not None:
            self._transport.close()

    # --- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        error = ConnectionError(self._error or str(exc or "the server closed the connection"))
        for waiting in (self._greeting, *self._pongs):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # nobody need be waiting for it
        self._on_closed()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while (end := data.find(_CRLF, at)) >= 0:
            begin = end + 2
            kind = data[at]
            if kind in b"HM":  # HMSG, MSG
                words = data[at:end].split()
                after = begin + int(words[-1])
                if after + 2 > size:
                    break
                self._deliver(words, data, begin, after, has_head=kind == 72)
                at = after + 2
                continue
            self._control(data[at:end])
            at = begin
        self._rest = data[at:]

    # --- inside

    def _deliver(self, words: list[bytes], data: bytes, begin: int, after: int, *, has_head: bool) -> None:
        handler = self._handlers.get(words[2])
        if handler is None:
            return
        body = begin + int(words[-2]) if has_head else begin
        reply = words[3].decode() if len(words) == 5 + has_head else ""
        handler(Delivery(words[1].decode(), reply, data[begin:body], data[body:after]))

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            self._write(b"PONG\r\n")
        elif line == b"PONG":
            if self._pongs:
                pong = self._pongs.popleft()
                if not pong.done():
                    pong.set_result(None)
        elif line.startswith(b"INFO"):
            if not self._greeting.done():
                self._greeting.set_result(json.loads(line[4:]))
        elif line.startswith(b"-ERR"):
            self._error = line[4:].decode(errors="replace").strip(" '")
            log.warning("nats_error", error=self._error)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.is_closed:
            self._transport.write(data)

    async def greet(self, url: str, name: str) -> None:
        """Introduce ourselves. Raises ConnectionError where the server wants more than we can do."""
        address = _split(url)
        info = await self._greeting
        if address.scheme == "tls" or info.get("tls_required"):
            raise ConnectionError(
                f"{address.hostname} demands TLS, which is not supported: NATS_URL=nats://…"
            )
        hello: dict[str, object] = {
            "name": name, "lang": "python", "version": "1", "protocol": 1,
            "verbose": False, "pedantic": False, "headers": True, "no_responders": True,
        }  # fmt: skip
        if address.password is not None:
            hello |= {"user": unquote(address.username or ""), "pass": unquote(address.password)}
        elif address.username:
            hello["auth_token"] = unquote(address.username)
        self._write(b"CONNECT " + json.dumps(hello).encode() + _CRLF)
        await self.flush()


async def dial(url: str, name: str, on_closed: Callable[[], None]) -> Wire:
    """Connect. Raises OSError (ConnectionError with the server's words where it refuses), TimeoutError."""
    address = _split(url)
    async with asyncio.timeout(DIAL_TIMEOUT_S):
        loop = asyncio.get_running_loop()
        _, wire = await loop.create_connection(
            lambda: Wire(on_closed), address.hostname or "127.0.0.1", address.port or 4222
        )
        try:
            await wire.greet(url, name)
        except BaseException:
            wire.close()
            raise
    return wire


def _split(url: str) -> SplitResult:
    """An address, which may come without its scheme."""
    return urlsplit(url if "://" in url else f"nats://{url}")


def new_inbox() -> str:
    """A subject that nobody else listens to."""
    return f"_INBOX.{secrets.token_hex(11)}"
