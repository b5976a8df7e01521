"""Puts the simulator together and serves it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from tapestream.common.errors import PortTakenError, SettingsError, TapestreamError
from tapestream.simulators.binance.control import control_router
from tapestream.simulators.binance.faults import Faults
from tapestream.simulators.binance.hub import Hub
from tapestream.simulators.binance.ledger import Ledger
from tapestream.simulators.binance.rest import RestApi
from tapestream.simulators.binance.seeded_player import SeededPlayer
from tapestream.simulators.binance.settings import SimulatorSettings
from tapestream.simulators.binance.sockets import Sockets, make_protocol
from tapestream.simulators.binance.symbols import seeded_instruments
from tapestream.simulators.binance.tape import load_tape
from tapestream.simulators.binance.tape_player import TapePlayer
from tapestream.simulators.binance.tape_source import TapeSource
from tapestream.simulators.binance.weights import REAL_LIMITS
from tapestream.simulators.seeded_source import SeededSource


@dataclass(slots=True)
class Simulator:
    """The parts that others talk to."""

    app: FastAPI
    hub: Hub
    player: SeededPlayer | TapePlayer
    failure: BaseException | None = None
    """Why the market stopped, if it did."""


def market_clock(start: datetime | None, speed: float) -> Callable[[], int]:
    """Nanoseconds since 1970 on the seeded market's clock."""
    if start is None and speed == 1.0:
        return time.time_ns
    wall, began = time.time_ns(), time.monotonic_ns()
    origin = wall if start is None else int(start.timestamp()) * 1_000_000_000 + start.microsecond * 1000
    return lambda: origin + int((time.monotonic_ns() - began) * speed)


def build(settings: SimulatorSettings) -> Simulator:
    """Compose the simulator. Raises SettingsError or TapeError for what cannot be."""
    ledger, faults = Ledger(), Faults(settings.sim_seed)
    hub = Hub(ledger, faults, settings.binance_sim_max_buffer_bytes)
    source: SeededSource | TapeSource
    player: SeededPlayer | TapePlayer
    if settings.tape:
        source = TapeSource(load_tape(settings.tape))
        player = TapePlayer(source, hub, settings.speed, settings.loop)
    else:
        if settings.speed == 0:
            raise SettingsError("SPEED=0 needs a TAPE: the seeded market has no end to run to")
        clock = market_clock(settings.sim_start, settings.speed)
        markets = seeded_instruments(settings.sim_seed, settings.sim_symbols, settings.sim_rate)
        source = SeededSource(markets, clock)
        player = SeededPlayer(source, hub, clock, settings.speed)
    rest = RestApi(
        source, ledger, faults, settings.binance_sim_api_key, settings.binance_sim_weight_limit, REAL_LIMITS
    )

    def stopped(playing: asyncio.Task[None]) -> None:
        if not playing.cancelled():
            simulator.failure = playing.exception()
            signal.raise_signal(signal.SIGTERM)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        playing = asyncio.create_task(player.run())
        playing.add_done_callback(stopped)
        yield
        playing.cancel()
        await asyncio.wait([playing])

    app = FastAPI(title="Simulated Binance", lifespan=lifespan, docs_url=None, redoc_url=None)
    shown = {
        "speed": settings.speed,
        "loop": settings.loop,
        "seed": None if settings.tape else settings.sim_seed,
        "symbols": [f"{key.symbol}@{key.market}" for key in source.logs],
        "started_at": datetime.now(UTC).isoformat(),
    }
    app.include_router(control_router(hub, player, shown))
    app.router.routes += [*rest.routes(), *Sockets(hub, settings).routes()]
    simulator = Simulator(app, hub, player)
    return simulator


class MarketStoppedError(TapestreamError):
    """What plays the market failed. A market that stands still unnoticed is worse than none."""


class _Server(uvicorn.Server):
    """Uvicorn that leaves signals to us and cuts sockets before it closes."""

    def __init__(self, config: uvicorn.Config, simulator: Simulator) -> None:
        super().__init__(config)
        self._simulator = simulator

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self._simulator.hub.connections.values()):
            self._simulator.hub.abort(connection, "the simulator was stopped")
        await super().shutdown(sockets)


def bind(settings: SimulatorSettings) -> socket.socket:
    """A listening socket. Raises PortTakenError that names the setting."""
    host, port = settings.binance_sim_host, settings.binance_sim_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, "BINANCE_SIM_PORT", "Binance simulator") from None
        raise SettingsError(f"BINANCE_SIM_HOST={host}: {error.strerror or error}") from None
    return listener


def serve(settings: SimulatorSettings) -> None:
    """Run until SIGINT or SIGTERM."""
    listener = bind(settings)
    simulator = build(settings)
    config = uvicorn.Config(
        simulator.app,
        loop="uvloop",
        http="httptools",
        ws=make_protocol(settings),
        ws_per_message_deflate=False,
        ws_max_size=1 << 20,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    host, port = listener.getsockname()[:2]
    print(f"Binance simulator on http://{host}:{port} ({describe(simulator.player.status())})", flush=True)
    server = _Server(config, simulator)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))
    if simulator.failure is not None:
        raise MarketStoppedError(f"the market has stopped: {simulator.failure!r}") from simulator.failure


def describe(status: dict[str, Any]) -> str:
    if status["source"] == "tape":
        return (
            f"tape of {status['frames']} frames, waiting for {', '.join(status['waiting_for']) or 'nothing'}"
        )
    return "seeded market"
