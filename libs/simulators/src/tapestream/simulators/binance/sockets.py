"""The WebSocket side: paths, handshakes, what clients say, and when connections end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.http11 import Request

from tapestream.common.frames import text_frame
from tapestream.common.web.raw_websocket import RawWebSocketProtocol, raw_websocket
from tapestream.simulators.binance.faults import FaultKind
from tapestream.simulators.binance.hub import Connection, Hub
from tapestream.simulators.binance.settings import SimulatorSettings
from tapestream.simulators.binance.streams import Route, Stream, allowed_on, parse_stream
from tapestream.simulators.binance.subscription import Refusal, answer, parse_request

MAX_STREAMS = {Route.SPOT: 1024, Route.USDM_MARKET: 1024, Route.USDM_PUBLIC: 1024}
_GOING_AWAY, _POLICY = 1001, 1008
_PREFIXES = {"/market": Route.USDM_MARKET, "/public": Route.USDM_PUBLIC}
_PONG_TIMEOUT_S = {Route.SPOT: 60.0, Route.USDM_MARKET: 600.0, Route.USDM_PUBLIC: 600.0}


def route_of(path: str) -> Route:
    return next((route for prefix, route in _PREFIXES.items() if path.startswith(prefix + "/")), Route.SPOT)


def make_protocol(settings: SimulatorSettings) -> type[RawWebSocketProtocol]:
    """Uvicorn's WebSocket protocol with each market's own ping interval."""

    class BinanceWebSocketProtocol(RawWebSocketProtocol):
        def handle_connect(self, event: Request) -> None:
            route = route_of(event.path)
            spot = route is Route.SPOT
            self.ping_interval = (
                settings.binance_sim_spot_ping_s if spot else settings.binance_sim_usdm_ping_s
            )
            self.ping_timeout = settings.binance_sim_pong_timeout_s or _PONG_TIMEOUT_S[route]
            super().handle_connect(event)

        def is_open(self) -> bool:
            return not (self.close_sent or self.disconnected or self.transport.is_closing())

    return BinanceWebSocketProtocol


class Sockets:
    """Serves streams to whoever connects."""

    def __init__(self, hub: Hub, settings: SimulatorSettings) -> None:
        self._hub, self._settings = hub, settings

    def routes(self) -> list[WebSocketRoute]:
        return [
            WebSocketRoute(prefix + path, self._serve)
            for prefix in ("", *_PREFIXES)
            for path in ("/ws", "/ws/{streams:path}", "/stream", "/stream/{number}")
        ]

    async def _serve(self, websocket: WebSocket) -> None:
        path = websocket.url.path
        route, combined = route_of(path), "/stream" in path.partition("/ws")[0]
        if self._hub.faults.is_on(FaultKind.REFUSE, time.monotonic()):
            await websocket.send_denial_response(PlainTextResponse("Service Unavailable", 503))
            return
        streams = _asked_for(websocket, route, combined)
        if isinstance(streams, str):
            await websocket.send_denial_response(PlainTextResponse(streams, 400))
            return
        await websocket.accept()
        query = websocket.url.query
        shown = f"{path}?{query}" if query else path
        connection = self._hub.connect(shown, route, combined, raw_websocket(websocket))  # type: ignore[arg-type]
        why = "closed by the client"
        try:
            for stream in streams:
                self._hub.subscribe(connection, stream)
            async with asyncio.timeout(self._settings.binance_sim_connection_lifetime_s):
                why = await self._listen(websocket, connection)
        except TimeoutError:
            why = "its lifetime was over"
            self._hub.disconnect(connection, why)
            await websocket.close(_GOING_AWAY, "connection lifetime reached")
        finally:
            self._hub.disconnect(connection, why)

    async def _listen(self, websocket: WebSocket, connection: Connection) -> str:
        """Serve a client's messages until it goes. Returns why it ended."""
        lately: deque[float] = deque(maxlen=self._settings.binance_sim_messages_per_s)
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return f"closed with code {message.get('code', 1005)}"
            now = time.monotonic()
            if len(lately) == lately.maxlen and now - lately[0] < 1.0:
                self._hub.disconnect(connection, "sent too many messages")
                await websocket.close(_POLICY, "Too many requests")
                return "sent too many messages"
            lately.append(now)
            text = message.get("text")
            reply = self._obey(connection, text if text is not None else message.get("bytes") or b"")
            if not self._hub.faults.silenced(now):
                connection.raw.write(text_frame(reply))

    def _obey(self, connection: Connection, text: str | bytes) -> bytes:
        request = parse_request(connection.route, text, MAX_STREAMS[connection.route])
        if isinstance(request, Refusal):
            return request.reply()
        result: Any = None
        match request.method:
            case "SUBSCRIBE":
                if (
                    len(connection.streams.keys() | {s.name for s in request.streams})
                    > MAX_STREAMS[connection.route]
                ):
                    return Refusal(2, "Invalid request: too many subscriptions", request.id).reply()
                for stream in request.streams:
                    self._hub.subscribe(connection, stream)
            case "UNSUBSCRIBE":
                for stream in request.streams:
                    self._hub.unsubscribe(connection, stream)
            case "LIST_SUBSCRIPTIONS":
                result = list(connection.streams)
            case "SET_PROPERTY":
                self._hub.set_combined(connection, request.combined)
            case _:
                result = connection.combined
        return answer(request.id, result)


def _asked_for(websocket: WebSocket, route: Route, combined: bool) -> list[Stream] | str:
    """The streams in an address, or what is wrong with it."""
    if combined:
        names = websocket.query_params.get("streams", "").split("/")
    else:
        names = websocket.path_params.get("streams", "").split("/")
    names = [name for name in names if name]
    if len(names) > MAX_STREAMS[route]:
        return "Too many streams"
    streams: list[Stream] = []
    for name in names:
        stream = parse_stream(route.market, name)
        if stream is None or not allowed_on(route, stream):
            return f"Invalid stream: {name}"
        streams.append(stream)
    return streams
