"""Closes of a series: what is recorded, joined with what the stream has newer."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import nats.errors
import numpy as np
import structlog
from nats.js import api
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from tapestream.analytics.core.series import Float64, Int64, Series, resample_closes
from tapestream.common.bars import base_timeframe
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.ordinals import read_now
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar, decoder
from tapestream.common.contracts.streams import BARS
from tapestream.common.contracts.timeframes import bar_start_ns, timeframe_ns
from tapestream.common.db import history
from tapestream.common.db.engine import make_engine
from tapestream.common.db.faults import describe

log = structlog.get_logger(__name__)

AWAY: tuple[type[Exception], ...] = (DBAPIError, PoolTimeoutError, OSError)
"""What reading raises while the server is away."""
MOST_PARTS = 500_000
"""Shorter bars that are read for longer ones at most."""
_decode_bar = decoder(Bar).decode
_Columns = tuple[Int64, Float64]


class HistoryAwayError(Exception):
    """History cannot be read now; the text says why."""


class BarHistory:
    """Reads closes of any timeframe that can be made from those that are built."""

    def __init__(
        self, database_url: str, bus: Bus, built: list[str], live: dict[tuple[InstrumentName, str], Series]
    ) -> None:
        self._engine: AsyncEngine | None = (
            make_engine(database_url, "tapestream analytics", size=3) if database_url else None
        )
        self._bus, self.built, self._live = bus, built, live
        self._numbers: dict[InstrumentName, int] = {}

    @property
    def is_configured(self) -> bool:
        """Whether there is a database; without one, memory is all there is."""
        return self._engine is not None

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()

    async def recorded(
        self,
        name: InstrumentName,
        timeframe: str,
        limit: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        oldest_first: bool = False,
    ) -> _Columns:
        """What Postgres has of a built timeframe, oldest first. Raises HistoryAwayError."""
        if self._engine is None:
            raise HistoryAwayError("no database is configured: set DATABASE_URL")
        try:
            async with self._engine.connect() as connection:
                number = self._numbers.get(name) or await history.instrument_id(connection, name)
                if number is None:
                    return np.empty(0, np.int64), np.empty(0)
                self._numbers[name] = number
                return await history.closes(
                    connection,
                    number,
                    timeframe,
                    limit=limit,
                    start_ns=start_ns,
                    end_ns=end_ns,
                    oldest_first=oldest_first,
                )
        except AWAY as error:
            raise HistoryAwayError(describe(getattr(error, "orig", None) or error)) from error

    async def closes(
        self,
        name: InstrumentName,
        timeframe: str,
        limit: int,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        oldest_first: bool = False,
        warnings: list[str] | None = None,
    ) -> tuple[Int64, Float64, bool]:
        """At most ``limit`` closes of complete bars of a period, and whether it has more of them.

        What is away is said in ``warnings`` where memory can answer; else HistoryAwayError is raised.
        Whoever reads ``oldest_first`` wants all there is: a database that is away is always raised then.
        """
        base = base_timeframe(timeframe, self.built)
        if base is None:
            raise ValueError(f"bars of {timeframe} cannot be made from {', '.join(self.built)}")
        length, part = timeframe_ns(timeframe), timeframe_ns(base)
        parts = length // part
        if end_ns is not None and parts > 1:  # bars that start before the end count in full
            end_ns = bar_start_ns(end_ns - 1, length) + length
        if start_ns is not None and parts > 1:
            start_ns = -(-start_ns // length) * length
        most = min((limit + 1) * parts, MOST_PARTS)
        ts, close = await self._base_closes(name, base, most, start_ns, end_ns, oldest_first, warnings)
        has_more = len(ts) >= most
        if has_more and oldest_first and parts > 1:  # the last group may go on in the next page
            whole = ts < bar_start_ns(int(ts[-1]), length)
            ts, close = ts[whole], close[whole]
        ts, close = resample_closes(ts, close, part, length)
        has_more = has_more or len(ts) > limit
        return (
            (ts[:limit], close[:limit], has_more) if oldest_first else (ts[-limit:], close[-limit:], has_more)
        )

    # --- inside

    async def _base_closes(
        self,
        name: InstrumentName,
        base: str,
        limit: int,
        start_ns: int | None,
        end_ns: int | None,
        oldest_first: bool,
        warnings: list[str] | None,
    ) -> _Columns:
        series = self._live.get((name, base))
        held = (
            _period(series.part(), start_ns, end_ns)
            if series is not None
            else (np.empty(0, np.int64), np.empty(0))
        )
        if not oldest_first and len(held[0]) >= limit:
            return held[0][-limit:], held[1][-limit:]
        try:
            found = await self.recorded(name, base, limit, start_ns, end_ns, oldest_first=oldest_first)
        except HistoryAwayError as error:
            is_cut = oldest_first and self.is_configured
            if is_cut or not len(held[0]) or warnings is None:
                raise
            warnings.append(f"history is away, older bars are left out: {error}")
            return _cut(held, limit, oldest_first)
        if series is not None and series.is_full and len(held[0]):
            # The recorder may lag behind more than memory holds: the stream has what lies between.
            newest_ns = int(found[0][-1]) if len(found[0]) else (start_ns or 0)
            oldest_held_ns = int(series.ts_ns[0])
            is_page = oldest_first and len(found[0]) >= limit
            if not is_page and newest_ns + timeframe_ns(base) < oldest_held_ns:
                between = await self._from_stream(name, base, newest_ns)
                found = _union(found, _period(between, start_ns, end_ns))
        return _cut(_union(found, held), limit, oldest_first)

    async def _from_stream(self, name: InstrumentName, base: str, since_ns: int) -> _Columns:
        """Complete bars that were stored since a time; of two states the one that came last."""
        config = api.ConsumerConfig(
            filter_subjects=[self._bus.subjects.bar(base, name.venue, name.symbol)],
            deliver_policy=api.DeliverPolicy.BY_START_TIME,
            opt_start_time=datetime.fromtimestamp(since_ns / 1e9, UTC),
        )
        closes: dict[int, float] = {}
        try:
            async for message in read_now(self._bus.js, self._bus.subjects.stream(BARS), config):
                try:
                    bar = _decode_bar(message.data)
                except msgspec.DecodeError:
                    continue  # it is in the dead letters of those who fold
                if bar.complete:
                    closes[bar.ts_ns] = bar.close
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise HistoryAwayError(f"bars that are not recorded yet cannot be read: {error!r}") from error
        starts = sorted(closes)
        return np.array(starts, np.int64), np.array([closes[ts] for ts in starts])


def _period(columns: _Columns, start_ns: int | None, end_ns: int | None) -> _Columns:
    ts, close = columns
    low = 0 if start_ns is None else int(np.searchsorted(ts, start_ns))
    high = len(ts) if end_ns is None else int(np.searchsorted(ts, end_ns))
    return ts[low:high], close[low:high]


def _union(older: _Columns, newer: _Columns) -> _Columns:
    """Both by start time; of one interval ``newer`` counts."""
    if not len(newer[0]):
        return older
    both = np.concatenate([newer[0], older[0]])
    ts, first = np.unique(both, return_index=True)
    return ts, np.concatenate([newer[1], older[1]])[first]


def _cut(columns: _Columns, limit: int, oldest_first: bool) -> _Columns:
    ts, close = columns
    return (ts[:limit], close[:limit]) if oldest_first else (ts[-limit:], close[-limit:])
