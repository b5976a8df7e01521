"""Exports: history from its beginning, then memory, in chunks of bounded size."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.gateway.core.columns import TradeColumns, no_trades
from tapestream.gateway.core.merge import merge_trades
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.ohlcv import Ohlcv
from tapestream.gateway.ticks import Period, Ticks

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
CHUNK = 20_000
"""Rows in memory at once."""
BAR_CHUNK = 5_000
WINDOW_NS = 600_000_000_000
"""Quotes have no key to page by: they are read ten minutes at a time."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is wanted."""

    name: InstrumentName
    kind: str
    timeframe: str
    start_ns: int | None
    end_ns: int | None


async def chunks(gateway: Gateway, wanted: Export, file_format: str) -> AsyncIterator[bytes]:
    """The file, piece by piece. Encoding happens in a thread: the loop serves others meanwhile.

    The first rows are read before the first piece is there, so that whoever awaits that one learns
    what stands against the export while the answer can still say so.
    """
    tables = await _tables()
    schema = {"ticks": tables.TICKS, "bars": tables.BARS, "quotes": tables.QUOTES}[wanted.kind]
    writer = tables.CsvWriter(schema) if file_format == "csv" else tables.ParquetWriter(schema)
    found = {"ticks": _ticks, "bars": _bars, "quotes": _quotes}[wanted.kind](gateway, wanted)
    table = await anext(found, None)
    yield writer.begin()
    while table is not None:
        if table.num_rows:
            yield await asyncio.to_thread(writer.rows, table)
        table = await anext(found, None)
    yield writer.end()


async def _tables() -> Any:
    """The Arrow half of it, loaded when it is first needed: a tenth of the gateway's start."""
    return await asyncio.to_thread(importlib.import_module, "tapestream.gateway.core.tables")


async def _ticks(gateway: Gateway, wanted: Export) -> AsyncIterator[pa.Table]:
    tables = await _tables()
    source = Ticks(gateway, wanted.name)
    history = gateway.history
    # Memory is copied once: its oldest trade is the border, whatever comes and goes meanwhile.
    held = source.from_memory(Period(wanted.start_ns, wanted.end_ns))
    border = source.border_id
    number = await history.instrument_id(wanted.name) if history.configured else None
    between = no_trades()
    if border is not None and history.configured:
        # first of all: what is recorded later is found in both, and taken once
        between = await source.unrecorded(number, border, Period(wanted.start_ns, wanted.end_ns))
    cursor = -1
    while number is not None:
        page = await history.trades(
            number,
            limit=CHUNK,
            after_id=cursor,
            before_id=border,
            start_ns=wanted.start_ns,
            end_ns=wanted.end_ns,
            oldest_first=True,
        )
        if len(page):
            cursor = int(page.id[-1])
            yield await asyncio.to_thread(tables.tick_table, page)
        if len(page) < CHUNK:
            break
    rest = merge_trades(_after(between, cursor), held)
    for first in range(0, len(rest), CHUNK):
        yield await asyncio.to_thread(tables.tick_table, rest.rows(first, first + CHUNK))


def _after(columns: TradeColumns, trade_id: int) -> TradeColumns:
    return columns.where(columns.id > trade_id)


async def _bars(gateway: Gateway, wanted: Export) -> AsyncIterator[pa.Table]:
    tables = await _tables()
    source = Ohlcv(gateway, wanted.name, wanted.timeframe)
    async for bars in source.oldest_first(wanted.start_ns, wanted.end_ns, BAR_CHUNK):
        yield await asyncio.to_thread(tables.bar_table, bars)


async def _quotes(gateway: Gateway, wanted: Export) -> AsyncIterator[pa.Table]:
    tables = await _tables()
    history = gateway.history
    number = await history.instrument_id(wanted.name)
    if number is None:
        return
    start_ns, end_ns = wanted.start_ns, wanted.end_ns
    first_ns, last_ns = await history.quotes_span()
    if first_ns is None or last_ns is None:
        return
    at = max(first_ns, start_ns or 0)
    stop = last_ns + 1000 if end_ns is None else min(end_ns, last_ns + 1000)
    while at < stop:
        until = min(at + WINDOW_NS, stop)
        columns: Any = await history.quotes(number, at, until)
        if columns is not None:
            yield tables.quote_table(*columns)
        at = until
