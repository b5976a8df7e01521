"""The control endpoint: what happened so far, and misfortunes to order."""

from __future__ import annotations

import time
from typing import Annotated, Any, Protocol, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tapestream.common.frames import binary_frame, text_frame
from tapestream.simulators.binance.faults import Fault, FaultKind, Scope
from tapestream.simulators.binance.hub import Connection, Hub
from tapestream.simulators.market import Market

GARBAGE = (
    text_frame(b"this is no JSON"),
    text_frame(b'{"stream":"btcusdt@trade","data":{"e":"trade","E":17'),
    text_frame(
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":"x","T":null,"s":7,"t":"1","p":[],"q":{}}}'
    ),
    text_frame(b'{"e":"somethingNew","E":1,"s":"BTCUSDT","n":{"deep":[1,2,3]}}'),
    binary_frame(bytes(range(256))),
    text_frame(b"[]"),
    text_frame(b'"trade"'),
    text_frame(b""),
)
"""Frames that no client should stumble over, in turn."""

_REORDER_WITHIN_S = 5.0
_NEEDS = {
    FaultKind.MUTE: "seconds",
    FaultKind.STALL: "seconds",
    FaultKind.REFUSE: "seconds",
    FaultKind.REST_DOWN: "seconds",
    FaultKind.DUPLICATE: "n",
    FaultKind.REORDER: "n",
    FaultKind.DELAY: "ms",
}


class Player(Protocol):
    """What plays the market."""

    def status(self) -> dict[str, Any]: ...

    def start(self) -> None: ...


class FaultOrder(BaseModel):
    """A misfortune. ``market``, ``symbol`` and ``stream`` narrow it; without them it is for all."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    market: Market | None = None
    symbol: Annotated[str, Field(min_length=1)] | None = None
    stream: Annotated[str, Field(min_length=1)] | None = None
    seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None
    n: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] | None = None
    ms: Annotated[float, Field(gt=0, le=600_000)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = _NEEDS.get(self.kind)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"kind={self.kind} needs {needed}")
        if self.kind is FaultKind.SKIP and self.n is None and self.probability is None:
            raise ValueError("kind=skip needs n or probability")
        if self.kind is FaultKind.REST_429 and self.n is None and self.seconds is None:
            raise ValueError("kind=rest_429 needs n or seconds")
        if self.kind is FaultKind.REORDER and self.n is not None and self.n > 10_000:
            raise ValueError("kind=reorder takes n up to 10000")
        return self


def control_router(hub: Hub, player: Player, settings: dict[str, Any]) -> APIRouter:
    router = APIRouter(prefix="/control")

    @router.get("/report")
    async def report() -> dict[str, Any]:
        connections = [*hub.closed, *hub.connections.values()]
        return {
            "symbols": hub.ledger.report(),
            "connections": [connection.as_dict() for connection in connections],
            "slow_clients_cut": hub.slow_cut,
            "faults": dict(hub.faults.counts),
        }

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return {
            **player.status(),
            **settings,
            "connections": len(hub.connections),
            "faults": hub.faults.as_list(time.monotonic()),
        }

    @router.post("/start")
    async def start() -> dict[str, Any]:
        player.start()
        return player.status()

    @router.post("/reset_faults")
    async def reset_faults() -> dict[str, Any]:
        hub.send_all(hub.faults.reset())
        return {"faults": []}

    @router.post("/fault")
    async def fault(order: FaultOrder) -> dict[str, Any]:
        symbol = order.symbol.upper() if order.symbol else None
        scope = Scope(order.market, symbol, order.stream)
        touched = [connection for connection in hub.connections.values() if _concerns(scope, connection)]
        now = time.monotonic()
        if order.kind is FaultKind.DROP:
            for connection in touched:
                hub.abort(connection, "dropped")
        elif order.kind is FaultKind.GARBAGE:
            count = order.n or len(GARBAGE)
            for connection in touched:
                for number in range(count):
                    connection.raw.write(GARBAGE[number % len(GARBAGE)])
        else:
            seconds = order.seconds
            if seconds is None and order.kind is FaultKind.REORDER:
                seconds = _REORDER_WITHIN_S  # else the last frames of a quiet stream would never come
            until = None if seconds is None else now + seconds
            hub.faults.add(
                Fault(
                    order.kind, scope, order.n, until, order.probability, delay_s=(order.ms or 0.0) / 1000.0
                )
            )
            hub.wake.set()
        return {"connections": len(touched), "faults": hub.faults.as_list(now)}

    return router


def _concerns(scope: Scope, connection: Connection) -> bool:
    return scope.everything or any(scope.matches(stream) for stream in connection.streams.values())
