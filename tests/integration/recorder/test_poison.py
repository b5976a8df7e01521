"""A message that cannot be recorded goes to the dead letters; everything else goes on."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.integration


async def test_poison_is_dead_lettered_and_the_rest_recorded(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    subject = rig.subjects.trade(domain.VENUE, "BTCUSDT")
    good = domain.trade_batch("BTCUSDT", [1, 2], -1)
    poison = {
        "undecodable": b"{not json",
        "columns": domain.trade_batch("BTCUSDT", [3, 4], 2, price=[1.0]),
        "order": domain.trade_batch("BTCUSDT", [4, 3], 2),
        "number": domain.trade_batch("BTCUSDT", [3, 4], 2, price=[1.0, -1.0]),
        "time": domain.trade_batch("BTCUSDT", [3, 4], 2, ts_ns=[1, 2]),
    }
    huge = b'{"venue":"v","symbol":"s","recv_ns":1,"prev_id":-1,"id":[99999999999999999999],"ts_ns":[1],"price":[1],"qty":[1],"buyer_maker":[true]}'
    await rig.publish(subject, good)
    for payload in (*poison.values(), huge):
        await rig.publish(subject, payload)
    await rig.publish(subject, domain.trade_batch("BTCUSDT", [3, 4], 2))
    await rig.expect_ids("BTCUSDT", [1, 2, 3, 4])
    assert await rig.gaps("BTCUSDT") == []

    letters = await rig.bus.js.pull_subscribe(f"{rig.subjects.prefix}.dlq.>", durable="look")
    messages = await letters.fetch(len(poison) + 1, timeout=5)
    errors = [message.headers["Tape-Error"] for message in messages]
    assert sorted(error.partition(":")[0] for error in errors) == sorted([*poison, "number"])
    assert any("price -1.0 at 1" in error for error in errors)
    assert {message.subject for message in messages} == {
        rig.subjects.dead_letter("MARKET", "recorder-trades")
    }
    await rig.expect_balance()
    assert await rig.metric("tapestream_recorder_refused_batches_total", table="trades") == 6


async def test_poisoned_bars_and_gaps(rig: Any, domain: Any) -> None:
    rig.start_recorder()
    await rig.publish(rig.subjects.bar("1m", domain.VENUE, "BTCUSDT"), domain.bar("BTCUSDT", low=5.0))
    await rig.publish(rig.subjects.bar("1m", domain.VENUE, "BTCUSDT"), domain.bar("BTCUSDT", ts_ns=1))
    await rig.publish(rig.subjects.gap(domain.VENUE, "BTCUSDT"), domain.gap("BTCUSDT", 9, 5, "lost"))
    await rig.publish(rig.subjects.bar("1m", domain.VENUE, "BTCUSDT"), domain.bar("BTCUSDT"))

    async def done() -> bool:
        return await rig.balance("bars") == (4, 4)

    await domain.eventually("four messages are accounted for", done)
    assert await rig.query("SELECT count(*) FROM bars") == [(1,)]
    assert await rig.metric("tapestream_recorder_refused_rows_total", table="bars", reason="content") == 3
