"""Trades of a symbol from memory and history as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import nats.errors
import numpy as np
import structlog
from nats.js.errors import NotFoundError

from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import TradeBatch
from tapestream.common.contracts.streams import MARKET
from tapestream.common.errors import NotConnectedError
from tapestream.gateway.core.columns import TradeColumns, join_columns, no_trades
from tapestream.gateway.core.merge import in_period, merge_trades
from tapestream.gateway.feed import columns_of
from tapestream.gateway.gateway import Gateway
from tapestream.gateway.history import AWAY, away_text
from tapestream.gateway.problems import ProblemError
from tapestream.gateway.readable import readable_trades
from tapestream.gateway.ws.replay import StreamReplay

READ_ATTEMPTS = 4
STREAM_FAULTS = (nats.errors.Error, NotFoundError, NotConnectedError, TimeoutError, OSError)
log = structlog.get_logger(__name__)

COUNT_TIMEOUT_S = 1.0
TIME_DISORDER_NS = 1_000_000_000
"""A venue's times may be out of the order of its ids by less than this."""


@dataclass(frozen=True, slots=True)
class Period:
    """From a start (included) to an end (not), each open where None, below an id."""

    start_ns: int | None = None
    end_ns: int | None = None
    before_id: int | None = None


class Ticks:
    """Memory counts from its oldest trade on, history before it.

    Where the recorder has not come as far as memory's oldest trade, the stretch between is read
    from the stream, so that there is no hole at the border however far it lags.
    """

    def __init__(self, gateway: Gateway, name: InstrumentName) -> None:
        self._gateway, self._name = gateway, name
        self.warnings: list[str] = []
        """What is not as it should be with the answer."""

    async def newest(self, period: Period, limit: int) -> tuple[TradeColumns, bool]:
        """The last ``limit`` trades of a period, oldest first, and whether there are older ones.

        While the database is away memory answers alone and ``warnings`` says so; a question that
        memory has nothing for raises sqlalchemy errors. Raises ProblemError like :meth:`unrecorded`.
        """
        held = self.from_memory(period)
        if len(held) > limit:
            return held.rows(len(held) - limit, len(held)), True
        try:
            older = await self._older(period, limit + 1 - len(held))
        except AWAY as error:
            if not len(held) or period.before_id is not None:
                raise
            self.warnings.append(f"history is away, older trades are left out: {away_text(error)}")
            return held, True
        both = merge_trades(older, held)
        more = len(both) > limit
        return both.rows(len(both) - limit, len(both)) if more else both, more

    def from_memory(self, period: Period) -> TradeColumns:
        """What memory holds of a period, copied."""
        memory = self._gateway.memory.get(self._name)
        if memory is None or not len(memory.trades):
            return no_trades()
        held = memory.trades.columns()
        if period.before_id is not None:
            held = held.rows(0, memory.trades.index_after_id(period.before_id - 1))
        found = in_period(held, period.start_ns, period.end_ns)
        return found.copy()

    @property
    def border_id(self) -> int | None:
        """Id from which on memory is complete; None where it holds nothing."""
        memory = self._gateway.memory.get(self._name)
        return memory.trades.first_id if memory is not None and len(memory.trades) else None

    async def _older(self, period: Period, limit: int) -> TradeColumns:
        memory = self._gateway.memory.get(self._name)
        border = self.border_id
        if memory is not None and border is not None and period.start_ns is not None:
            first_ts = int(memory.trades.columns().ts_ns[0])
            if first_ts < period.start_ns - TIME_DISORDER_NS:
                return no_trades()  # times ascend with the ids: nothing older can be inside
        history = self._gateway.history
        if not history.configured:
            return no_trades()
        number = await history.instrument_id(self._name)
        before = _least(border, period.before_id)
        between = await self.unrecorded(number, border, period, limit) if border is not None else no_trades()
        if number is None:
            return between
        recorded = await history.trades(
            number, limit=limit, before_id=before, start_ns=period.start_ns, end_ns=period.end_ns
        )
        return merge_trades(between, recorded)  # what is recorded came first

    async def unrecorded(self, number: int | None, border: int, period: Period, most: int) -> TradeColumns:
        """The newest ``most`` trades before memory's oldest one that the recorder has not written yet.

        Raises ProblemError (503) where the stream cannot be read: no answer has a hole.
        """
        recorded = await self.recorded_head(number)
        if recorded is None:
            return no_trades()
        before = border if period.before_id is None else min(border, period.before_id)
        late = await self.late(recorded, before, period, most)
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                live = await self._newest_from_stream(recorded, before, period, most)
            except STREAM_FAULTS as error:
                await self._pause(attempt, error)
            else:
                return _newest(first_in_stream([late, live]), most)
        raise self._unreadable(recorded, before)

    async def recorded_head(self, number: int | None) -> int | None:
        """Id up to which history is whole, -1 for nothing; None where that is as far as memory begins."""
        memory = self._gateway.memory.get(self._name)
        if memory is None or memory.trades.prev_id < 0:
            return None
        recorded = await self._gateway.history.recorded_up_to(number) if number is not None else -1
        return None if recorded >= memory.trades.prev_id else recorded

    async def late(self, head: int, before_id: int, period: Period, most: int | None = None) -> TradeColumns:
        """Backfilled trades below an id that the recorder may not have written yet; the newest ``most`` of them.

        The recorder reads the stream in its order: what was backfilled before its head is in history.
        What came behind it may have any id, also one below the head.

        Raises ProblemError (503) where the stream cannot be read.
        """
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return await self._late_from_stream(head, before_id, period, most)
            except STREAM_FAULTS as error:
                await self._pause(attempt, error)
        raise self._unreadable(head, before_id)

    async def _late_from_stream(
        self, head: int, before_id: int, period: Period, most: int | None
    ) -> TradeColumns:
        bus, name = self._gateway.bus, self._name
        start, _ = await self._sequence_after(bus.subjects.trade(name.venue, name.symbol), head)
        parts: list[TradeColumns] = []
        async with StreamReplay(
            bus, MARKET, [bus.subjects.backfill(name.venue, name.symbol)], start
        ) as replay:
            while messages := await replay.next():
                for message in messages:
                    batch = readable_trades(message.data, message.subject, message.seq)
                    if batch is not None:
                        part = _part(batch, message.seq)
                        part = part.where(part.id < before_id)
                        parts.append(in_period(part, period.start_ns, period.end_ns))
                if most is not None:
                    parts = [_newest(first_in_stream(parts), most)]
        return await asyncio.to_thread(first_in_stream, parts)  # of a long backfill that takes a while

    async def backlog(
        self, after_id: int, before_id: int, period: Period, size: int
    ) -> AsyncIterator[TradeColumns]:
        """Trades between two ids from the stream, oldest first, in parts of about ``size`` rows.

        A stream that falls silent is asked again from where it stopped; raises ProblemError where it stays so.
        """
        attempt = 0
        while True:
            try:
                async for part in self._parts(after_id, before_id, period, size):
                    yield part
                    after_id, attempt = int(part.id[-1]), 0
            except STREAM_FAULTS as error:
                attempt += 1
                if attempt == READ_ATTEMPTS:
                    raise self._unreadable(after_id, before_id) from None
                await self._pause(attempt, error)
            else:
                return

    async def _parts(
        self, after_id: int, before_id: int, period: Period, size: int
    ) -> AsyncIterator[TradeColumns]:
        bus = self._gateway.bus
        subject = bus.subjects.trade(self._name.venue, self._name.symbol)
        start, _ = await self._sequence_after(subject, after_id)
        parts: list[TradeColumns] = []
        held = 0
        async with StreamReplay(bus, MARKET, [subject], start) as replay:
            is_done = False
            while not is_done and (messages := await replay.next()):
                for message in messages:
                    batch = readable_trades(message.data, message.subject, message.seq)
                    if batch is None or is_done:
                        continue
                    part = _part(batch, message.seq)
                    part = part.where((part.id > after_id) & (part.id < before_id))
                    parts.append(in_period(part, period.start_ns, period.end_ns))
                    held += len(parts[-1])
                    is_done = batch.id[-1] >= before_id - 1
                    if held >= size:
                        yield join_columns(parts)
                        parts, held = [], 0
        if held:
            yield join_columns(parts)

    async def _pause(self, attempt: int, error: Exception) -> None:
        log.warning("border_unreadable", symbol=str(self._name), error=repr(error), attempt=attempt)
        await asyncio.sleep(0.2 * attempt)

    def _unreadable(self, after_id: int, before_id: int) -> ProblemError:
        what = f"trades {after_id + 1} to {before_id - 1}" if before_id - 1 > after_id else "late trades"
        return ProblemError(
            503,
            f"{what} of {self._name} are not recorded yet, and NATS, which has "
            "them, does not answer; try again shortly",
            headers={"Retry-After": "1"},
        )

    async def _newest_from_stream(
        self, after_id: int, before_id: int, period: Period, most: int
    ) -> TradeColumns:
        """Go back from ``before_id`` only as far as ``most`` trades need.

        Ids that are missing or outside the period leave a stretch with fewer: then the one before it
        is read as well, twice as long.
        """
        found, span, is_all = no_trades(), most, False
        while len(found) < most and before_id - 1 > after_id and not is_all:
            first = max(after_id, before_id - 1 - span)
            part, is_all = await self._from_stream(first, before_id, period, most)
            found = join_columns([part, found])
            before_id, span = first + 1, span * 2
        return _newest(found, most)

    async def _from_stream(
        self, after_id: int, before_id: int, period: Period, most: int
    ) -> tuple[TradeColumns, bool]:
        """The newest ``most`` trades between two ids, and whether the stream has no older ones."""
        subject = self._gateway.subjects.trade(self._name.venue, self._name.symbol)
        _, is_all = await self._sequence_after(subject, after_id)
        newest = no_trades()
        async for part in self._parts(after_id, before_id, period, most):
            newest = _newest(join_columns([newest, part]), most)
        return newest, is_all

    async def _sequence_after(self, subject: str, trade_id: int) -> tuple[int, bool]:
        """Stream sequence from which on trades after an id are found, by halving.

        And whether it is the stream's first, so that nothing older is left in it.
        """
        bus = self._gateway.bus
        stream = bus.subjects.stream(MARKET)
        state = (await bus.js.stream_info(stream)).state
        low, high = state.first_seq, state.last_seq + 1
        while low < high:
            middle = at = (low + high) // 2
            batch = None
            try:
                while batch is None and at < high:  # one that cannot be read tells nothing: the next one does
                    message = await bus.js.get_msg(stream, seq=at, subject=subject, next=True)
                    seq = message.seq or at
                    batch, at = readable_trades(message.data or b"", subject, seq), seq + 1
            except NotFoundError:
                high = middle
                continue
            if batch is None or batch.id[-1] > trade_id:
                high = middle
            else:
                low = at
        return low, low <= state.first_seq

    async def count(self, period: Period) -> int | None:
        """How many trades a period has; None where counting takes too long or the recorder lags behind memory."""
        held, border = len(self.from_memory(period)), _least(self.border_id, period.before_id)
        history = self._gateway.history
        try:
            number = await history.instrument_id(self._name) if history.configured else None
            if number is None:
                return held
            async with asyncio.timeout(COUNT_TIMEOUT_S):
                if await self.recorded_head(number) is not None:
                    return None
                return held + await history.count_rows(
                    "trades", number, border, period.start_ns, period.end_ns
                )
        except (TimeoutError, *AWAY):
            return None


def first_in_stream(parts: list[TradeColumns]) -> TradeColumns:
    """Parts read from the stream by id, each id once; of a double the first counts, as it does for the recorder."""
    every = join_columns(parts)
    every = every.where_rows(np.argsort(every.seq, kind="stable"))
    _, first = np.unique(every.id, return_index=True)
    return every.where_rows(first)


def _part(batch: TradeBatch, stream_seq: int) -> TradeColumns:
    """A batch as columns, whose ``seq`` is the place in the stream."""
    return replace(columns_of(batch, range(len(batch.id))), seq=np.full(len(batch.id), stream_seq, np.int64))


def _newest(trades: TradeColumns, most: int) -> TradeColumns:
    return trades.rows(max(0, len(trades) - most), len(trades))


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
