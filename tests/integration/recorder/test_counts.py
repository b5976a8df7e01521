"""The counts are the rows, whatever happens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tapestream.common.contracts.messages import BarSource, CleanReply, CleanRequest, decoder, encode

pytestmark = pytest.mark.integration
DAY_NS = 86_400_000_000_000


async def test_counts_are_exact_after_a_kill(rig: Any, domain: Any) -> None:
    symbols = ["BTCUSDT", "ETHUSDT"]
    recorder = rig.start_recorder()
    await rig.publish_many(symbols, 20)
    await domain.eventually("something is recorded", lambda: rig.recorded_ids("BTCUSDT"))
    publishing = asyncio.create_task(rig.publish_many(symbols, 100))
    recorder.kill()
    recorder.wait()
    await _expect_exact(rig, "trades")
    rig.start_recorder()
    await publishing
    for symbol in symbols:
        await rig.expect_ids(symbol, list(range(1, 120 * 40 + 1)))
    await _expect_exact(rig, "trades")


async def test_every_way_of_writing_is_counted(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    midnight = domain.T0_NS // DAY_NS * DAY_NS + DAY_NS
    await rig.trades("BTCUSDT", 11, 14, ts_ns=[midnight - 2000, midnight - 1000, midnight, midnight + 1000])
    await rig.expect_ids("BTCUSDT", [11, 12, 13, 14])
    await rig.publish(
        rig.subjects.backfill(domain.VENUE, "BTCUSDT"), domain.trade_batch("BTCUSDT", [9, 10, 11], -1)
    )
    await rig.publish(rig.subjects.quote(domain.VENUE, "BTCUSDT"), domain.quote_batch("BTCUSDT", [1, 2, 3]))
    for fields in ({}, {"rev": 1}, {"source": BarSource.VENUE}, {"timeframe": "1s"}):
        await rig.publish(rig.subjects.bar("1m", domain.VENUE, "BTCUSDT"), domain.bar("BTCUSDT", **fields))
    await rig.expect_ids("BTCUSDT", list(range(9, 15)))
    await domain.eventually("quotes are there", lambda: rig.query("SELECT 1 FROM quotes HAVING count(*) = 3"))
    await domain.eventually("bars are there", lambda: rig.query("SELECT 1 FROM bars WHERE timeframe = '1s'"))
    await _expect_exact(rig, "trades")
    await _expect_exact(rig, "quotes")
    assert await rig.query("SELECT timeframe, rows FROM bar_counts ORDER BY 1") == [("1m", 1), ("1s", 1)]


async def test_cleanup_takes_rows_and_counts(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    day = domain.T0_NS // DAY_NS * DAY_NS
    stamps = [day - 1000, *(day + n * 1000 for n in range(9))]
    await rig.trades("BTCUSDT", 1, 10, ts_ns=stamps)
    await rig.publish(rig.subjects.quote(domain.VENUE, "BTCUSDT"), domain.quote_batch("BTCUSDT", [1, 2]))
    for minute in range(3):
        await rig.publish(
            rig.subjects.bar("1m", domain.VENUE, "BTCUSDT"),
            domain.bar("BTCUSDT", ts_ns=day + (minute - 1) * 60_000_000_000),
        )
    await rig.publish(rig.subjects.gap(domain.VENUE, "BTCUSDT"), domain.gap("BTCUSDT", 50, 60, "lost"))
    await rig.expect_ids("BTCUSDT", list(range(1, 11)))
    await rig.expect_gaps("BTCUSDT", [(50, 60, "lost")])
    await domain.eventually("quotes are there", lambda: rig.query("SELECT 1 FROM quotes"))

    reply = await _clean(rig, day + 4000)

    assert reply.error == ""
    assert reply.deleted == {"trades": 5, "quotes": 0, "bars": 2, "gaps": 0}
    before = datetime.fromtimestamp(day // 10**9, UTC) - timedelta(days=1)
    assert reply.dropped_partitions == [f"trades_{before:%Y%m%d}"]
    assert await rig.recorded_ids("BTCUSDT") == list(range(6, 11))
    await _expect_exact(rig, "trades")
    assert await rig.query("SELECT timeframe, rows FROM bar_counts") == [("1m", 1)]

    await rig.trades("BTCUSDT", 11, 12, ts_ns=[day + 20_000, day + 21_000])
    await rig.expect_ids("BTCUSDT", list(range(6, 13)))
    later = await _clean(rig, day + 2 * DAY_NS)
    assert later.deleted == {"trades": 7, "quotes": 2, "bars": 1, "gaps": 1}
    assert await rig.query("SELECT * FROM day_counts") == []


async def test_cleanup_beside_a_busy_recorder_keeps_the_counts_exact(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    publishing = asyncio.create_task(rig.publish_many(["BTCUSDT", "ETHUSDT"], 150))
    await domain.eventually("something is recorded", lambda: rig.recorded_ids("BTCUSDT"))
    for step in range(8):
        reply = await _clean(rig, domain.T0_NS + step * 100_000_000)
        assert reply.error == ""
    await publishing
    await domain.eventually(
        "the last trade is there", lambda: rig.query("SELECT 1 FROM trades HAVING max(id) = %s", 150 * 40)
    )
    await rig.expect_balance()
    await _expect_exact(rig, "trades")


async def _clean(rig: Any, older_than_ns: int) -> CleanReply:
    subject = rig.subjects.rpc("recorder", "clean")
    answer = await rig.bus.nc.request(subject, encode(CleanRequest(older_than_ns=older_than_ns)), timeout=20)
    return decoder(CleanReply).decode(answer.data)


async def _expect_exact(rig: Any, table: str) -> None:
    """Rows and counts, of one moment."""
    differing = await rig.query(
        f"""SELECT * FROM (SELECT instrument_id, (ts AT TIME ZONE 'UTC')::date AS day, count(*) AS found
                          FROM {table} GROUP BY 1, 2) AS rows
            FULL JOIN (SELECT instrument_id, day, rows AS counted FROM day_counts
                       WHERE table_name = %s AND rows <> 0) AS counts USING (instrument_id, day)
            WHERE found IS DISTINCT FROM counted""",
        table,
    )
    assert differing == []
