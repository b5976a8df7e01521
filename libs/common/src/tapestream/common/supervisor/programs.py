"""What ``make run`` starts beside the servers: one line each, in the order of the start."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tapestream.common.supervisor.settings import SupervisorSettings

LOOPBACK = "127.0.0.1"
_PROBE_S = 1.0


def _simulated(settings: SupervisorSettings) -> bool:
    return settings.feed == "sim" and not (settings.binance_ws_url and settings.binance_rest_url)


def _simulator_pings(settings: SupervisorSettings) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, settings.binance_sim_port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/api/v3/ping")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _gateway_listens(settings: SupervisorSettings) -> bool:
    try:
        with socket.create_connection((reachable(settings.host), settings.port), _PROBE_S):
            return True
    except OSError:
        return False


def reachable(host: str) -> str:
    """An address under which a server bound to ``host`` is reached from here."""
    return {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}.get(host, host)  # noqa: S104 - compared, not bound


@dataclass(frozen=True)
class Program:
    """One program of ours, run as ``python -m module``."""

    name: str
    module: str
    is_server: bool = False
    """Others need it: it starts before them, is waited for, and stops after them."""
    when: Callable[[SupervisorSettings], bool] = lambda _: True
    copies: Callable[[SupervisorSettings], int] = lambda _: 1
    is_ready: Callable[[SupervisorSettings], bool] | None = None
    port_setting: str | None = None
    """The setting with the port that it binds, if it binds one."""
    port_host: Callable[[SupervisorSettings], str] = lambda _: LOOPBACK


PROGRAMS = (
    Program(
        "binance-sim",
        "tapestream.simulators.binance",
        is_server=True,
        when=_simulated,
        is_ready=_simulator_pings,
        port_setting="BINANCE_SIM_PORT",
    ),
    Program("ingest", "tapestream.ingest"),
    Program("bars", "tapestream.ingest.bars"),
    Program("recorder", "tapestream.ingest.recorder"),
    Program("analytics", "tapestream.analytics"),
    Program("alerts", "tapestream.alerts"),
    Program(
        "gateway",
        "tapestream.gateway",
        copies=lambda settings: settings.gateway_workers,
        is_ready=_gateway_listens,
        port_setting="PORT",
        port_host=lambda settings: settings.host,
    ),
)


@dataclass(frozen=True)
class Placed:
    """A program's process: which copy it is, and what its environment says beside the shared part."""

    program: Program
    name: str
    instance: int
    metrics_port: int

    def environment(self) -> dict[str, str]:
        return {"INSTANCE": str(self.instance), "METRICS_PORT": str(self.metrics_port)}


def place(programs: Sequence[Program], settings: SupervisorSettings) -> Iterator[Placed]:
    """Every process to start, numbered, each with a metrics port of its own."""
    metrics_port = settings.metrics_base_port
    for program in programs:
        if not program.when(settings):
            continue
        copies = program.copies(settings)
        for instance in range(copies):
            name = program.name if copies == 1 else f"{program.name}.{instance}"
            yield Placed(program, name, instance, metrics_port)
            metrics_port += 1


def shared_environment(
    settings: SupervisorSettings, *, nats_url: str, database_url: str, simulated: bool
) -> dict[str, str]:
    """What every process is told: where the servers are, and which feed to use."""
    told = {
        "NATS_URL": nats_url,
        "DATABASE_URL": database_url,
        "PORT": str(settings.port),
        "BINANCE_SIM_PORT": str(settings.binance_sim_port),
        "PYTHONUNBUFFERED": "1",
    }
    if simulated:
        address = f"{LOOPBACK}:{settings.binance_sim_port}"
        told["BINANCE_WS_URL"] = settings.binance_ws_url or f"ws://{address}"
        told["BINANCE_REST_URL"] = settings.binance_rest_url or f"http://{address}"
        # The simulator serves old trades to holders of a key, as Binance does.
        told["BINANCE_API_KEY"] = settings.binance_api_key.get_secret_value() or "tapestream-sim"
    return told
