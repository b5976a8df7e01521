"""Figures of a pair as CSV, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from tapestream.common.contracts.pair_limits import most_rows
from tapestream.common.contracts.pair_queries import MOST_ROWS, PairReply, PairRequest
from tapestream.gateway.analytics import ask, known_pair, shown_pair
from tapestream.gateway.core.pair_views import csv_head, csv_rows
from tapestream.gateway.gateway import Gateway


async def pieces(
    gateway: Gateway, pair: str, request: PairRequest, values: dict[str, Any]
) -> AsyncIterator[bytes]:
    """The file, piece by piece, oldest bar first.

    The first piece holds the test as of the period's end and the first rows; what stands against the
    export is raised before it (see :func:`tapestream.gateway.analytics.ask`).
    """
    # as it is understood, not as it was written: a line break would end the comment that it stands in
    shown = shown_pair(gateway, *known_pair(gateway, pair))
    end = await ask(gateway, "pair", msgspec.structs.replace(request, limit=1), PairReply, values)
    head = csv_head(shown, request.timeframe, end)
    newest_ns = end.ts_ns[-1]
    page = msgspec.structs.replace(
        request,
        window=end.window_used,
        limit=most_rows(request.method, end.window_used, MOST_ROWS),
        oldest_first=True,
        start_ns=request.start_ns or 0,
        end_ns=newest_ns + 1,  # bars that close while the file is on its way belong to the next one
    )
    while True:
        reply = await ask(gateway, "pair", page, PairReply, values)
        yield (head + csv_rows(reply)).encode()
        head = ""
        if reply.next_start_ns is None or reply.next_start_ns > newest_ns:
            return
        page = msgspec.structs.replace(page, start_ns=reply.next_start_ns)
