"""Reading market history: what the gateway and the analyses ask of it.

Every function takes a connection of :func:`tapestream.common.db.engine.make_engine`'s engine:

>>> async with engine.connect() as connection:
...     instrument = await find_instrument(connection, "binance_usdm", "BTCUSDT")
...     newest = await bars(connection, instrument.id, "1m", limit=60)

Times are aware datetimes; a period includes its start and not its end. Rows come oldest first,
and where there are more than ``limit`` they are the newest ones of the period, unless
``oldest_first`` asks for the others. All raise sqlalchemy.exc.DBAPIError while the server is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from tapestream.common.db.tables import (
    Bar,
    BarCount,
    DayCount,
    Gap,
    Instrument,
    Quote,
    QuoteHead,
    Trade,
    TradeHead,
)


class InstrumentRow(NamedTuple):
    id: int
    venue: str
    symbol: str
    kind: str
    currency: str
    base: str
    price_step: float
    qty_step: float
    multiplier: float
    session: str
    contract_id: int | None


class TradeRow(NamedTuple):
    id: int
    ts: datetime
    price: float
    qty: float
    buyer_maker: bool
    kind: int


class QuoteRow(NamedTuple):
    id: int
    ts: datetime
    bid: float
    bid_qty: float
    ask: float
    ask_qty: float


class BarRow(NamedTuple):
    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    buy_volume: float
    trades: int
    first_id: int
    last_id: int
    rev: int
    source: str


class GapRow(NamedTuple):
    instrument_id: int
    from_id: int
    to_id: int
    from_ts: datetime | None
    to_ts: datetime | None
    reason: str
    detected_at: datetime


class TableStats(NamedTuple):
    """About one table."""

    table: str
    rows: int
    size_bytes: int
    oldest: datetime | None
    newest: datetime | None


async def instruments(connection: AsyncConnection) -> list[InstrumentRow]:
    """All instruments that history knows."""
    query = _select(Instrument, InstrumentRow).order_by(col(Instrument.venue), col(Instrument.symbol))
    return [InstrumentRow(*row) for row in await connection.execute(query)]


async def find_instrument(connection: AsyncConnection, venue: str, symbol: str) -> InstrumentRow | None:
    """One instrument by name; None where history has nothing of it."""
    query = _select(Instrument, InstrumentRow).where(
        col(Instrument.venue) == venue, col(Instrument.symbol) == symbol
    )
    row = (await connection.execute(query)).first()
    return InstrumentRow(*row) if row else None


async def trades(
    connection: AsyncConnection,
    instrument_id: int,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    limit: int,
    oldest_first: bool = False,
) -> list[TradeRow]:
    """Trades of a period, in the order of their ids."""
    query = _select(Trade, TradeRow).where(
        col(Trade.instrument_id) == instrument_id, *_period(Trade, start, end)
    )
    return await _page(connection, query, col(Trade.id), TradeRow, limit, oldest_first)


async def quotes(
    connection: AsyncConnection,
    instrument_id: int,
    start: datetime,
    end: datetime,
    *,
    limit: int,
    oldest_first: bool = False,
) -> list[QuoteRow]:
    """Best bids and asks of a period. The table has no key, so a period is a must: keep it short."""
    query = _select(Quote, QuoteRow).where(
        col(Quote.instrument_id) == instrument_id, *_period(Quote, start, end)
    )
    return await _page(connection, query, col(Quote.ts), QuoteRow, limit, oldest_first)


async def bars(
    connection: AsyncConnection,
    instrument_id: int,
    timeframe: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    limit: int,
    oldest_first: bool = False,
) -> list[BarRow]:
    """Bars whose interval starts in a period."""
    query = _select(Bar, BarRow).where(
        col(Bar.instrument_id) == instrument_id, col(Bar.timeframe) == timeframe, *_period(Bar, start, end)
    )
    return await _page(connection, query, col(Bar.ts), BarRow, limit, oldest_first)


async def gaps(
    connection: AsyncConnection,
    instrument_id: int | None = None,
    reasons: Sequence[str] = (),
    *,
    limit: int,
) -> list[GapRow]:
    """The gap ledger, newest detection first; of all instruments where none is named."""
    query = _select(Gap, GapRow).order_by(col(Gap.detected_at).desc(), col(Gap.from_id).desc()).limit(limit)
    if instrument_id is not None:
        query = query.where(col(Gap.instrument_id) == instrument_id)
    if reasons:
        query = query.where(col(Gap.reason).in_(reasons))
    return [GapRow(*row) for row in await connection.execute(query)]


async def stats(connection: AsyncConnection) -> list[TableStats]:
    """Rows, bytes and period of trades, quotes, bars and gaps, without reading whole tables."""
    found = []
    for table, ends in _ENDS.items():
        rows = (await connection.execute(_ROWS[table])).scalar() or 0
        size_bytes = (await connection.execute(_SIZE, {"name": table})).scalar() or 0
        oldest, newest = await ends(connection)
        found.append(TableStats(table, rows, size_bytes, oldest, newest))
    return found


_Ends = tuple[datetime | None, datetime | None]

_SIZE = sa.text("""
    SELECT sum(pg_total_relation_size(relid))::int8 FROM pg_partition_tree(cast(:name AS regclass)) WHERE isleaf
""")
_ROWS: dict[str, sa.Executable] = {
    **{
        table: sa.select(sa.cast(sa.func.sum(DayCount.rows), sa.BigInteger)).where(
            col(DayCount.table_name) == table
        )
        for table in ("trades", "quotes")
    },
    "bars": sa.select(sa.cast(sa.func.sum(BarCount.rows), sa.BigInteger)),
    "gaps": sa.select(sa.func.count()).select_from(Gap),
}
_BAR_ENDS = sa.text("""
    WITH RECURSIVE series AS (  -- one index probe for each instrument and timeframe
        (SELECT instrument_id, timeframe FROM bars ORDER BY 1, 2 LIMIT 1)
        UNION ALL
        SELECT following.* FROM series, LATERAL (
            SELECT instrument_id, timeframe FROM bars
            WHERE (instrument_id, timeframe) > (series.instrument_id, series.timeframe) ORDER BY 1, 2 LIMIT 1
        ) AS following
    )
    SELECT min(ends.first), max(ends.last) FROM series, LATERAL (
        SELECT min(ts) AS first, max(ts) AS last FROM bars
        WHERE bars.instrument_id = series.instrument_id AND bars.timeframe = series.timeframe
    ) AS ends
""")
_GAP_ENDS = sa.select(sa.func.min(col(Gap.detected_at)), sa.func.max(col(Gap.detected_at)))
_FIRST_PARTITION = sa.text("""
    SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = cast(:name AS regclass) ORDER BY 1 LIMIT 1
""")


async def _day_ends(connection: AsyncConnection, table: str, heads: type[TradeHead | QuoteHead]) -> _Ends:
    """Rows lie in the order in which they were recorded: the first one of the first day will do."""
    part = (await connection.execute(_FIRST_PARTITION, {"name": table})).scalar()
    if part is None:
        return None, None
    first: sa.ColumnClause[datetime] = sa.column("ts")
    oldest = (await connection.execute(sa.select(first).select_from(sa.table(part)).limit(1))).scalar()
    newest = (await connection.execute(sa.select(sa.func.max(col(heads.ts))))).scalar()
    return oldest, newest


async def _ends(connection: AsyncConnection, query: sa.Executable) -> _Ends:
    oldest, newest = (await connection.execute(query)).one()
    return oldest, newest


_ENDS: dict[str, Callable[[AsyncConnection], Awaitable[_Ends]]] = {
    "trades": lambda connection: _day_ends(connection, "trades", TradeHead),
    "quotes": lambda connection: _day_ends(connection, "quotes", QuoteHead),
    "bars": lambda connection: _ends(connection, _BAR_ENDS),
    "gaps": lambda connection: _ends(connection, _GAP_ENDS),
}


def _select(table: Any, row: Any) -> Any:
    return sa.select(*(getattr(table, name) for name in row._fields))


def _period(table: Any, start: datetime | None, end: datetime | None) -> list[sa.ColumnElement[bool]]:
    return [
        *([col(table.ts) >= start] if start is not None else []),
        *([col(table.ts) < end] if end is not None else []),
    ]


async def _page(
    connection: AsyncConnection, query: sa.Select[Any], key: Any, row: Any, limit: int, oldest_first: bool
) -> list[Any]:
    query = query.order_by(key if oldest_first else key.desc()).limit(limit)
    found = [row(*one) for one in await connection.execute(query)]
    return found if oldest_first else found[::-1]
