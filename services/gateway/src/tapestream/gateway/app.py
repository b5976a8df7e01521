"""Composition root: the application, its server, and the tasks beside it."""

from __future__ import annotations

import asyncio
import errno
import socket
import time

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from tapestream.common.bus.provision import provision
from tapestream.common.errors import PortTakenError, SettingsError
from tapestream.common.process import ProcessContext
from tapestream.common.telemetry.health import QuietServer
from tapestream.common.web.raw_websocket import RawWebSocketProtocol
from tapestream.gateway import problems
from tapestream.gateway.alert_feed import AlertFeed
from tapestream.gateway.buckets import follow_instruments
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.frames import to_json
from tapestream.gateway.core.subscriptions import Channel
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.documentation import documented
from tapestream.gateway.gateway import VERSION, Gateway
from tapestream.gateway.middleware import Gate, RequestFrame
from tapestream.gateway.routes import ROUTERS
from tapestream.gateway.routes.health import service_problems
from tapestream.gateway.security import Guard
from tapestream.gateway.settings import GatewaySettings
from tapestream.gateway.ws.endpoint import serve
from tapestream.gateway.ws.tally import TallyCollector

log = structlog.get_logger(__name__)

WEBSOCKET_PATHS = ("/ws", "/stream/ws", "/api/v1/ws")
SEND_BUFFER_BYTES = 256 * 1024
EXPOSED_HEADERS = ["X-Process-Time-ms", "X-Request-ID", "Content-Disposition"]


def create_app(gateway: Gateway) -> FastAPI:
    """The application around a gateway's state."""
    app = FastAPI(
        title="Tapestream",
        version=VERSION,
        description="Live market data, history and the feeds behind them.",
        docs_url=None,  # the ready-made pages load their scripts from elsewhere
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.gateway = gateway
    for router in ROUTERS:
        router.attach(app)
    documented(app)
    problems.install(app)

    async def websocket_route(websocket: WebSocket) -> None:
        await serve(websocket, gateway)

    for path in WEBSOCKET_PATHS:
        app.router.routes.append(WebSocketRoute(path, websocket_route))

    origins = gateway.settings.cors_origins
    app.add_middleware(Gate, guard=Guard(gateway.settings))
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_credentials="*" not in origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )
    app.add_middleware(RequestFrame)
    return app


async def main(context: ProcessContext, settings: GatewaySettings) -> None:
    """Serve until stopped. HTTP answers from the first moment on, whatever else is away."""
    gateway = Gateway.build(settings, context.subjects, context.health)
    collector = TallyCollector(gateway.hub.tally)
    REGISTRY.register(collector)
    context.figures = lambda: {
        "ws_clients": len(gateway.hub.clients),
        "tick_latency_ms": gateway.feed.latency_s * 1000,
    }
    context.health.set("memory", False, "reading the streams")
    server = _server(create_app(gateway), settings)
    sock = listen(settings.host, settings.port)
    serving = context.spawn(server.serve([sock]), "http")
    log.info("serving", url=f"http://{settings.host}:{settings.port}", docs="/docs")
    context.spawn(_attend(context, gateway), "bus")
    try:
        await context.run_until_stopped()
    finally:
        server.should_exit = True
        await asyncio.wait([serving], timeout=settings.shutdown_timeout_s / 2)
        await context.cancel_tasks("bus")
        await gateway.history.close()
        REGISTRY.unregister(collector)


async def _attend(context: ProcessContext, gateway: Gateway) -> None:
    """Everything that needs NATS."""
    settings = gateway.settings
    bus = await context.connect_bus()
    gateway.attach(bus)
    try:
        await provision(bus, settings.stream_store_bytes)
        await gateway.services.listen(bus)
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.feed.run(bus, settings.warm_up_s, settings.warm_up_messages))
            group.create_task(gateway.signals.run(bus))
            group.create_task(AlertFeed(gateway).run(bus))
            group.create_task(follow_instruments(bus, gateway.catalog.replace))
            group.create_task(_heartbeats(gateway))
            group.create_task(_tell_ready(gateway))
    finally:
        await bus.close()


async def _tell_ready(gateway: Gateway) -> None:
    await gateway.feed.caught_up.wait()
    gateway.health.set("memory", True)


async def _heartbeats(gateway: Gateway) -> None:
    """Frames that go out by the wall clock."""
    status_topic = Channel("system_status", "system_status").topic
    while True:
        await asyncio.sleep(gateway.settings.ws_heartbeat_s)
        now = iso_utc(time.time_ns())
        clients = len(gateway.hub.clients)
        gateway.hub.tell_all(
            Bundle("heartbeat", [to_json({"type": "heartbeat", "ts": now, "clients": clients})])
        )
        for topic in gateway.hub.topics(f"{status_topic}::"):
            missing = service_problems(gateway)
            frame = {
                "type": "system_status",
                "status": "degraded" if missing or not gateway.nats_connected else "healthy",
                "components": missing,
                "ts": now,
            }
            topic.publish(Bundle(status_topic, [to_json(frame)]))


def _server(app: FastAPI, settings: GatewaySettings) -> QuietServer:
    return QuietServer(
        uvicorn.Config(
            app,
            http="httptools",
            ws=RawWebSocketProtocol,
            ws_per_message_deflate=False,
            ws_max_size=settings.ws_max_message_bytes,
            ws_ping_interval=20,
            ws_ping_timeout=20,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_s / 2)),
            backlog=2048,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that several gateway processes may listen on. Raises PortTakenError or SettingsError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingsError(f"HOST={host}: {error}; write an address of this machine") from None
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # connections inherit it: the kernel would hide megabytes that a slow client has not read
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, "PORT", "HTTP and WebSocket") from None
        raise SettingsError(f"HOST={host}: {error.strerror}; write an address of this machine") from None
    sock.setblocking(False)
    return sock
