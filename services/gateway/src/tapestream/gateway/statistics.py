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
_BARS = """
    SELECT instrument_id, timeframe, count(*), (extract(epoch FROM min(ts)) * 1000000)::int8,
        (extract(epoch FROM max(ts)) * 1000000)::int8
    FROM bars GROUP BY 1, 2
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
    """Exact counts. Raises sqlalchemy errors while the database is away."""
    counts = await gateway.counts.trades()
    async with gateway.history.connect() as connection:
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
        ticks = counts.by_instrument.get(number, 0)
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
        total_ticks=counts.rows,
        total_bars=sum(one.bars for one in symbols.values()),
        gaps=gaps,
        size_bytes=size_bytes,
    )
