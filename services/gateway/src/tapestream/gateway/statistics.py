"""What Postgres holds, in figures."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import BaseModel, Field

from tapestream.gateway.core.times import iso_utc
from tapestream.gateway.gateway import Gateway

_ENDS = """
    SELECT i.id, i.venue, i.symbol,
        (extract(epoch FROM (SELECT ts FROM trades WHERE instrument_id = i.id ORDER BY id LIMIT 1))
            * 1000000)::int8,
        (extract(epoch FROM (SELECT ts FROM trades WHERE instrument_id = i.id ORDER BY id DESC LIMIT 1))
            * 1000000)::int8
    FROM instruments AS i
"""
_TICKS = """
    SELECT instrument_id, sum(rows)::int8 FROM day_counts WHERE table_name = 'trades' GROUP BY 1
"""
_BARS = """
    SELECT c.instrument_id, c.timeframe, c.rows, (extract(epoch FROM ends.first) * 1000000)::int8,
        (extract(epoch FROM ends.last) * 1000000)::int8
    FROM bar_counts AS c, LATERAL (
        SELECT min(ts) AS first, max(ts) AS last FROM bars
        WHERE instrument_id = c.instrument_id AND timeframe = c.timeframe
    ) AS ends
    WHERE c.rows > 0
"""


class SymbolStats(BaseModel):
    """Rows of one symbol."""

    ticks: int
    bars: int
    bars_by_timeframe: dict[str, int]
    first: str | None = Field(description="Time of the oldest row")
    last: str | None = Field(description="Time of the newest row")


class DatabaseStats(BaseModel):
    """Rows by symbol; symbols of which nothing is recorded are left out."""

    symbols: dict[str, SymbolStats]
    total_ticks: int
    total_bars: int
    gaps: int
    size_bytes: int = Field(description="Trades, quotes, bars and gaps with their indexes")


async def database_stats(gateway: Gateway) -> DatabaseStats:
    """Exact counts, all of one moment. Raises sqlalchemy errors while the database is away."""
    async with gateway.history.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        counts = dict(row.tuple() for row in await connection.execute(sa.text(_TICKS)))
        instruments = (await connection.execute(sa.text(_ENDS))).all()
        bars = (await connection.execute(sa.text(_BARS))).all()
        gaps = (await connection.execute(sa.text("SELECT count(*) FROM gaps"))).scalar() or 0
        size = sa.text(
            "SELECT sum(pg_total_relation_size(t.relid))::int8 FROM unnest(ARRAY['trades', 'quotes', 'bars', 'gaps']) AS n,"
            " LATERAL pg_partition_tree(n::regclass) AS t"
        )
        size_bytes = (await connection.execute(size)).scalar() or 0
    symbols: dict[str, SymbolStats] = {}
    for number, venue, symbol, first_us, last_us in instruments:
        own = [row for row in bars if row[0] == number]
        ticks = counts.get(number, 0)
        if not ticks and not own:
            continue
        firsts = [one for one in (first_us, *(row[3] for row in own)) if one is not None]
        lasts = [one for one in (last_us, *(row[4] for row in own)) if one is not None]
        shown = symbol if venue == gateway.settings.venue else f"{symbol}@{venue}"
        symbols[shown] = SymbolStats(
            ticks=ticks,
            bars=sum(row[2] for row in own),
            bars_by_timeframe={row[1]: row[2] for row in own},
            first=iso_utc(min(firsts) * 1000) if firsts else None,
            last=iso_utc(max(lasts) * 1000) if lasts else None,
        )
    return DatabaseStats(
        symbols=symbols,
        total_ticks=sum(counts.values()),
        total_bars=sum(one.bars for one in symbols.values()),
        gaps=gaps,
        size_bytes=size_bytes,
    )
