"""How the system is."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from tapestream.common.errors import NotConnectedError
from tapestream.gateway.buffers import BufferStats, buffer_stats, streaming_symbols
from tapestream.gateway.gateway import Gateway, TheGateway
from tapestream.gateway.problems import responses

router = APIRouter(tags=["health"])
DATABASE_TIMEOUT_S = 2.0


class HealthState(BaseModel):
    """Overall state, with the fields that front ends of all kinds look for."""

    status: str = Field(examples=["healthy"], description="healthy, degraded or unhealthy")
    binance_ws_active: list[str] = Field(description="Symbols that stream now")
    data_buffer_stats: BufferStats
    active_alerts: int
    triggered_alerts: int
    components: dict[str, str] = Field(description="Component → ok or what is wrong")
    version: str
    uptime_s: float


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: str
    components: dict[str, str]


class ComponentHealth(BaseModel):
    """One server that the gateway needs."""

    model_config = ConfigDict(extra="allow")

    status: str
    detail: str = ""
    latency_ms: float | None = None


class ServiceHealth(BaseModel):
    """One process, by its last heartbeat."""

    service: str
    instance: str
    status: str
    ready: bool
    age_s: float
    detail: dict[str, str]
    figures: dict[str, float]


class ServicesHealth(BaseModel):
    services: list[ServiceHealth]
    missing: dict[str, str] = Field(description="Required services that cannot be counted on, and why")


class DetailedHealth(HealthState):
    """Everything in one answer."""

    nats: ComponentHealth
    database: ComponentHealth
    services: list[ServiceHealth]
    figures: dict[str, float]


async def database_health(gateway: Gateway) -> ComponentHealth:
    """Ask Postgres something trivial."""
    if not gateway.history.configured:
        return ComponentHealth(status="unhealthy", detail="DATABASE_URL is not set")
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            latency_s = await gateway.history.ping()
    except TimeoutError:
        return ComponentHealth(status="unhealthy", detail=f"no answer within {DATABASE_TIMEOUT_S:g} s")
    except (SQLAlchemyError, OSError, NotConnectedError) as error:
        cause = getattr(error, "orig", None) or error
        return ComponentHealth(status="unhealthy", detail=str(cause).strip().splitlines()[0][:200])
    return ComponentHealth.model_validate(
        {"status": "healthy", "latency_ms": round(latency_s * 1000, 3), **gateway.history.pool_state()}
    )


async def nats_health(gateway: Gateway) -> ComponentHealth:
    """Measure a round trip to NATS."""
    if not gateway.nats_connected:
        return ComponentHealth(status="unhealthy", detail="not connected")
    try:
        latency_s = await gateway.bus.nc.rtt(2)
    except Exception as error:  # noqa: BLE001 - whatever it is, NATS does not answer
        return ComponentHealth(status="unhealthy", detail=repr(error))
    return ComponentHealth(status="healthy", latency_ms=round(latency_s * 1000, 3))


def service_problems(gateway: Gateway) -> dict[str, str]:
    """Required services that cannot be counted on."""
    found = {name: gateway.services.problem_of(name) for name in gateway.settings.required_services}
    return {name: problem for name, problem in found.items() if problem}


async def components(gateway: Gateway) -> dict[str, str]:
    """Every component with ``ok`` or what is wrong."""
    database = await database_health(gateway)
    states = {
        "nats": "ok" if gateway.nats_connected else "not connected",
        "database": database.detail or "ok",
        "memory": "ok" if gateway.feed.caught_up.is_set() else "reading the streams",
    }
    missing = service_problems(gateway)
    return states | {name: missing.get(name, "ok") for name in gateway.settings.required_services}


async def overall(gateway: Gateway) -> HealthState:
    """Unhealthy: no live data can be served. Degraded: something of it cannot."""
    states = await components(gateway)
    latency_ms = gateway.feed.latency_s * 1000
    if latency_ms > gateway.settings.max_latency_ms and gateway.feed.is_flowing:
        states["latency"] = f"ticks are {latency_ms:.0f} ms old when served"
    status = "healthy"
    if any(state != "ok" for state in states.values()):
        status = "degraded"
    if states["nats"] != "ok" or states["memory"] != "ok":
        status = "unhealthy"
    return HealthState(
        status=status,
        binance_ws_active=streaming_symbols(gateway),
        data_buffer_stats=buffer_stats(gateway),
        active_alerts=int(gateway.services.figure("alerts", "active_alerts")),
        triggered_alerts=int(gateway.services.figure("alerts", "triggered_alerts")),
        components=states,
        version=gateway.version,
        uptime_s=round(time.monotonic() - gateway.started_at, 1),
    )


def services_health(gateway: Gateway) -> list[ServiceHealth]:
    """Every process heard of."""
    return [
        ServiceHealth(
            service=seen.status.service,
            instance=seen.status.instance,
            status=("healthy" if seen.status.ready else "degraded") if seen.fresh else "unhealthy",
            ready=seen.status.ready and seen.fresh,
            age_s=round(seen.age_s, 2),
            detail=seen.status.detail,
            figures=seen.status.figures,
        )
        for seen in gateway.services.all()
    ]


def figures(gateway: Gateway) -> dict[str, float]:
    """Numbers of this process."""
    tally = gateway.hub.tally
    return {
        "ws_clients": len(gateway.hub.clients),
        "ws_frames_sent": tally.frames,
        "ws_bytes_sent": tally.bytes,
        "ws_frames_conflated": tally.conflated_asked + tally.conflated_slow,
        "ring_trades": sum(len(memory.trades) for memory in gateway.memory.symbols.values()),
        "tick_latency_ms": round(gateway.feed.latency_s * 1000, 3),
        "resident_bytes": _resident_bytes(),
        "cpu_seconds": time.process_time(),
        "uptime_s": round(time.monotonic() - gateway.started_at, 1),
        **{f"database_connections_{state}": n for state, n in gateway.history.pool_state().items()},
    }


@router.get("/health")
async def health(gateway: TheGateway) -> HealthState:
    """Overall state."""
    return await overall(gateway)


@router.get("/health/live", status_code=204, response_class=Response)
async def live() -> None:
    """204 for as long as the process answers."""


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "Names what is not ready"}})
async def ready(gateway: TheGateway, response: Response) -> Readiness:
    """Ready when NATS, the database and every required service answer."""
    states = await components(gateway)
    is_ready = all(state == "ok" for state in states.values())
    response.status_code = 200 if is_ready else 503
    return Readiness(status="ready" if is_ready else "not_ready", components=states)


@router.get("/health/detailed")
async def detailed(gateway: TheGateway) -> DetailedHealth:
    """Everything in one answer."""
    state = await overall(gateway)
    return DetailedHealth(
        **state.model_dump(),
        nats=await nats_health(gateway),
        database=await database_health(gateway),
        services=services_health(gateway),
        figures=figures(gateway),
    )


_unhealthy: dict[int | str, dict[str, Any]] = {
    503: {"model": ComponentHealth, "description": "It does not answer"}
}


@router.get("/health/db", responses=_unhealthy)
async def database(gateway: TheGateway, response: Response) -> ComponentHealth:
    """State of Postgres."""
    return _with_status(await database_health(gateway), response)


@router.get("/health/nats", responses=_unhealthy)
async def nats(gateway: TheGateway, response: Response) -> ComponentHealth:
    """State of NATS."""
    return _with_status(await nats_health(gateway), response)


@router.get("/health/redis", include_in_schema=False)
async def redis(gateway: TheGateway, response: Response) -> ComponentHealth:
    """State of NATS, which does here what Redis does elsewhere."""
    return await nats(gateway, response)


@router.get("/health/services")
async def services(gateway: TheGateway) -> ServicesHealth:
    """Every process by its last heartbeat."""
    return ServicesHealth(services=services_health(gateway), missing=service_problems(gateway))


@router.get("/health/metrics")
async def health_metrics(gateway: TheGateway) -> dict[str, float]:
    """Figures of this process as JSON."""
    return figures(gateway)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text"}} | responses(401),
)
async def metrics(gateway: TheGateway) -> Response:
    """Figures of this process for Prometheus."""
    gateway.refresh_gauges()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _resident_bytes() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * getpagesize()
    return getrusage(RUSAGE_SELF).ru_maxrss  # elsewhere: the most it ever was


def _with_status(state: ComponentHealth, response: Response) -> ComponentHealth:
    response.status_code = 200 if state.status == "healthy" else 503
    return state
