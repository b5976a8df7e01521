"""Exports: history from its beginning, then memory, in chunks of bounded size."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.ohlcv import Ohlcv
from tapestream.gateway.problems import ProblemError
from tapestream.gateway.tick_export import TickExport
from tapestream.gateway.ticks import Period

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
CHUNK = 20_000
"""Rows in memory at once."""
BAR_CHUNK = 5_000
WINDOW_NS = 600_000_000_000
"""Quotes have no key to page by: each page sorts ten minutes of them."""


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
    export = TickExport(gateway, wanted.name, Period(wanted.start_ns, wanted.end_ns), CHUNK)
    async for part in export.parts():
        yield await asyncio.to_thread(tables.tick_table, part)


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
    most = gateway.settings.export_max_quotes
    count = await history.count_rows("quotes", number, None, wanted.start_ns, wanted.end_ns)
    if count > most:
        raise ProblemError(
            422,
            f"{count} quotes are in this period, more than one export gives",
            field="start",
            value=None if wanted.start_ns is None else iso_utc(wanted.start_ns),
            allowed=f"a period with {most} quotes at most (EXPORT_MAX_QUOTES)",
        )
    days = await history.quote_days(number)
    if days is None:
        return
    at = max(days[0], wanted.start_ns or 0)
    stop = days[1] if wanted.end_ns is None else min(wanted.end_ns, days[1])
    while at < stop:
        until = min(at + WINDOW_NS, stop)
        after: tuple[int, int] | None = None
        while (page := await history.quotes(number, at, until, CHUNK, after)) is not None:
            ids, ts_ns, values = page
            yield await asyncio.to_thread(tables.quote_table, ids, ts_ns, values)
            if len(ids) < CHUNK:
                break
            after = int(ts_ns[-1]), int(ids[-1])
        at = until
