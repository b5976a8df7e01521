"""COPY, partitions, offsets and reading back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from tapestream.common.bus.offset import Offset
from tapestream.common.db import history
from tapestream.common.db.copy import CopyFormat, copy_rows, timestamptz
from tapestream.common.db.counts import add_bars, add_rows
from tapestream.common.db.engine import connect, make_engine
from tapestream.common.db.migrate import migrate
from tapestream.common.db.partitions import day_of, drop_partitions_before, ensure_partition, list_partitions
from tapestream.common.db.projection import Projection

pytestmark = pytest.mark.integration
DAY = datetime(2024, 8, 8, tzinfo=UTC)
DAY_NS = int(DAY.timestamp()) * 1_000_000_000


async def test_copy_returns_every_bit(database_url: str) -> None:
    form = CopyFormat([
        ("a", "int2"), ("b", "int4"), ("c", "int8"), ("d", "float4"), ("e", "float8"), ("f", "bool"), ("g", "timestamptz"),
    ])  # fmt: skip
    rows = form.rows(2)
    rows["a"], rows["b"], rows["c"] = [-1, 32767], [-(2**31), 5], [-(2**63), 2**63 - 1]
    rows["d"], rows["e"], rows["f"] = [0.5, -2.0], [0.1, 1e300], [True, False]
    rows["g"] = timestamptz(np.array([DAY_NS + 1_999, 1_000], np.int64))
    async with await connect(database_url, "test", autocommit=False) as connection:
        await connection.execute(
            "CREATE TEMP TABLE t (a int2, b int4, c int8, d float4, e float8, f bool, g timestamptz)"
        )
        await copy_rows(connection, "t", form, rows)
        found = await (await connection.execute("SELECT * FROM t")).fetchall()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert found == [
        (-1, -(2**31), -(2**63), 0.5, 0.1, True, DAY + timedelta(microseconds=1)),
        (32767, 5, 2**63 - 1, -2.0, 1e300, False, epoch + timedelta(microseconds=1)),
    ]


async def test_partitions_come_beside_readers_and_go_by_days(database_url: str) -> None:
    migrate(database_url)
    first = day_of(DAY_NS)
    async with (
        await connect(database_url, "test") as connection,
        await connect(database_url, "reader", autocommit=False) as reader,
    ):
        await reader.execute("SELECT count(*) FROM trades")  # holds its lock until the transaction ends
        await connection.execute("SET lock_timeout = '2s'")
        for day in (first, first + 1, first + 2, first):
            await ensure_partition(connection, "trades", day)
        assert await list_partitions(connection, "trades") == [
            "trades_20240808", "trades_20240809", "trades_20240810"
        ]  # fmt: skip
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await drop_partitions_before(connection, "trades", first + 2, wait_s=0.05)
        await reader.rollback()
        await add_rows(connection, "trades", {(first, 1): 5, (first, 2): 6, (first + 2, 1): 7})
        assert await drop_partitions_before(connection, "trades", first + 2) == {
            "trades_20240808": 11,
            "trades_20240809": 0,
        }
        left = await connection.execute("SELECT day::text, instrument_id, rows FROM day_counts")
        assert await left.fetchall() == [("2024-08-10", 1, 7)]
        assert await list_partitions(connection, "trades") == ["trades_20240810"]


async def test_one_writer_and_its_offset(database_url: str) -> None:
    migrate(database_url)
    projection = Projection("p", "S")
    async with await connect(database_url, "one") as one, await connect(database_url, "two") as two:
        assert await projection.take(one)
        assert not await projection.take(two)
        assert await projection.offset(one) is None
        for offset in (Offset(5, 50), Offset(3, 60)):
            await projection.advance(one, offset)
            assert await projection.offset(two) == offset
        await one.close()
        for _ in range(200):
            if await projection.take(two):
                break
        else:
            pytest.fail("the lock went with its connection")


async def test_reading_back(database_url: str) -> None:
    migrate(database_url)
    async with await connect(database_url, "test") as connection:
        await ensure_partition(connection, "trades", day_of(DAY_NS))
        await connection.execute(
            "INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session) "
            "VALUES ('v', 'S', '', '', '', 0, 0, 1, '24x7')"
        )
        await connection.execute(
            "INSERT INTO trades SELECT 1, n, %s + n * '1 s'::interval, n, 1, true, 0 FROM generate_series(1, 9) n",
            [DAY],
        )
        await connection.execute("INSERT INTO trade_heads VALUES (1, 9, %s)", [DAY + timedelta(seconds=9)])
        await connection.execute(
            "INSERT INTO bars SELECT 1, tf, %s + n * '1 s'::interval, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 'trades' "
            "FROM generate_series(0, 4) n, unnest(ARRAY['1s', '5s']) tf", [DAY],
        )  # fmt: skip
        await connection.execute("INSERT INTO gaps VALUES (1, 3, 5, NULL, NULL, 'lost', %s)", [DAY])
        await add_rows(connection, "trades", {(day_of(DAY_NS), 1): 9})
        await add_bars(connection, {(1, "1s"): 5, (1, "5s"): 5})
    engine = make_engine(database_url, "test")
    async with engine.connect() as connection:
        found = await history.find_instrument(connection, "v", "S")
        assert found is not None
        assert [one.id for one in await history.trades(connection, 1, limit=3)] == [7, 8, 9]
        some = await history.trades(
            connection, 1, DAY + timedelta(seconds=2), DAY + timedelta(seconds=5), limit=9, oldest_first=True
        )
        assert [(one.id, one.price) for one in some] == [(2, 2.0), (3, 3.0), (4, 4.0)]
        assert [one.ts.second for one in await history.bars(connection, 1, "1s", limit=2)] == [3, 4]
        assert await history.quotes(connection, 1, DAY, DAY + timedelta(days=1), limit=5) == []
        assert [one[1:3] for one in await history.gaps(connection, reasons=["lost"], limit=5)] == [(3, 5)]
        assert await history.gaps(connection, reasons=["filled"], limit=5) == []
        figures = {one.table: one for one in await history.stats(connection)}
        assert (figures["trades"].oldest, figures["trades"].newest) == (
            DAY + timedelta(seconds=1),
            DAY + timedelta(seconds=9),
        )
        assert (figures["bars"].oldest, figures["bars"].newest) == (DAY, DAY + timedelta(seconds=4))
        assert figures["quotes"].oldest is None
        assert {table: one.rows for table, one in figures.items()} == {
            "trades": 9,
            "quotes": 0,
            "bars": 10,
            "gaps": 1,
        }
        assert figures["trades"].size_bytes > 0
        assert len(await history.instruments(connection)) == 1
    await engine.dispose()
