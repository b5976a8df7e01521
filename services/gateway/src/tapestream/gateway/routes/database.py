"""History in Postgres: figures, rows, retention, gaps, backfill."""

from __future__ import annotations

from typing import Annotated, Any

import nats.errors
import sqlalchemy as sa
from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from tapestream.common.bus.headers import TRACEPARENT
from tapestream.common.contracts.messages import BackfillReply, BackfillRequest, GapReason, decoder, encode
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.gateway import retention
from tapestream.gateway.core.times import ALLOWED_TIME, iso_utc
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.params import (
    Cursor,
    End,
    Limit,
    Reason,
    Start,
    SymbolPath,
    SymbolQuery,
    Timeframe,
    instant,
    known_symbol,
    period,
    position_of,
)
from tapestream.gateway.problems import ProblemError, responses
from tapestream.gateway.routes import live
from tapestream.gateway.schemas import BarPage, Page, TickPage, page_response
from tapestream.gateway.statistics import DatabaseStats, database_stats
from tapestream.gateway.traced import TraceParent

router = APIRouter(prefix="/database", tags=["database"], responses=responses(401, 422, 503))
_decode_reply = decoder(BackfillReply).decode


class GapItem(BaseModel):
    """A range of trade ids that did not arrive in order, and what became of it."""

    symbol: str
    from_id: int
    to_id: int
    count: int = Field(description="How many ids the range has")
    from_ts: str | None
    to_ts: str | None
    reason: str = Field(description=", ".join(GapReason))
    detected_at: str


class GapPage(Page):
    items: list[GapItem]
    gaps: list[GapItem] = Field(description="The same as items")


class CleanupRequest(BaseModel):
    """What to delete: everything older than a number of days, or than a time."""

    model_config = ConfigDict(extra="forbid")

    # strict: true is a number to pydantic, and would delete all but one day
    days: float | None = Field(None, ge=0, le=36_500, strict=True, description="Keep this many days")
    older_than: str | None = Field(None, max_length=64, description=f"Delete what is older: {ALLOWED_TIME}")


class BackfillBody(BaseModel):
    """What to fetch from the venue."""

    symbol: str = Field(max_length=64, examples=["BTCUSDT"])
    tf: str = Field("1m", max_length=8)
    start: str = Field(max_length=64, description=ALLOWED_TIME)
    end: str = Field(max_length=64, description=ALLOWED_TIME)


class Backfilled(BaseModel):
    status: str = "ok"
    symbol: str
    tf: str
    start: str
    end: str
    published: int = Field(description="Bars that the venue had and that were handed on")


@router.get("/stats")
async def stats(gateway: TheGateway) -> DatabaseStats:
    """Rows and periods, by symbol."""
    return await database_stats(gateway)


@router.get("/ticks/{symbol}", response_model=TickPage, responses=responses(404))
async def ticks(
    gateway: TheGateway,
    symbol: SymbolPath,
    start: Start = None,
    end: End = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """The newest trades of a period, oldest first, as far back as they are kept.

    503 where a part of them cannot be read now.
    """
    return await live.ticks(gateway, symbol, start, end, limit, cursor)


@router.get("/ohlcv", response_model=BarPage, responses=responses(404))
async def ohlcv(
    gateway: TheGateway,
    symbol: SymbolQuery,
    tf: Timeframe = "1m",
    start: Start = None,
    end: End = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """The newest bars of a period, oldest first, as far back as they are kept."""
    return await live.ohlcv(gateway, symbol, tf, start, end, limit, cursor)


@router.get("/gaps", response_model=GapPage, responses=responses(404))
async def gaps(
    gateway: TheGateway,
    symbol: Annotated[str | None, Query(max_length=64, description="Only this symbol's")] = None,
    reason: Reason = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """The gap ledger, newest detection first."""
    offset = position_of(cursor) or 0
    conditions = ["true"]
    values: dict[str, Any] = {"limit": limit + 1, "offset": offset}
    if offset > 1 << 40:
        raise ProblemError(
            422, "this is no cursor", field="cursor", value=cursor, allowed="next_cursor of an answer"
        )
    if symbol is not None:
        name = known_symbol(gateway, symbol)
        conditions.append("i.venue = :venue AND i.symbol = :symbol")
        values |= {"venue": name.venue, "symbol": name.symbol}
    if reason is not None:
        conditions.append("g.reason = :reason")
        values["reason"] = str(reason)
    where = "FROM gaps AS g JOIN instruments AS i ON i.id = g.instrument_id WHERE " + " AND ".join(conditions)
    query = f"""SELECT i.venue, i.symbol, g.from_id, g.to_id, {_micros("from_ts")}, {_micros("to_ts")}, g.reason,
        {_micros("detected_at")} {where} ORDER BY g.detected_at DESC, g.instrument_id, g.from_id DESC
        LIMIT :limit OFFSET :offset"""
    async with gateway.history.connect() as connection:
        rows = (await connection.execute(sa.text(query), values)).all()
        total = (await connection.execute(sa.text(f"SELECT count(*) {where}"), values)).scalar()
    items = [
        {
            "symbol": symbol if venue == gateway.settings.venue else f"{symbol}@{venue}",
            "from_id": from_id,
            "to_id": to_id,
            "count": to_id - from_id + 1,
            "from_ts": _iso(from_us),
            "to_ts": _iso(to_us),
            "reason": why,
            "detected_at": _iso(detected_us),
        }
        for venue, symbol, from_id, to_id, from_us, to_us, why, detected_us in rows[:limit]
    ]
    following = offset + limit if len(rows) > limit else None
    return page_response({}, items, "gaps", following, total)


@router.post("/cleanup", responses=responses(400, 504))
async def cleanup(
    gateway: TheGateway,
    traceparent: TraceParent,
    days: Annotated[float | None, Query(ge=0, le=36_500, description="Keep this many days")] = None,
    older_than: Annotated[
        str | None, Query(max_length=64, description=f"Delete what is older: {ALLOWED_TIME}")
    ] = None,
    request: Annotated[CleanupRequest | None, Body()] = None,
) -> retention.Cleaned:
    """Delete old history: whole days by dropping their partition, the rest row by row."""
    if request is not None:
        days = request.days if request.days is not None else days
        older_than = request.older_than or older_than
    if (days is None) == (older_than is None):
        raise ProblemError(
            422,
            "say how much to keep: days or older_than, one of them",
            field="days",
            value=days,
            allowed=f"days: 0 to 36500, or older_than: {ALLOWED_TIME}",
        )
    cutoff_ns = retention.cutoff(days) if days is not None else instant("older_than", older_than)
    if cutoff_ns is None:
        raise ProblemError(
            422, "older_than is empty", field="older_than", value=older_than, allowed=ALLOWED_TIME
        )
    return await retention.clean(gateway, cutoff_ns, traceparent)


@router.post("/backfill", responses=responses(400, 404, 502, 504))
async def backfill(gateway: TheGateway, traceparent: TraceParent, request: BackfillBody) -> Backfilled:
    """Fetch the venue's own bars of a symbol and period, so that analyses have what they need at once."""
    name = known_symbol(gateway, request.symbol)
    start_ns, end_ns = period(request.start, request.end)
    if start_ns is None or end_ns is None:
        raise ProblemError(
            422, "start and end are needed", field="start", value=request.start, allowed=ALLOWED_TIME
        )
    built = gateway.settings.resample_intervals
    try:
        timeframe_ns(request.tf)
    except ValueError as error:
        raise ProblemError(422, str(error), field="tf", value=request.tf, allowed=", ".join(built)) from None
    message = BackfillRequest(symbol=str(name), start_ns=start_ns, end_ns=end_ns, timeframe=request.tf)
    timeout_s = gateway.settings.backfill_timeout_s
    subject = gateway.subjects.rpc("ingest", "backfill")
    try:
        answer = await gateway.bus.nc.request(
            subject, encode(message), timeout=timeout_s, headers={TRACEPARENT: traceparent}
        )
    except nats.errors.NoRespondersError:
        raise ProblemError(503, "ingest does not answer: nobody can fetch from the venue now") from None
    except (nats.errors.TimeoutError, TimeoutError):
        raise ProblemError(
            504, f"the venue's history did not come within {timeout_s:g} s; bars that came are kept"
        ) from None
    reply = _decode_reply(answer.data)
    if reply.error:
        field = reply.error.partition(":")[0]
        if field in ("symbol", "period", "timeframe"):
            raise ProblemError(
                422, reply.error, field=field, value=getattr(request, field, None), allowed=reply.error
            )
        raise ProblemError(502, f"the venue's history could not be had: {reply.error}")
    return Backfilled(
        symbol=gateway.memory.shown(name),
        tf=request.tf,
        start=iso_utc(start_ns),
        end=iso_utc(end_ns),
        published=reply.published,
    )


def _micros(column: str) -> str:
    return f"(extract(epoch FROM g.{column}) * 1000000)::int8"


def _iso(micros: int | None) -> str | None:
    return iso_utc(micros * 1000) if micros is not None else None
