"""Exactly one row for a trade, however often and in whatever order it arrives."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.integration


async def test_trades_are_recorded_with_all_their_fields(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    await rig.trades("BTCUSDT", 1, 3, kind=["MARKET", "INSURANCE_FUND", "SOMETHING_NEW"])
    await rig.expect_ids("BTCUSDT", [1, 2, 3])
    rows = await rig.query(
        "SELECT id, (extract(epoch FROM ts) * 1000000)::int8, price, qty, buyer_maker, kind FROM trades ORDER BY id"
    )
    assert rows == [
        (id_, domain.T0_NS // 1000 + id_ * 1000, 100.0 + id_, 0.5, id_ == 2, kind)
        for id_, kind in ((1, 0), (2, 1), (3, 99))
    ]
    (head,) = await rig.query("SELECT id FROM trade_heads")
    assert head == (3,)


async def test_duplicates_and_overlaps_are_trimmed(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    subject = rig.subjects.trade(domain.VENUE, "BTCUSDT")
    for first, last in ((1, 10), (1, 10), (5, 15), (16, 16)):
        await rig.publish(subject, domain.trade_batch("BTCUSDT", list(range(first, last + 1)), first - 1))
    await rig.expect_ids("BTCUSDT", list(range(1, 17)))
    await rig.expect_balance()
    assert await rig.metric("tapestream_recorder_duplicate_rows_total", table="trades") == 16
    assert await rig.gaps("BTCUSDT") == []


async def test_backfill_adds_only_what_is_missing(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    await rig.trades("BTCUSDT", 10, 12)
    await rig.trades("BTCUSDT", 20, 22)
    late = domain.trade_batch("BTCUSDT", [11, 12, 13, 14, 20], -1)
    shifted = domain.trade_batch("BTCUSDT", [13, 15], -1, ts_ns=[domain.T0_NS, domain.T0_NS])
    subject = rig.subjects.backfill(domain.VENUE, "BTCUSDT")
    for batch in (late, late, shifted):
        await rig.publish(subject, batch)
    await rig.expect_ids("BTCUSDT", [10, 11, 12, 13, 14, 15, 20, 21, 22])
    await rig.expect_balance()


async def test_days_have_partitions_also_over_midnight(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    midnight = 1_723_161_600_000_000_000  # 2024-08-09
    stamps = [midnight - 2_000_000, midnight - 1_000, midnight, midnight + 1_000]
    await rig.trades("BTCUSDT", 1, 4, ts_ns=stamps)
    await rig.expect_ids("BTCUSDT", [1, 2, 3, 4])
    parts = await rig.query("SELECT tableoid::regclass::text, count(*) FROM trades GROUP BY 1 ORDER BY 1")
    assert parts == [("trades_20240808", 2), ("trades_20240809", 2)]


async def test_quotes_are_recorded_once(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    subject = rig.subjects.quote(domain.VENUE, "BTCUSDT")
    for ids in ([1, 2, 3], [1, 2, 3], [3, 4]):
        await rig.publish(subject, domain.quote_batch("BTCUSDT", ids))

    async def all_there() -> bool:
        return await rig.balance("quotes") == (8, 8)

    await domain.eventually("eight quotes are accounted for", all_there)
    assert [row[0] for row in await rig.query("SELECT id FROM quotes ORDER BY id")] == [1, 2, 3, 4]


async def test_a_row_that_is_there_already_is_found_out(rig: Any) -> None:
    """Somebody restored a backup of the trades that is newer than the one of the heads."""
    recorder = rig.start_recorder()
    await rig.trades("BTCUSDT", 1, 5)
    await rig.expect_ids("BTCUSDT", [1, 2, 3, 4, 5])
    recorder.terminate()
    recorder.wait(15)
    await rig.execute("UPDATE trade_heads SET id = 2")
    await rig.execute("DELETE FROM projection_offsets")
    rig.start_recorder()
    await rig.trades("BTCUSDT", 6, 7)
    await rig.expect_ids("BTCUSDT", [1, 2, 3, 4, 5, 6, 7])


async def test_backfill_of_a_day_that_retention_dropped(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    await rig.trades("BTCUSDT", 10, 12)
    await rig.expect_ids("BTCUSDT", [10, 11, 12])
    await rig.execute("DROP TABLE trades_20240808")
    subject = rig.subjects.backfill(domain.VENUE, "BTCUSDT")
    await rig.publish(subject, domain.trade_batch("BTCUSDT", [8, 9], -1))
    await rig.expect_ids("BTCUSDT", [8, 9])
    assert await rig.metric("tapestream_recorder_refused_batches_total", table="trades") == 0
    await rig.expect_balance()
