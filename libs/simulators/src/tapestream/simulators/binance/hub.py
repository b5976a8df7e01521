"""Connections and the streams they want; each frame is built once for all its subscribers.

Frames are gathered per connection and written together at :meth:`Hub.flush`, which whoever publishes
calls before it gives way to the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from tapestream.common.frames import text_frame
from tapestream.common.web.raw_websocket import RawWebSocket
from tapestream.simulators.binance.faults import Faults, Outgoing
from tapestream.simulators.binance.ledger import Ledger
from tapestream.simulators.binance.streams import Route, Stream
from tapestream.simulators.market import InstrumentKey
from tapestream.simulators.ranges import Ranges

_KEPT_CLOSED = 50


class Wire(RawWebSocket, Protocol):
    """What is asked of a socket: frames can be written to it, and it knows whether they would go out."""

    def is_open(self) -> bool: ...


class Connection:
    """One client's socket."""

    def __init__(self, number: int, path: str, route: Route, combined: bool, raw: Wire) -> None:
        self.number, self.path, self.route, self.combined, self.raw = number, path, route, combined, raw
        self.streams: dict[str, Stream] = {}
        self.frames = 0
        self.ids: dict[InstrumentKey, Ranges] = {}
        self.closed = ""
        self.pending: list[bytes] = []
        self.pending_ids: list[tuple[InstrumentKey, int]] = []

    def as_dict(self) -> dict[str, Any]:
        return {
            "connection": self.number,
            "path": self.path,
            "combined": self.combined,
            "streams": list(self.streams),
            "frames": self.frames,
            "ids": {f"{key.symbol}@{key.market}": ids.as_list() for key, ids in self.ids.items()},
            "buffered_bytes": 0 if self.closed else self.raw.buffered_bytes(),
            "closed": self.closed or None,
        }


class Channel:
    """A stream with its subscribers."""

    __slots__ = ("bare", "combined", "key", "prefix", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream, self.key = stream, stream.key
        self.prefix = b'{"stream":"' + stream.name.encode() + b'","data":'
        self.bare: list[Connection] = []
        self.combined: list[Connection] = []

    def __bool__(self) -> bool:
        return bool(self.bare or self.combined)


class Hub:
    """Who gets what."""

    def __init__(self, ledger: Ledger, faults: Faults, max_buffered_bytes: int) -> None:
        self.ledger, self.faults = ledger, faults
        self.connections: dict[int, Connection] = {}
        self.channels: dict[tuple[str, str], Channel] = {}
        self.closed: list[Connection] = []
        self.on_subscribe: list[Callable[[Channel], None]] = []
        self.slow_cut = 0
        self._max_buffered = max_buffered_bytes
        self._numbers = 0
        self._dirty: set[Connection] = set()
        self.wake = asyncio.Event()

    def connect(self, path: str, route: Route, combined: bool, raw: Wire) -> Connection:
        self._numbers += 1
        connection = Connection(self._numbers, path, route, combined, raw)
        self.connections[connection.number] = connection
        return connection

    def disconnect(self, connection: Connection, why: str) -> None:
        if self.connections.pop(connection.number, None) is None:
            return
        connection.closed = connection.closed or why
        for stream in connection.streams.values():
            self._leave(connection, stream)
        self._dirty.discard(connection)
        self.closed.append(connection)
        del self.closed[:-_KEPT_CLOSED]

    def abort(self, connection: Connection, why: str) -> None:
        connection.raw.abort()
        self.disconnect(connection, why)

    def channel(self, stream: Stream) -> Channel:
        place = (stream.market, stream.name)
        found = self.channels.get(place)
        if found is None:
            found = self.channels[place] = Channel(stream)
        return found

    def subscribe(self, connection: Connection, stream: Stream) -> None:
        if stream.name in connection.streams:
            return
        connection.streams[stream.name] = stream
        channel = self.channel(stream)
        (channel.combined if connection.combined else channel.bare).append(connection)
        for call in self.on_subscribe:
            call(channel)
        self.wake.set()

    def unsubscribe(self, connection: Connection, stream: Stream) -> None:
        if connection.streams.pop(stream.name, None) is not None:
            self._leave(connection, stream)

    def set_combined(self, connection: Connection, combined: bool) -> None:
        if combined == connection.combined:
            return
        for stream in connection.streams.values():
            self._leave(connection, stream)
        connection.combined = combined
        for stream in connection.streams.values():
            channel = self.channel(stream)
            (channel.combined if combined else channel.bare).append(connection)

    def _leave(self, connection: Connection, stream: Stream) -> None:
        place = (stream.market, stream.name)
        channel = self.channels[place]
        (channel.combined if connection.combined else channel.bare).remove(connection)
        if not channel and stream.kind.value == "unknown":
            del self.channels[place]

    def publish(self, channel: Channel, payload: bytes, trade_id: int = -1) -> None:
        """Send a payload to a stream's subscribers, unless a fault has other plans."""
        if not self.faults.active:
            self._send(channel, payload, trade_id)
            return
        for frame in self.faults.admit(Outgoing(channel.stream, payload, trade_id), time.monotonic()):
            self._send(self.channel(frame.stream), frame.payload, frame.trade_id)

    def release(self) -> None:
        """Send what faults held back and now let go."""
        if self.faults.active:
            for frame in self.faults.release(time.monotonic()):
                self._send(self.channel(frame.stream), frame.payload, frame.trade_id)

    def send_all(self, frames: list[Outgoing]) -> None:
        for frame in frames:
            self._send(self.channel(frame.stream), frame.payload, frame.trade_id)
        self.flush()

    def _send(self, channel: Channel, payload: bytes, trade_id: int) -> None:
        if channel.bare:
            self._queue(channel, channel.bare, text_frame(payload), trade_id)
        if channel.combined:
            self._queue(channel, channel.combined, text_frame(channel.prefix + payload + b"}"), trade_id)

    def _queue(self, channel: Channel, to: list[Connection], frame: bytes, trade_id: int) -> None:
        dirty = self._dirty
        for connection in to:
            connection.pending.append(frame)
            if trade_id >= 0:
                connection.pending_ids.append((channel.key, trade_id))
            dirty.add(connection)

    def flush(self) -> None:
        """Write what was published since the last flush; only now do ids count as sent."""
        for connection in list(self._dirty):
            pending, ids = connection.pending, connection.pending_ids
            connection.pending, connection.pending_ids = [], []
            if connection.raw.buffered_bytes() > self._max_buffered:
                self.slow_cut += 1
                self.abort(connection, "the client did not read")
                continue
            if not connection.raw.is_open():
                continue
            connection.raw.write(b"".join(pending))
            connection.frames += len(pending)
            for key, trade_id in ids:
                self.ledger.of(key).socket.add(trade_id)
                own = connection.ids.get(key)
                if own is None:
                    own = connection.ids[key] = Ranges()
                own.add(trade_id)
        self._dirty.clear()

    def buffered_bytes(self) -> int:
        """The most that any client has not taken yet."""
        return max((connection.raw.buffered_bytes() for connection in self.connections.values()), default=0)
