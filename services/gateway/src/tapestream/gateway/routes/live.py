"""Live data: what is held in memory, joined with history where a question goes further back."""

from __future__ import annotations

from fastapi import APIRouter, Response

from tapestream.gateway.buffers import BufferStats, buffer_stats
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.ohlcv import Ohlcv
from tapestream.gateway.params import (
    Cursor,
    End,
    Limit,
    Start,
    SymbolPath,
    Timeframe,
    known_symbol,
    period,
    position_of,
)
from tapestream.gateway.problems import responses
from tapestream.gateway.schemas import BarPage, TickPage, bar_items, page_response, tick_values
from tapestream.gateway.ticks import Period, Ticks

router = APIRouter(tags=["live data"], responses=responses(401, 422, 503))


@router.get("/symbols", responses=responses(401))
async def symbols(gateway: TheGateway) -> list[str]:
    """Available symbols."""
    return gateway.catalog.available()


@router.get("/data/stats")
async def stats(gateway: TheGateway) -> BufferStats:
    """What memory holds."""
    return buffer_stats(gateway)


@router.get("/data/{symbol}", response_model=BarPage, responses=responses(404))
async def ohlcv(
    gateway: TheGateway,
    symbol: SymbolPath,
    tf: Timeframe = "1m",
    start: Start = None,
    end: End = None,
    limit: Limit = 500,
    cursor: Cursor = None,
) -> Response:
    """The newest bars of a period, oldest first, the running one included."""
    name = known_symbol(gateway, symbol)
    start_ns, end_ns = period(start, end)
    before_ns = position_of(cursor)
    if before_ns is not None:
        end_ns = before_ns if end_ns is None else min(end_ns, before_ns)
    source = Ohlcv(gateway, name, tf)
    bars, more = await source.newest(start_ns, end_ns, limit)
    total = None if before_ns is not None else await source.count(start_ns, end_ns, len(bars), more)
    head = {"symbol": gateway.memory.shown(name), "timeframe": tf, "tf": tf}
    return page_response(
        head, bar_items(bars), "data", bars[0].ts_ns if more else None, total, source.warnings
    )


@router.get("/data/{symbol}/ticks", response_model=TickPage, responses=responses(404))
async def ticks(
    gateway: TheGateway,
    symbol: SymbolPath,
    start: Start = None,
    end: End = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The newest trades of a period, oldest first; 503 where a part of them cannot be read now."""
    name = known_symbol(gateway, symbol)
    start_ns, end_ns = period(start, end)
    source = Ticks(gateway, name)
    found, more = await source.newest(Period(start_ns, end_ns, position_of(cursor)), limit)
    total = await source.count(Period(start_ns, end_ns)) if more or cursor else len(found)
    shown = gateway.memory.shown(name)
    return page_response(
        {"symbol": shown},
        tick_values(shown, found),
        "ticks",
        int(found.id[0]) if more else None,
        total,
        source.warnings,
    )
