"""Stored signals."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.common.db.history import period as period_conditions
from tapestream.gateway.analytics import known_pair, shown_pair
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.params import Cursor, End, Limit, Start, period
from tapestream.gateway.problems import ProblemError, responses
from tapestream.gateway.schemas import Page, page_response
from tapestream.gateway.ticks import COUNT_TIMEOUT_S

router = APIRouter(tags=["analytics"], responses=responses(401, 404, 422, 503))

_FIGURES = (
    "price_a", "price_b", "hedge_ratio", "intercept", "spread", "zscore", "correlation",
    "adf_statistic", "adf_pvalue", "half_life_bars",
)  # fmt: skip
_TS_US = "(extract(epoch FROM ts) * 1000000)::int8"
_SELECT = (
    f"SELECT id, {_TS_US} AS ts_us, venue_a, symbol_a, venue_b, symbol_b, timeframe, window_bars, method, "  # noqa: S608
    f"reason, rev, {', '.join(_FIGURES)} FROM signals"
)
_POSITION = re.compile(r"(\d{1,18})-(\d{1,18})")


class SignalItem(BaseModel):
    """Figures of a pair at one complete bar; null where a figure is undefined."""

    kind: str
    pair: str
    timeframe: str
    window: int
    method: str
    ts: str
    price_a: float
    price_b: float
    hedge_ratio: float | None
    intercept: float | None
    spread: float | None
    zscore: float | None
    correlation: float | None
    adf_statistic: float | None
    adf_pvalue: float | None
    half_life_bars: float | None
    reason: str | None
    rev: int


class SignalPage(Page):
    items: list[SignalItem]
    signals: list[SignalItem]


@router.get("/signals", response_model=SignalPage)
async def signals(
    gateway: TheGateway,
    kind: Annotated[Literal["pair"], Query(description="Kind of signal")] = "pair",
    pair: Annotated[str | None, Query(description="A-B; left out: all", max_length=140)] = None,
    timeframe: Annotated[str | None, Query(description="1m, 5m, …; left out: all", max_length=8)] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Signals of complete bars, the newest first."""
    conditions, values = period_conditions(*period(start, end))
    if pair is not None:
        a, b = known_pair(gateway, pair)
        for leg, name in (("a", a), ("b", b)):
            conditions += [f"venue_{leg} = :venue_{leg}", f"symbol_{leg} = :symbol_{leg}"]
            values |= {f"venue_{leg}": name.venue, f"symbol_{leg}": name.symbol}
    if timeframe is not None:
        _check_timeframe(timeframe)
        conditions.append("timeframe = :timeframe")
        values["timeframe"] = timeframe
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    page_where, page_values = where, values | {"limit": limit + 1}
    if cursor:
        behind = "(ts, id) < (to_timestamp(0) + :cursor_us * interval '1 microsecond', :cursor_id)"
        page_where = f"{where} AND {behind}" if where else f" WHERE {behind}"
        page_values |= _position(cursor)
    query = f"{_SELECT}{page_where} ORDER BY ts DESC, id DESC LIMIT :limit"
    async with gateway.history.connect() as connection:
        rows = (await connection.execute(sa.text(query), page_values)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    total = len(rows) if not more and not cursor else await _count(gateway, where, values)
    items = [_item(gateway, kind, row) for row in rows]
    following = f"{rows[-1].ts_us}-{rows[-1].id}" if more else None
    return page_response({}, items, "signals", following, total)


def _check_timeframe(text: str) -> None:
    try:
        timeframe_ns(text)
    except ValueError as error:
        raise ProblemError(
            422, str(error), field="timeframe", value=text, allowed="1s, 1m, 5m, 1h, 1d, …"
        ) from None


def _position(cursor: str) -> dict[str, int]:
    match = _POSITION.fullmatch(cursor)
    if not match or not cursor.isascii() or int(match[1]) > 9_000_000_000_000_000:
        raise ProblemError(
            422, "this is no cursor", field="cursor", value=cursor, allowed="next_cursor of an answer"
        )
    return {"cursor_us": int(match[1]), "cursor_id": int(match[2])}


async def _count(gateway: TheGateway, where: str, values: dict[str, Any]) -> int | None:
    """None where counting takes too long."""
    try:
        async with asyncio.timeout(COUNT_TIMEOUT_S), gateway.history.connect() as connection:
            query = sa.text(f"SELECT count(*) FROM signals{where}")  # noqa: S608 - our own words
            return (await connection.execute(query, values)).scalar()
    except TimeoutError:
        return None


def _item(gateway: TheGateway, kind: str, row: Any) -> dict[str, Any]:
    a, b = InstrumentName(row.symbol_a, row.venue_a), InstrumentName(row.symbol_b, row.venue_b)
    return {
        "kind": kind,
        "pair": shown_pair(gateway, a, b),
        "timeframe": row.timeframe,
        "window": row.window_bars,
        "method": row.method,
        "ts": iso_utc(row.ts_us * 1000),
        **{name: getattr(row, name) for name in _FIGURES},
        "reason": row.reason or None,
        "rev": row.rev,
    }
