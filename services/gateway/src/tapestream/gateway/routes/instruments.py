"""What can be streamed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from tapestream.gateway.gateway import TheGateway
from tapestream.gateway.params import Cursor, Limit, position_of
from tapestream.gateway.problems import responses
from tapestream.gateway.schemas import InstrumentPage, page_response

router = APIRouter(tags=["live data"], responses=responses(401, 422))


@router.get("/instruments", response_model=InstrumentPage)
async def instruments(
    gateway: TheGateway,
    venue: Annotated[str | None, Query(max_length=64, description="Only this venue's")] = None,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> Response:
    """Instruments with their steps, currency and session, by name."""
    offered = set(gateway.catalog.available())
    found = [
        {
            "symbol": one.symbol,
            "venue": one.venue,
            "name": name,
            "kind": one.kind,
            "base": one.base,
            "currency": one.currency,
            "price_step": one.price_step,
            "qty_step": one.qty_step,
            "multiplier": one.multiplier,
            "session": one.session,
            "contract_id": one.contract_id,
            "available": one.venue == gateway.settings.venue and one.symbol in offered,
        }
        for name, one in sorted(gateway.catalog.instruments.items())
        if venue is None or one.venue == venue
    ]
    first = position_of(cursor) or 0
    page = found[first : first + limit]
    following = first + limit if first + limit < len(found) else None
    return page_response({}, page, "instruments", following, len(found))
