"""Whole periods as files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from tapestream.gateway.exports import MEDIA_TYPES, Export, chunks
from tapestream.gateway.gateway import Gateway, TheGateway
from tapestream.gateway.ohlcv import Ohlcv
from tapestream.gateway.params import End, Start, SymbolQuery, Timeframe, known_symbol, period
from tapestream.gateway.problems import responses

router = APIRouter(tags=["export"], responses=responses(401, 404, 422, 503))
Kind = Annotated[Literal["ticks", "bars", "quotes"], Query(description="What to export")]
Format = Annotated[Literal["csv", "parquet"], Query(alias="format", description="Form of the file")]
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, streamed. One that cannot be finished breaks off with the connection.",
        "content": {
            MEDIA_TYPES["csv"].partition(";")[0]: {"schema": {"type": "string"}},
            MEDIA_TYPES["parquet"]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get("/export", response_class=Response, responses=_FILES)
async def export(
    gateway: TheGateway,
    symbol: SymbolQuery,
    kind: Kind = "bars",
    tf: Timeframe = "1m",
    start: Start = None,
    end: End = None,
    file_format: Format = "csv",
) -> Response:
    """Bars, ticks or quotes of a period, oldest first."""
    return await _stream(gateway, symbol, kind, tf, start, end, file_format)


@router.get("/database/export", response_class=Response, responses=_FILES)
async def database_export(
    gateway: TheGateway,
    symbol: SymbolQuery,
    kind: Kind = "ticks",
    tf: Timeframe = "1m",
    start: Start = None,
    end: End = None,
    file_format: Format = "csv",
) -> Response:
    """Ticks, bars or quotes of a period, oldest first."""
    return await _stream(gateway, symbol, kind, tf, start, end, file_format)


async def _stream(
    gateway: Gateway, symbol: str, kind: str, tf: str, start: str | None, end: str | None, file_format: str
) -> Response:
    name = known_symbol(gateway, symbol)
    start_ns, end_ns = period(start, end)
    if kind == "bars":
        Ohlcv(gateway, name, tf)  # complains about the timeframe while an answer still can
    if kind == "quotes" or gateway.history.configured:
        await gateway.history.ping()
    pieces = chunks(gateway, Export(name, kind, tf, start_ns, end_ns), file_format)
    begin = await anext(pieces)
    middle = f"{kind}-{tf}" if kind == "bars" else kind
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name.symbol)
    return StreamingResponse(
        _all(begin, pieces),
        media_type=MEDIA_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{plain}-{middle}.{file_format}"'},
    )


async def _all(begin: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for piece in pieces:
        yield piece
