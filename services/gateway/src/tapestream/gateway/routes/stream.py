"""Which symbols stream."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from tapestream.common.bus.buckets import read_wants
from tapestream.gateway import feeds
from tapestream.gateway.buffers import BufferStats, buffer_stats, streaming_symbols
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.problems import responses
from tapestream.gateway.schemas import Started, Stopped, StopRequest, StreamRequest

router = APIRouter(tags=["live data"], responses=responses(401, 422, 503))


class StreamStatus(BaseModel):
    """What is wanted and what comes."""

    status: str = "ok"
    active_symbols: list[str] = Field(description="Everything that anybody wants streaming")
    streaming_symbols: list[str] = Field(description="Symbols of which something came lately")
    owners: dict[str, list[str]] = Field(description="Owner → what it wants, as SYMBOL@venue")
    max_symbols: int
    websocket_clients: int = Field(description="Clients of the process that answers")
    buffer_stats: BufferStats


@router.post("/stream/start", responses=responses(400, 409))
async def start(gateway: TheGateway, request: StreamRequest) -> Started:
    """Let symbols stream. Starting what already streams is fine."""
    active = await feeds.start(gateway, request.owner, request.symbols)
    return Started(symbols=request.symbols, active_symbols=active)


@router.post("/stream/stop", responses=responses(400, 409))
async def stop(gateway: TheGateway, request: StopRequest | None = None) -> Stopped:
    """Let symbols stream no longer on this owner's behalf. Stopping what does not stream is fine."""
    request = request or StopRequest(symbols=None, owner="default")
    symbols, active = await feeds.stop(gateway, request.owner, request.symbols)
    return Stopped(symbols=symbols, active_symbols=active)


@router.get("/stream/status")
async def status(gateway: TheGateway) -> StreamStatus:
    """What is wanted, and what comes."""
    wants = await read_wants(gateway.bus)
    return StreamStatus(
        active_symbols=await feeds.active_symbols(gateway),
        streaming_symbols=streaming_symbols(gateway),
        owners={owner: want.symbols for owner, want in sorted(wants.items())},
        max_symbols=gateway.settings.max_symbols,
        websocket_clients=len(gateway.hub.clients),
        buffer_stats=buffer_stats(gateway),
    )
