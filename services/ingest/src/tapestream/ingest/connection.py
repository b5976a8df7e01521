"""Keeping one route of a venue alive: connect, subscribe, watch, hand over, reconnect."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable

import picows
import structlog

from tapestream.common.backoff import full_jitter
from tapestream.ingest import metrics
from tapestream.ingest.market_publisher import BATCH_MOST
from tapestream.ingest.market_sink import MarketSink
from tapestream.ingest.venue import FrameError, Route, Venue

log = structlog.get_logger(__name__)

STREAMS_PER_REQUEST = 100
REQUEST_PAUSE_S = 0.25
"""Binance takes five messages a second on spot."""
REPLY_TIMEOUT_S = 5.0
LINGER_S = 1.0
"""What is on its way on the old connection still comes."""
OVERLAP_S = 5.0
"""How long two connections may run side by side at a hand-over."""
MUTE_CAP_S = 300.0
HEALTHY_S = 10.0
"""A connection that lasted so long resets the back-off."""


_TEXT = picows.WSMsgType.TEXT
_request_ids = itertools.count(1)
"""Shared by all routes: replies come back through one sink."""


class VenueSocket(picows.WSListener):
    """One WebSocket: frames in, parsed into the sink, flushed when the read is used up."""

    def __init__(self, venue: Venue, route: Route, sink: MarketSink) -> None:
        self._venue, self._route, self._sink = venue, route, sink
        self._parse = route.parse
        self._parts: list[bytes] = []
        self._had_data = False
        self.transport: picows.WSTransport | None = None
        self.closed = asyncio.Event()
        self.opened_s = self.last_data_s = time.monotonic()
        self.data_frames = 0
        self.streams: set[str] = set()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is _TEXT and frame.fin:
            self._read(frame.get_payload_as_memoryview())
        else:
            self._on_other_frame(transport, frame)
        if frame.last_in_buffer:
            self.last_data_s = time.monotonic() if self._had_data else self.last_data_s
            self._had_data = False
            self._sink.flush()
        elif self._sink.pending >= BATCH_MOST:
            self._sink.flush()

    def _read(self, payload: bytes | memoryview) -> None:
        try:
            self._parse(payload, self._sink)
            self._had_data = True
            self.data_frames += 1
        except FrameError as error:
            self._sink.refuse("bad_frame", f"{self._route.name}: {error}: {bytes(payload[:80])!r}")

    def _on_other_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind is picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code() or picows.WSCloseCode.OK)
            transport.disconnect()
        elif kind in (picows.WSMsgType.TEXT, picows.WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._read(whole)
        elif kind is picows.WSMsgType.BINARY:
            self._sink.refuse("binary_frame", f"{self._route.name}: {frame.payload_size} bytes")

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:  # noqa: ARG002 - the library's form
        self._sink.flush()
        self.closed.set()

    def send(self, payload: bytes) -> None:
        if self.transport is not None and not self.closed.is_set():
            self.transport.send(picows.WSMsgType.TEXT, payload)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.disconnect(graceful=False)


class RouteConnection:
    """One route of a venue with the symbols that are wanted on it."""

    def __init__(
        self,
        base_url: str,
        venue: Venue,
        route: Route,
        sink: MarketSink,
        *,
        watchdog_s: float,
        lifetime_s: float,
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[], None],
    ) -> None:
        self._url = base_url.rstrip("/") + route.path
        self._venue, self.route, self._sink = venue, route, sink
        self._watchdog_s, self._lifetime_s = watchdog_s, lifetime_s
        self._on_up, self._on_down = on_up, on_down
        self._wanted: set[str] = set()
        self._changed = asyncio.Event()
        self._socket: VenueSocket | None = None
        self._mutes = 0
        """Connections in a row that brought nothing: a market may simply be quiet."""
        self._replies: dict[int, asyncio.Future[str]] = {}
        self.paused = asyncio.Event()
        """Set while nothing may be read, because the bus is behind."""
        self._live = metrics.live.labels(venue.name, route.name)

    @property
    def live(self) -> bool:
        return self._socket is not None

    def want(self, symbols: Iterable[str]) -> None:
        """Stream these symbols and no others."""
        wanted = set(symbols)
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed.set()

    def stop(self) -> None:
        """Read nothing more."""
        self.want(())
        if self._socket is not None:
            self._socket.close()

    def on_reply(self, request_id: int, error: str) -> None:
        future = self._replies.pop(request_id, None)
        if future is not None and not future.done():
            future.set_result(error)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        rng = random.Random()
        delays = full_jitter(0.25, 15.0, rng)
        try:
            while True:
                while not self._wanted or self.paused.is_set():
                    self._changed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.2):
                            await self._changed.wait()
                began = time.monotonic()
                why = await self._connected_once()
                self._live.set(0)
                self._on_down()
                metrics.reconnects.labels(self._venue.name, self.route.name, why).inc()
                if time.monotonic() - began > HEALTHY_S:
                    delays = full_jitter(0.25, 15.0, rng)
                delay = next(delays)
                log.warning("venue_disconnected", route=self.route.name, why=why, retry_in_s=round(delay, 3))
                await asyncio.sleep(delay)
        finally:
            if self._socket is not None:
                self._socket.close()

    async def _connected_once(self) -> str:
        """One connection and the ones it is handed over to; returns why it ended."""
        try:
            self._socket = await self._open()
        except (OSError, picows.WSError, TimeoutError) as error:
            return type(error).__name__
        self._live.set(1)
        log.info("venue_connected", route=self.route.name, symbols=len(self._wanted))
        try:
            await self._on_up()
            while True:
                why = await self._watch(self._socket)
                if why != "lifetime":
                    return why
                try:
                    newer = await self._open()
                except (OSError, picows.WSError, TimeoutError):
                    await asyncio.sleep(1)
                    continue  # the old one still delivers; try again
                await self._overlap(newer)
                self._socket.close()
                self._socket = newer
                await self._on_up()  # a symbol that was silent meanwhile is looked up
                metrics.handovers.labels(self._venue.name, self.route.name).inc()
                log.info("venue_handover", route=self.route.name)
        finally:
            self._socket.close()
            self._socket = None

    async def _open(self) -> VenueSocket:
        """Connect and subscribe; returns when the venue has agreed."""
        _, socket = await picows.ws_connect(
            lambda: VenueSocket(self._venue, self.route, self._sink),
            self._url,
            websocket_handshake_timeout=5,
            read_buffer_init_size=256 * 1024,
            max_frame_size=16 << 20,
        )
        assert isinstance(socket, VenueSocket)
        try:
            self._changed.clear()
            socket.streams = {self.route.stream_of(symbol) for symbol in self._wanted}
            await self._request(socket, self._venue.subscribe, sorted(socket.streams))
        except BaseException:
            socket.close()
            raise
        return socket

    async def _watch(self, socket: VenueSocket) -> str:
        """Wait until the connection must be replaced; returns why."""
        while True:
            changed = asyncio.create_task(self._changed.wait())
            closed = asyncio.create_task(socket.closed.wait())
            await asyncio.wait([changed, closed], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            closed.cancel()
            now = time.monotonic()
            if socket.closed.is_set():
                return "closed"
            if self.paused.is_set():
                return "bus_behind"
            if now - socket.last_data_s > min(MUTE_CAP_S, self._watchdog_s * 2**self._mutes):
                self._mutes = self._mutes + 1 if socket.data_frames <= len(socket.streams) else 0
                return "mute"
            if now - socket.opened_s > self._lifetime_s:
                return "lifetime"
            if self._changed.is_set():
                self._changed.clear()
                try:
                    await self._apply_changes(socket)
                except TimeoutError:
                    return "no_reply"
                if not self._wanted:
                    return "not_wanted"

    async def _apply_changes(self, socket: VenueSocket) -> None:
        wanted = {self.route.stream_of(symbol) for symbol in self._wanted}
        await self._request(socket, self._venue.unsubscribe, sorted(socket.streams - wanted))
        await self._request(socket, self._venue.subscribe, sorted(wanted - socket.streams))
        socket.streams = wanted

    async def _request(
        self, socket: VenueSocket, make: Callable[[list[str], int], bytes], streams: list[str]
    ) -> None:
        for begin in range(0, len(streams), STREAMS_PER_REQUEST):
            if begin:
                await asyncio.sleep(REQUEST_PAUSE_S)
            request_id = next(_request_ids)
            reply = asyncio.get_running_loop().create_future()
            self._replies[request_id] = reply
            socket.send(make(streams[begin : begin + STREAMS_PER_REQUEST], request_id))
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                error = await reply
            if error:
                log.error("venue_refused_request", route=self.route.name, error=error)

    async def _overlap(self, newer: VenueSocket) -> None:
        """Let both deliver until the newer one has begun to: doubles are dropped by their ids."""
        deadline = time.monotonic() + OVERLAP_S
        frames = newer.data_frames
        while newer.data_frames <= frames and time.monotonic() < deadline and not newer.closed.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(LINGER_S)
