"""Rows as the recorder writes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import psycopg

from tapestream.common.contracts.messages import Bar
from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.common.db.copy import CopyFormat, copy_rows, timestamptz
from tapestream.common.db.counts import add_bars, add_rows
from tapestream.common.db.partitions import day_of, ensure_partition
from tests.integration.gateway.feeder import VENUE, price_of, qty_of, ts_of

_TRADES = CopyFormat(
    [
        ("instrument_id", "int4"),
        ("id", "int8"),
        ("ts", "timestamptz"),
        ("price", "float8"),
        ("qty", "float8"),
        ("buyer_maker", "bool"),
        ("kind", "int2"),
    ]
)


class Recorded:
    """Writes to one database."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def clear(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(
                "TRUNCATE instruments, trades, trade_heads, quotes, quote_heads, bars, gaps, day_counts, bar_counts "
                "RESTART IDENTITY"
            )

    async def instrument(self, symbol: str) -> int:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            cursor = await connection.execute(
                """INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session)
                   VALUES (%s, %s, 'perpetual', 'USDT', 'BTC', 0.1, 0.001, 1, '24x7')
                   ON CONFLICT (venue, symbol) DO UPDATE SET kind = excluded.kind RETURNING id""",
                [VENUE, symbol],
            )
            row = await cursor.fetchone()
            assert row
            return row[0]

    async def trades(self, symbol: str, ids: range) -> None:
        """Trades whose values follow from their ids, and the head behind them."""
        number = await self.instrument(symbol)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            for day in range(day_of(ts_of(ids[0])), day_of(ts_of(ids[-1])) + 1):
                await ensure_partition(connection, "trades", day)
            for first in range(0, len(ids), 100_000):
                part = ids[first : first + 100_000]
                every = np.arange(part[0], part[-1] + 1)
                rows = _TRADES.rows(len(every))
                rows["instrument_id"] = number
                rows["id"] = every
                rows["ts"] = timestamptz(np.array([ts_of(0)]) + every * 1_000_000)
                rows["price"] = np.round(100 + every % 1000 / 10, 1)
                rows["qty"] = np.round(0.001 * (1 + every % 7), 3)
                rows["buyer_maker"] = every % 2 == 0
                await copy_rows(connection, "trades", _TRADES, rows)
                days, counts = np.unique((ts_of(0) + every * 1_000_000) // DAY_NS, return_counts=True)
                await add_rows(
                    connection,
                    "trades",
                    {(int(d), number): int(n) for d, n in zip(days, counts, strict=True)},
                )
            assert price_of(part[-1]) == rows["price"][-1]
            assert qty_of(part[-1]) == rows["qty"][-1]
            await connection.execute(
                """INSERT INTO trade_heads VALUES (%s, %s, now()) ON CONFLICT (instrument_id)
                   DO UPDATE SET id = greatest(trade_heads.id, excluded.id)""",
                [number, ids[-1]],
            )

    async def emptied_day(self, table: str, day: int) -> None:
        """A partition as a cleanup of single rows leaves it: there, with nothing in it."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await ensure_partition(connection, table, day)

    async def quotes(self, symbol: str, ids: range) -> None:
        """Quotes a tenth of a millisecond apart, at the times of the trades with a tenth of their ids."""
        number = await self.instrument(symbol)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await ensure_partition(connection, "quotes", day_of(ts_of(0)))
            await connection.execute(
                """INSERT INTO quotes SELECT %s, n, to_timestamp(%s) + n / 10 * interval '1 ms', 99, n, 101, 2
                   FROM generate_series(%s::int8, %s::int8) n""",
                [number, ts_of(0) // 10**9, ids[0], ids[-1]],
            )
            await add_rows(connection, "quotes", {(day_of(ts_of(0)), number): len(ids)})

    async def bars(self, symbol: str, bars: Sequence[Bar]) -> None:
        number = await self.instrument(symbol)
        async with (
            await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.executemany(
                    """INSERT INTO bars VALUES (%s, %s, to_timestamp(%s), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        [number, b.timeframe, b.ts_ns // 10**9, b.open, b.high, b.low, b.close, b.volume,
                         b.quote_volume, b.buy_volume, b.trades, b.first_id, b.last_id, b.rev, str(b.source)]
                        for b in bars
                    ],
                )  # fmt: skip
            await add_bars(connection, Counter((number, bar.timeframe) for bar in bars))

    async def gap(self, symbol: str, from_id: int, to_id: int, reason: str) -> None:
        number = await self.instrument(symbol)
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(
                "INSERT INTO gaps VALUES (%s, %s, %s, now(), now(), %s, now())",
                [number, from_id, to_id, reason],
            )
