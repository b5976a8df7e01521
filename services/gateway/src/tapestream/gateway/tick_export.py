"""All trades of a period, oldest first, a bounded part at a time: history, the recorder's backlog, memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.gateway.core.columns import TradeColumns, no_trades
from tapestream.gateway.core.merge import merge_trades
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.ticks import Period, Ticks, first_in_stream

LAST_ID = (1 << 63) - 2


class TickExport:
    """One export. Memory is copied once: its oldest trade is the border, whatever comes and goes meanwhile."""

    def __init__(self, gateway: Gateway, name: InstrumentName, period: Period, chunk: int) -> None:
        self._history, self._source = gateway.history, Ticks(gateway, name)
        self._name, self._period, self._chunk = name, period, chunk
        self._number: int | None = None
        self._late = no_trades()
        """What came late and may not be recorded yet, of any stretch."""

    async def parts(self) -> AsyncIterator[TradeColumns]:
        """Parts of about a chunk. Raises ProblemError (503) before the first where the stream is needed and away."""
        held, border = self._source.from_memory(self._period), self._source.border_id
        if self._history.configured:
            async for part in self._before(border):
                for piece in self._pieces(part):
                    yield piece
        for piece in self._pieces(held):
            yield piece

    def _pieces(self, part: TradeColumns) -> Iterator[TradeColumns]:
        for first in range(0, len(part), self._chunk):
            yield part.rows(first, first + self._chunk)

    async def _before(self, border: int | None) -> AsyncIterator[TradeColumns]:
        self._number = await self._history.instrument_id(self._name)
        if border is None:
            async for part in self._recorded(no_trades(), -1, LAST_ID):
                yield part
            return
        at = -1
        head = await self._source.recorded_head(self._number)
        if head is not None:
            self._late = await self._source.late(head, border, self._period)
        while head is not None and at < head < border:  # the recorder goes on meanwhile
            async for part in self._recorded(no_trades(), at, head):
                yield part
            at, head = head, await self._source.recorded_head(self._number)
        if head is not None:
            async for newer in self._source.backlog(at, border, self._period, self._chunk):
                last = int(newer.id[-1])
                async for part in self._recorded(newer, at, last):
                    yield part
                at = last
        async for part in self._recorded(no_trades(), at, border - 1):
            yield part

    async def _recorded(self, newer: TradeColumns, after: int, last: int) -> AsyncIterator[TradeColumns]:
        """What history has of the ids above ``after`` up to ``last``, together with what the stream gave of them."""
        late = self._late.where((self._late.id > after) & (self._late.id <= last))
        newer = first_in_stream([late, newer])
        while self._number is not None:
            page = await self._history.trades(
                self._number,
                limit=self._chunk,
                after_id=after,
                before_id=last + 1,
                start_ns=self._period.start_ns,
                end_ns=self._period.end_ns,
                oldest_first=True,
            )
            if len(page) < self._chunk:
                newer = merge_trades(newer, page)  # what is recorded came first
                break
            after = int(page.id[-1])
            yield merge_trades(newer.where(newer.id <= after), page)
            newer = newer.where(newer.id > after)
        if len(newer):
            yield newer
