"""Whole periods as files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from tapestream.gateway.exports import MEDIA_TYPES, Export, chunks
from tapestream.gateway.gateway import Gateway, TheGateway
from tapestream.gateway.ohlcv import Ohlcv
from tapestream.gateway.pair_export import pieces as pair_pieces
from tapestream.gateway.params import End, Start, SymbolQuery, Timeframe, known_symbol, period
from tapestream.gateway.problems import ProblemError, responses
from tapestream.gateway.routes.analytics import MethodQuery, Window, pair_request

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


@router.get("/export", response_class=Response, responses=_FILES | responses(400))
async def export(
    gateway: TheGateway,
    symbol: Annotated[
        str | None, Query(description="Symbol, or SYMBOL@venue, of bars, ticks or quotes", max_length=64)
    ] = None,
    kind: Annotated[
        Literal["ticks", "bars", "quotes", "analytics"] | None,
        Query(description="What to export; by default bars of a symbol, analytics of a pair"),
    ] = None,
    pair: Annotated[str | None, Query(description="A-B, for analytics", max_length=140)] = None,
    tf: Timeframe = "1m",
    window: Window = None,
    method: MethodQuery = None,
    start: Start = None,
    end: End = None,
    file_format: Format = "csv",
) -> Response:
    """Bars, ticks or quotes of a symbol, or the analytics of a pair (CSV), oldest first."""
    if kind == "analytics" or (kind is None and pair is not None):
        if pair is None:
            raise _lacks("pair", "A-B, such as BTCUSDT-ETHUSDT")
        if file_format != "csv":
            raise ProblemError(
                422, "analytics are exported as CSV", field="format", value=file_format, allowed="csv"
            )
        return await _stream_pair(gateway, pair, tf, window, method, start, end)
    if symbol is None:
        raise _lacks("symbol", gateway.catalog.allowed_text())
    return await _stream(gateway, symbol, kind or "bars", tf, start, end, file_format)


def _lacks(field: str, allowed: str) -> ProblemError:
    return ProblemError(422, f"{field} is needed for this export", field=field, value=None, allowed=allowed)


async def _stream_pair(
    gateway: Gateway,
    pair: str,
    tf: str,
    window: int | None,
    method: str | None,
    start: str | None,
    end: str | None,
) -> Response:
    request = pair_request(gateway, pair, tf, window, method, start, end)
    values = {"pair": pair, "tf": tf, "window": window, "method": method}
    parts = pair_pieces(gateway, pair, request, values)
    begin = await anext(parts)
    names = f"{request.a.partition('@')[0]}-{request.b.partition('@')[0]}"
    return _file(begin, parts, f"{_plain(names)}-analytics-{tf}", "csv")


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
    return _file(begin, pieces, f"{_plain(name.symbol)}-{middle}", file_format)


def _file(begin: bytes, pieces: AsyncIterator[bytes], name: str, file_format: str) -> Response:
    return StreamingResponse(
        _all(begin, pieces),
        media_type=MEDIA_TYPES[file_format],
        headers={"Content-Disposition": f'attachment; filename="{name}.{file_format}"'},
    )


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text)


async def _all(begin: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for piece in pieces:
        yield piece
