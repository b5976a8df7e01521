"""What the live-data answers look like."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel, Field

from tapestream.common.contracts.messages import Bar
from tapestream.gateway.core.columns import TradeColumns
from tapestream.gateway.core.frames import KIND_NAMES, bar_values
from tapestream.gateway.core.times import iso_utc


class Page(BaseModel):
    """What every page says about the others."""

    count: int = Field(description="Items on this page")
    next_cursor: str | None = Field(description="Hand it back as cursor for the next, older page")
    has_more: bool
    total: int | None = Field(description="Items on all pages; null where counting takes too long")
    warnings: list[str] = Field([], description="What is not as it should be with this answer")


class Tick(BaseModel):
    """One trade."""

    symbol: str
    price: float
    qty: float
    ts: str = Field(examples=["2024-05-01T10:00:00.123Z"])
    id: int = Field(description="The venue's trade id")
    side: str = Field(description="buy or sell: of the aggressor")
    kind: str = Field(description="MARKET, or why the trade is left out of bars")


class TickPage(Page):
    symbol: str
    items: list[Tick]
    ticks: list[Tick] = Field(description="The same as items")


class Ohlc(BaseModel):
    """One bar."""

    ts: str = Field(description="Start of the interval")
    open: float
    high: float
    low: float
    close: float
    volume: float = Field(description="Sum of quantities")
    quote_volume: float = Field(description="Sum of price times quantity")
    buy_volume: float = Field(description="The part of volume where the buyer was the aggressor")
    trades: int
    complete: bool = Field(description="False for the bar whose interval still runs")
    rev: int = Field(description="Raised each time that late trades changed the bar")
    source: str = Field(
        description="trades; partial: the interval in which trades began; venue: the venue's own bars"
    )


class BarPage(Page):
    symbol: str
    timeframe: str
    tf: str
    items: list[Ohlc]
    data: list[Ohlc] = Field(description="The same as items")


class InstrumentInfo(BaseModel):
    """What can be streamed."""

    symbol: str
    venue: str
    name: str = Field(description="SYMBOL@venue")
    kind: str
    base: str
    currency: str
    price_step: float
    qty_step: float
    multiplier: float
    session: str
    contract_id: int | None
    available: bool = Field(description="On offer by default")


class InstrumentPage(Page):
    items: list[InstrumentInfo]
    instruments: list[InstrumentInfo] = Field(description="The same as items")


class StreamRequest(BaseModel):
    """Symbols to start."""

    symbols: list[str] = Field(description="Symbols, or SYMBOL@venue", examples=[["BTCUSDT", "ETHUSDT"]])
    tick_mode: bool = Field(True, description="Accepted; every trade is always streamed")
    owner: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Who wants them: what one owner stops still streams for another",
    )


class StopRequest(BaseModel):
    """Symbols to stop."""

    symbols: list[str] | None = Field(None, description="Symbols to stop; left out: all of this owner's")
    owner: str = Field("default", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Who no longer wants them")


class Started(BaseModel):
    status: str = "ok"
    started: bool = True
    symbols: list[str] = Field(description="The symbols of the request")
    active_symbols: list[str] = Field(description="Everything that anybody wants streaming")


class Stopped(BaseModel):
    status: str = "ok"
    stopped: bool = True
    symbols: list[str] = Field(description="The symbols of the request")
    active_symbols: list[str] = Field(description="What still streams, because somebody wants it")


def tick_values(symbol: str, columns: TradeColumns) -> list[dict[str, Any]]:
    """Ticks as they are shown outside."""
    return [
        {
            "symbol": symbol,
            "price": price,
            "qty": qty,
            "ts": iso_utc(ts_ns),
            "id": trade_id,
            "side": "sell" if buyer_maker else "buy",
            "kind": KIND_NAMES.get(kind, "OTHER"),
        }
        for trade_id, ts_ns, price, qty, buyer_maker, kind in zip(
            columns.id.tolist(),
            columns.ts_ns.tolist(),
            columns.price.tolist(),
            columns.qty.tolist(),
            columns.buyer_maker.tolist(),
            columns.kind.tolist(),
            strict=True,
        )
    ]


def page_response(
    head: dict[str, Any],
    items: list[Any],
    also_as: str,
    next_cursor: int | str | None,
    total: int | None,
    warnings: list[str] | None = None,
) -> Response:
    """A page as JSON. Ten thousand items go through no model: they are encoded once, as they are."""
    encoded = msgspec.json.encode(items)
    rest = head | {
        "count": len(items),
        "next_cursor": str(next_cursor) if next_cursor is not None else None,
        "has_more": next_cursor is not None,
        "total": total,
        "warnings": warnings or [],
    }
    body = b"".join(
        (msgspec.json.encode(rest)[:-1], b',"items":', encoded, b',"', also_as.encode(), b'":', encoded, b"}")
    )
    return Response(body, media_type="application/json")


def bar_items(bars: list[Bar]) -> list[dict[str, Any]]:
    """Bars as they are shown outside."""
    return [bar_values(bar) for bar in bars]
