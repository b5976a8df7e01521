"""``quotes``: by binary COPY, apart from the trades, which they must never delay.

There are several quotes for each trade and nobody looks one up by its id, so the table has no key:
the stream offset and ``quote_heads`` keep each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg import AsyncConnection

from tapestream.common.bus.durable import Stored
from tapestream.common.contracts.messages import QuoteBatch, decoder
from tapestream.common.db.copy import CopyFormat, timestamptz
from tapestream.common.recording.metrics import TableMetrics
from tapestream.common.recording.writer import Outcome
from tapestream.ingest.recorder.core.batches import Columns, decode, quote_columns
from tapestream.ingest.recorder.core.quotes import new_quotes
from tapestream.ingest.recorder.core.trades import Head
from tapestream.ingest.recorder.day_copy import DayCopy
from tapestream.ingest.recorder.heads import load_heads, store_heads
from tapestream.ingest.recorder.instruments import InstrumentIds

QUOTES = CopyFormat(
    [
        ("instrument_id", "int4"),
        ("id", "int8"),
        ("ts", "timestamptz"),
        ("bid", "float8"),
        ("bid_qty", "float8"),
        ("ask", "float8"),
        ("ask_qty", "float8"),
    ]
)
_LISTS = ("ts_ns", "bid", "bid_qty", "ask", "ask_qty")


@dataclass(slots=True)
class QuoteFlush:
    """Quotes of one flush, decided on."""

    columns: Columns[QuoteBatch]
    instrument_id: npt.NDArray[np.int32]
    new: npt.NDArray[np.bool_]
    heads: dict[int, Head]


class QuoteTable:
    """Records ``md.quote``."""

    def __init__(self, ids: InstrumentIds) -> None:
        self.metrics = TableMetrics("quotes")
        self._ids = ids
        self._decoder = decoder(QuoteBatch)
        self._copy = DayCopy("quotes", QUOTES)

    async def load(self, connection: AsyncConnection) -> None:
        await self._ids.load(connection)
        await self._copy.load(connection)
        self._heads = await load_heads(connection, "quote_heads")

    async def prepare(
        self, connection: AsyncConnection, messages: Sequence[Stored]
    ) -> tuple[QuoteFlush, Outcome]:
        found, undecodable = decode(self._decoder, [message.data for message in messages], _LISTS)
        columns, unsound = quote_columns(found)
        ids = await self._ids.of(connection, [(batch.venue, batch.symbol) for batch in columns.batches])
        new, heads = new_quotes(columns, ids, self._heads)
        await self._copy.ensure(connection, columns.ts_ns)
        refused = [*undecodable, *unsound]
        outcome = Outcome(
            received=len(columns.id) + sum(one.rows for one in refused),
            recorded=int(new.sum()),
            duplicates=int((~new).sum()),
            oldest_recv_ns=min((batch.recv_ns for batch in columns.batches), default=0),
            refused=refused,
        )
        of_row = np.repeat(np.asarray(ids, np.int32), np.diff(columns.starts))
        return QuoteFlush(columns, of_row, new, heads), outcome

    def careful(self, flush: QuoteFlush) -> QuoteFlush:
        return flush  # there is no key to violate

    async def write(self, connection: AsyncConnection, flush: QuoteFlush, outcome: Outcome) -> None:
        if not outcome.recorded:
            return
        columns, new = flush.columns, flush.new
        rows = QUOTES.rows(outcome.recorded)
        rows["instrument_id"] = flush.instrument_id[new]
        rows["id"] = columns.id[new]
        rows["ts"] = timestamptz(columns.ts_ns[new])
        for name, values in columns.values.items():
            rows[name] = values[new]
        await self._copy.write(connection, rows, columns.ts_ns[new])
        await store_heads(connection, "quote_heads", flush.heads)

    def committed(self, flush: QuoteFlush) -> None:
        self._heads.update(flush.heads)
