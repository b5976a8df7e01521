"""COPY, partitions, offsets and reading back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from tapestream.common.bus.offset import Offset
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.db import history
from tapestream.common.db.copy import CopyFormat, copy_rows, timestamptz
from tapestream.common.db.counts import add_rows
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


async def test_reading_bars_back(database_url: str) -> None:
    migrate(database_url)
    async with await connect(database_url, "test") as connection:
        await connection.execute(
            "INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session) "
            "VALUES ('v', 'S', '', '', '', 0, 0, 1, '24x7')"
        )
        await connection.execute(
            "INSERT INTO bars SELECT 1, tf, %s + n * '1 s'::interval, 1, 1, 1, n, 1, 1, 1, 1, 1, 1, 0, 'trades' "
            "FROM generate_series(0, 4) n, unnest(ARRAY['1s', '5s']) tf", [DAY],
        )  # fmt: skip
    engine = make_engine(database_url, "test")
    second = 1_000_000_000
    async with engine.connect() as connection:
        name = InstrumentName("S", "v")
        assert await history.instrument_id(connection, name) == 1
        assert await history.instrument_id(connection, InstrumentName("T", "v")) is None
        newest = await history.bars(connection, name, 1, "1s", limit=2)
        assert [(one.ts_ns, one.close) for one in newest] == [
            (DAY_NS + 3 * second, 3),
            (DAY_NS + 4 * second, 4),
        ]
        oldest = await history.bars(
            connection, name, 1, "1s", limit=2, start_ns=DAY_NS + 1, oldest_first=True
        )
        assert [one.close for one in oldest] == [1, 2]
        for oldest_first, wanted in ((False, [3, 4]), (True, [0, 1])):
            ts_ns, close = await history.closes(connection, 1, "1s", limit=2, oldest_first=oldest_first)
            assert close.tolist() == wanted
            assert ts_ns.tolist() == [DAY_NS + n * second for n in wanted]
        assert [len(one) for one in await history.closes(connection, 2, "1s", limit=2)] == [0, 0]
        assert await history.count_bars(connection, 1, "5s", None, DAY_NS + 3 * second) == 3
    await engine.dispose()
