"""What fires is what the naive loop says, also where the process is killed again and again."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tapestream.common.contracts.alerts import AlertCreate, AlertTest, RuleSpec
from tapestream.common.contracts.timeframes import DAY_NS
from tests import naive_alerts
from tests.integration.alerts.rig import Rig
from tests.support.alert_cases import SECOND, TRADES, VENUE, Event, market, random_spec
from tests.support.tapes import need

pytestmark = pytest.mark.integration
RULES = 60


def body_of(spec: RuleSpec) -> dict[str, Any]:
    """A rule as a user writes it."""
    return {
        "conditions": [
            {
                "metric": one.metric,
                "symbol": one.of,
                "op": one.op,
                "value": one.value,
                "hysteresis": one.hysteresis,
                **({"timeframe": one.timeframe} if one.timeframe else {}),
                **({"bars": one.bars} if one.bars else {}),
            }
            for one in spec.conditions
        ],
        "match": spec.match,
        "for": spec.for_ns / 1e9,
        "cooldown": spec.cooldown_ns / 1e9,
        "once": spec.once,
    }


def spec_of(rng: random.Random, events: list[Event], metrics: tuple[str, ...]) -> RuleSpec:
    found = random_spec(rng, events, metrics)
    return RuleSpec(
        name="any",
        conditions=found.conditions,
        match=found.match,
        for_ns=found.for_ns,
        cooldown_ns=found.cooldown_ns,
        once=found.once,
    )


@pytest.mark.parametrize("seed", range(3))
async def test_killed_at_random_points_nothing_repeats_and_nothing_is_lost(rig: Rig, seed: int) -> None:
    need(*TRADES.values())
    rng = random.Random(seed)
    events = market(rng, 3000)
    events.append(("clock", VENUE, events[-1][-3] // SECOND * SECOND + 60 * SECOND))
    # one stream a rule: how several streams meet is nobody's promise
    specs = [spec_of(rng, events, ("price", "price", "staleness")) for _ in range(RULES)]
    await rig.start()
    rules: dict[int, RuleSpec] = {}
    for spec in specs:
        reply = await rig.ask("create", AlertCreate(rule=body_of(spec)))
        assert reply["faults"] == [], reply
        rules[reply["rule"]["id"]] = spec
    expected = naive_alerts.run(rules, events)
    assert len(expected) > 50

    at = 0
    while at < len(events):
        step = rng.randrange(50, 700)
        rig.publish(events[at : at + step])
        at += step
        late = [event for event in events[max(0, at - 50) : at] if event[0] == "trade"]
        for trade in rng.sample(late, min(3, len(late))):  # nobody is told of what comes too late
            rig.publish_late(trade, trade[4] * rng.choice([0.5, 2]))
        if rng.random() < 0.5:
            await rig.feeder.drained()
        if rng.random() < 0.6:
            rig.kill()
            await rig.start()
    await rig.feeder.drained()

    async def all_there() -> bool:
        return len(await rig.firings()) >= len(expected)

    await rig.eventually(f"{len(expected)} firings", all_there)
    await rig.ask("list", AlertTest(start_ns=0, end_ns=1, limit=1))  # it is alive, and has had its turn
    told = sorted(
        (one.rule_id, one.ordinal, one.ts_ns, one.conditions[0].actual_value) for one in await rig.firings()
    )
    assert told == expected

    async def all_recorded() -> bool:
        return (await rig.sql("SELECT count(*) FROM alert_events"))[0][0] == len(expected)

    await rig.eventually("the history has them all", all_recorded)
    counts = dict(await rig.sql("SELECT id, trigger_count FROM alert_rules"))
    assert counts == {rule: sum(one[0] == rule for one in expected) for rule in rules}


async def test_a_back_test_lists_what_the_live_run_fired(rig: Rig) -> None:
    need(*TRADES.values())
    rng = random.Random(99)
    events = market(rng, 3000)
    last_ns = next(event[3] for event in reversed(events) if event[0] == "trade")
    start_ns = events[0][3] // SECOND * SECOND
    events.append(("clock", VENUE, last_ns + 1))
    specs = [spec_of(rng, events, ("price",)) for _ in range(60)]
    specs += [spec_of(rng, events, ("close", "high", "volume", "return")) for _ in range(30)]
    await rig.start()
    rules: dict[int, RuleSpec] = {}
    for spec in specs:
        reply = await rig.ask("create", AlertCreate(rule=body_of(spec)))
        rules[reply["rule"]["id"]] = spec
    await rig.record(events)
    tested: dict[int, list[int]] = {}
    for rule_id in rules:
        reply = await rig.ask(
            "test", AlertTest(id=rule_id, start_ns=start_ns, end_ns=last_ns + 1, limit=10_000)
        )
        assert not reply["truncated"], reply
        assert reply["count"] == len(reply["firings"])
        tested[rule_id] = [one["ts_ns"] for one in reply["firings"]]
    expected = naive_alerts.run(rules, events)
    by_rule = {rule_id: [one[2] for one in expected if one[0] == rule_id] for rule_id in rules}
    assert tested == by_rule
    assert sum(map(len, tested.values())) > 50

    unsaved = await rig.ask(
        "test",
        AlertTest(rule=body_of(specs[0]), start_ns=start_ns, end_ns=start_ns + DAY_NS, limit=1),
    )
    first = next(iter(rules))
    assert unsaved["count"] >= len(by_rule[first])
    assert len(unsaved["firings"]) <= 1
    assert unsaved["truncated"] is (unsaved["count"] > 1)
