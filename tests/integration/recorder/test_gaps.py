"""Holes: what the stream dropped before it was recorded, and what ingest declares."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from tapestream.common.contracts.messages import Gap, Instrument, decoder, encode

pytestmark = pytest.mark.integration


async def test_a_stream_that_overtook_the_recorder_is_a_recorded_gap(rig: Any, domain: Any) -> None:
    recorder = rig.start_recorder()
    await rig.trades("BTCUSDT", 1, 10)
    await rig.expect_ids("BTCUSDT", list(range(1, 11)))
    recorder.terminate()
    recorder.wait(15)
    await rig.publish(rig.subjects.gap(domain.VENUE, "BTCUSDT"), domain.gap("BTCUSDT", 13, 14, "no_key"))
    await rig.trades("BTCUSDT", 11, 12)
    await rig.trades("BTCUSDT", 15, 20)
    await rig.bus.js.purge_stream(rig.subjects.stream("MARKET"))
    await rig.trades("BTCUSDT", 25, 30)  # 21 to 24 never were in the stream: that is ingest's to declare
    rig.start_recorder()
    await rig.expect_ids("BTCUSDT", [*range(1, 11), *range(25, 31)])
    await rig.expect_gaps("BTCUSDT", [(11, 12, "lost"), (13, 14, "no_key"), (15, 20, "lost")])

    said = await rig.bus.js.subscribe(
        rig.subjects.market("gap"),
        config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        ordered_consumer=True,
    )
    declared: list[tuple[int, int, str]] = []
    while (20, "lost") not in [(last, reason) for _, last, reason in declared]:
        one = decoder(Gap).decode((await said.next_msg(5)).data)
        declared.append((one.from_id, one.to_id, one.reason.value))
    assert await rig.metric("tapestream_recorder_lost_trades_total") > 0

    # Part of it turns up.
    subject = rig.subjects.backfill(domain.VENUE, "BTCUSDT")
    await rig.publish(subject, domain.trade_batch("BTCUSDT", [12, 16, 17], -1))
    await rig.expect_gaps(
        "BTCUSDT",
        [(11, 11, "lost"), (12, 12, "filled"), (13, 14, "no_key"), (15, 15, "lost"), (16, 17, "filled"), (18, 20, "lost")],
    )  # fmt: skip


async def test_declared_holes_are_recorded_and_jumps_inside_a_batch_are_not_reported(
    rig: Any, domain: Any
) -> None:
    rig.start_recorder()
    subject = rig.subjects.trade(domain.VENUE, "BTCUSDT")
    await rig.publish(subject, domain.trade_batch("BTCUSDT", [1, 2, 9, 10], -1))
    await rig.publish(subject, domain.trade_batch("BTCUSDT", [20], 10))
    gaps = rig.subjects.gap(domain.VENUE, "BTCUSDT")
    await rig.publish(gaps, domain.gap("BTCUSDT", 3, 8, "lost"))
    await rig.publish(gaps, domain.gap("BTCUSDT", 3, 5, "not_published_by_venue"))
    await rig.publish(gaps, domain.gap("BTCUSDT", 3, 8, "lost"))
    await rig.expect_ids("BTCUSDT", [1, 2, 9, 10, 20])
    await rig.expect_gaps("BTCUSDT", [(3, 5, "not_published_by_venue"), (6, 8, "lost")])


async def test_bars_by_revision_and_source(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    subject = rig.subjects.bar("1m", domain.VENUE, "BTCUSDT")
    steps = [
        ({"close": 0.9, "source": "partial", "rev": 3}, 0.9),
        ({"close": 1.0, "source": "venue", "rev": 9}, 1.0),
        ({"close": 1.05, "source": "partial", "rev": 10}, 1.0),
        ({"close": 1.1, "complete": False, "rev": 10}, 1.0),
        ({"close": 1.2, "rev": 0}, 1.2),  # trades stand before the venue's
        ({"close": 1.3, "rev": 0}, 1.2),  # the same revision again
        ({"close": 1.4, "rev": 2}, 1.4),
        ({"close": 1.5, "rev": 1}, 1.4),
        ({"close": 1.6, "source": "venue", "rev": 9}, 1.4),
    ]
    for count, (fields, close) in enumerate(steps, 1):
        await rig.publish(subject, domain.bar("BTCUSDT", **fields))
        await rig.publish(subject, domain.bar(f"MARK{count}"))
        await _expect(rig, domain, count, close)


async def _expect(rig: Any, domain: Any, count: int, close: float) -> None:
    async def marked() -> bool:
        try:
            rows = await rig.query(
                "SELECT 1 FROM bars b JOIN instruments i ON i.id = b.instrument_id WHERE symbol = %s",
                f"MARK{count}",
            )
        except psycopg.Error:
            return False
        return bool(rows)

    await domain.eventually(f"mark {count}", marked)
    rows = await rig.query(
        "SELECT close FROM bars b JOIN instruments i ON i.id = b.instrument_id WHERE symbol = 'BTCUSDT'"
    )
    assert rows == [(close,)], f"step {count}"


async def test_instruments_are_refined_from_the_bucket(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    await rig.trades("BTCUSDT", 1, 1)
    await rig.expect_ids("BTCUSDT", [1])
    bucket = await rig.bus.js.key_value(rig.subjects.stream("instruments"))
    one = Instrument(
        venue=domain.VENUE,
        symbol="BTCUSDT",
        kind="perpetual",
        currency="USDT",
        base="BTC",
        price_step=0.1,
        qty_step=0.001,
    )
    await bucket.put(f"{domain.VENUE}.BTCUSDT", encode(one))

    async def refined() -> bool:
        rows = await rig.query("SELECT id, price_step, kind FROM instruments")
        return rows == [(1, 0.1, "perpetual")]

    await domain.eventually("the instrument has its steps", refined)
