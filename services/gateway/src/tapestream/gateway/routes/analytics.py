"""Analytics of pairs: figures over time, tests, the radar."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.pair_limits import LARGEST_WINDOW, METHODS
from tapestream.common.contracts.pair_queries import (
    MOST_ROWS,
    AdfReply,
    AdfRequest,
    PairReply,
    PairRequest,
    RadarReply,
    RadarRequest,
)
from tapestream.gateway.analytics import ask, known_method, known_pair, shown_pair
from tapestream.gateway.core.pair_views import adf_values, interpretation, series
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.params import End, Start, Timeframe, known_symbol, period
from tapestream.gateway.problems import ProblemError, responses

router = APIRouter(prefix="/analytics", tags=["analytics"], responses=responses(400, 401, 404, 422, 503))

PairQuery = Annotated[
    str,
    Query(
        description="A-B, or A,B where a symbol has a hyphen; a symbol may be SYMBOL@venue",
        max_length=140,
        examples=["BTCUSDT-ETHUSDT"],
    ),
]
Window = Annotated[
    int | None,
    Query(description="Bars in a window, at least 2; default DEFAULT_ROLLING_WINDOW", examples=[60]),
]
MethodQuery = Annotated[
    str | None,
    Query(description=f"{', '.join(METHODS)}, in any case; default DEFAULT_REGRESSION", max_length=32),
]
Intercept = Annotated[bool, Query(description="False puts the line through the origin")]


class Point(BaseModel):
    ts: str = Field(description="Start of the bar")
    value: float | None = Field(description="null where the figure is undefined")


class Adf(BaseModel):
    """Augmented Dickey-Fuller test; the null hypothesis is a unit root."""

    pvalue: float | None
    stat: float | None
    statistic: float | None = Field(description="The same as stat")
    lags: int
    observations: int
    critical_values: dict[str, float | None]
    reason: str | None = Field(description="Why the test is undefined")


class Cointegration(BaseModel):
    """Engle-Granger test; the null hypothesis is no cointegration."""

    statistic: float | None
    pvalue: float | None
    critical_values: dict[str, float | None]
    hedge_ratio: float | None
    intercept: float | None
    reason: str


class PairAnalytics(BaseModel):
    """Figures of a pair, A explained by B, at each bar that both have, oldest first."""

    pair: str
    timeframe: str
    tf: str = Field(description="The same as timeframe")
    method: str
    hedge: str = Field(
        description="rolling: fitted to the last window; recursive: filtered over all bars before"
    )
    window: int
    window_used: int = Field(description="Smaller than window where there is less history; warnings say so")
    hedge_ratio: list[Point]
    intercept: list[Point]
    spread: list[Point] = Field(description="A - hedge_ratio * B, by the ratio of the same bar")
    zscore: list[Point] = Field(description="Of the spread over the last window of spreads")
    rolling_corr: list[Point]
    adf: Adf = Field(description="Of the spread of the last window of bars by the newest hedge ratio")
    cointegration: Cointegration = Field(description="Of the prices of the same bars")
    half_life_bars: float | None
    hurst: float | None
    reasons: dict[str, str] = Field(description="Why a figure is undefined, by its name")
    bars_joined: int
    bars_dropped_a: int = Field(description="Bars of A that B has none for")
    bars_dropped_b: int
    count: int
    warnings: list[str]


class AdfAnswer(Adf):
    """Is a spread, or a price, stationary?"""

    pair: str | None
    symbol: str | None
    timeframe: str
    window_used: int
    hedge_ratio: float | None
    ts: str = Field(description="Start of the newest bar")
    is_stationary: bool | None = Field(
        description="Whether a unit root is rejected at 5 %; null: cannot be said"
    )
    interpretation: str
    warnings: list[str]


class RadarItem(BaseModel):
    rank: int
    pair: str
    a: str
    b: str
    pvalue: float | None = Field(description="Engle-Granger cointegration")
    half_life_bars: float | None
    correlation: float | None
    zscore: float | None
    hedge_ratio: float | None
    reason: str | None


class RadarAnswer(BaseModel):
    """Every pair of the streamed instruments, ranked, the most tradable first."""

    timeframe: str
    window: int | None = Field(description="Bars of correlation and z-score; tests are over RADAR_BARS")
    ts: str | None = Field(description="Start of the newest bar; null before the first radar")
    pairs: int = Field(description="How many pairs were scored")
    items: list[RadarItem]
    warnings: list[str]


@router.get("/pair", response_model=PairAnalytics)
async def pair_analytics(
    gateway: TheGateway,
    pair: PairQuery,
    tf: Timeframe = "1m",
    window: Window = None,
    method: MethodQuery = None,
    intercept: Intercept = True,
    start: Start = None,
    end: End = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many bars at most, the newest")] = 500,
) -> Response:
    """Hedge ratio, spread, z-score and correlation over time, with tests of the newest window."""
    request = pair_request(gateway, pair, tf, window, method, start, end)
    request = msgspec.structs.replace(request, intercept=intercept, limit=limit)
    a, b = known_pair(gateway, pair)
    values = {"pair": pair, "tf": tf, "window": window, "method": method, "limit": limit}
    reply = await ask(gateway, "pair", request, PairReply, values)
    times = [iso_utc(ts_ns) for ts_ns in reply.ts_ns]
    body = {
        "pair": shown_pair(gateway, a, b),
        "timeframe": tf,
        "tf": tf,
        "method": reply.method,
        "hedge": reply.hedge,
        "window": reply.window,
        "window_used": reply.window_used,
        "hedge_ratio": series(times, reply.hedge_ratio),
        "intercept": series(times, reply.intercept),
        "spread": series(times, reply.spread),
        "zscore": series(times, reply.zscore),
        "rolling_corr": series(times, reply.correlation),
        "adf": adf_values(reply.adf),
        "cointegration": reply.cointegration,
        "half_life_bars": reply.half_life_bars,
        "hurst": reply.hurst,
        "reasons": reply.reasons,
        "bars_joined": reply.bars_joined,
        "bars_dropped_a": reply.bars_dropped_a,
        "bars_dropped_b": reply.bars_dropped_b,
        "count": len(times),
        "warnings": reply.warnings,
    }
    return _json(body)


@router.get("/adf", response_model=AdfAnswer)
async def adf_test(
    gateway: TheGateway,
    pair: Annotated[str | None, Query(description="A-B: tests the spread", max_length=140)] = None,
    symbol: Annotated[
        str | None, Query(description="Tests this symbol's price instead", max_length=64)
    ] = None,
    tf: Timeframe = "1m",
    window: Window = None,
    method: MethodQuery = None,
    intercept: Intercept = True,
    end: End = None,
) -> Response:
    """Augmented Dickey-Fuller test of the newest window of a pair's spread, or of a price."""
    if (pair is None) == (symbol is None):
        raise ProblemError(
            422,
            "name a pair or a symbol, one of them",
            field="pair",
            value=pair,
            allowed="pair=A-B or symbol=A",
        )
    names: tuple[InstrumentName, ...]
    names = known_pair(gateway, pair) if pair is not None else (known_symbol(gateway, symbol or ""),)
    request = AdfRequest(
        a=str(names[0]),
        b=str(names[1]) if len(names) == 2 else "",
        timeframe=tf,
        window=_window(gateway, window),
        method=known_method(gateway, method),
        intercept=intercept,
        end_ns=period(None, end)[1],
    )
    values = {"pair": pair or symbol, "tf": tf, "window": window, "method": method}
    reply = await ask(gateway, "adf", request, AdfReply, values)
    assert reply.adf is not None
    what = "the spread" if len(names) == 2 else "the price"
    is_stationary, text = interpretation(reply.adf, what)
    body = adf_values(reply.adf) | {
        "pair": shown_pair(gateway, names[0], names[1]) if len(names) == 2 else None,
        "symbol": gateway.memory.shown(names[0]) if len(names) == 1 else None,
        "timeframe": tf,
        "window_used": reply.window_used,
        "hedge_ratio": reply.hedge_ratio,
        "ts": iso_utc(reply.ts_ns),
        "is_stationary": is_stationary,
        "interpretation": text,
        "warnings": reply.warnings,
    }
    return _json(body)


@router.get("/radar", response_model=RadarAnswer)
async def radar(
    gateway: TheGateway,
    tf: Timeframe = "1m",
    limit: Annotated[int, Query(ge=1, le=10_000, description="How many of the best pairs")] = 100,
) -> Response:
    """The newest radar: cointegrated pairs first, then by half-life, p-value, correlation and z-score."""
    reply = await ask(gateway, "radar", RadarRequest(timeframe=tf), RadarReply, {"tf": tf})
    found = reply.radar
    items: list[dict[str, Any]] = []
    for row in found.rows[:limit] if found is not None else []:
        a, b = (InstrumentName.parse(text, gateway.settings.venue) for text in (row.a, row.b))
        values = {
            name: getattr(row, name) for name in RadarItem.model_fields if name not in ("pair", "reason")
        }
        items.append(values | {"pair": shown_pair(gateway, a, b), "reason": row.reason or None})
    body = {
        "timeframe": tf,
        "window": found.window if found is not None else None,
        "ts": iso_utc(found.ts_ns) if found is not None else None,
        "pairs": found.pairs if found is not None else 0,
        "items": items,
        "warnings": [] if found is not None else ["no bar has closed yet since analytics started"],
    }
    return _json(body)


def pair_request(
    gateway: TheGateway,
    pair: str,
    tf: str,
    window: int | None,
    method: str | None,
    start: str | None,
    end: str | None,
) -> PairRequest:
    """A question to analytics. Raises ProblemError: 400, 404 or 422 that names the field."""
    a, b = known_pair(gateway, pair)
    start_ns, end_ns = period(start, end)
    return PairRequest(
        a=str(a),
        b=str(b),
        timeframe=tf,
        window=_window(gateway, window),
        method=known_method(gateway, method),
        start_ns=start_ns,
        end_ns=end_ns,
    )


def _window(gateway: TheGateway, window: int | None) -> int:
    if window is None:
        return gateway.settings.default_rolling_window
    if not 2 <= window < 1 << 31:
        detail = f"window {window} is too {'short' if window < 2 else 'long'}"
        raise ProblemError(400, detail, field="window", value=window, allowed=f"2 to {LARGEST_WINDOW} bars")
    return window


def _json(body: dict[str, Any]) -> Response:
    """Thousands of rows go through no model: they are encoded once, as they are."""
    return Response(msgspec.json.encode(body), media_type="application/json")
