"""The evaluator equals its naive twin over recorded prices, whatever happens to it meanwhile."""

from __future__ import annotations

import random

import msgspec
import pytest

from tapestream.alerts.core.evaluator import Evaluator
from tapestream.common.contracts.alerts import AlertFired, RuleSpec
from tapestream.common.contracts.messages import decoder, encode
from tests import naive_alerts
from tests.support.alert_cases import TRADES, Event, bar_of, market, random_spec, rule_of, trade_batch
from tests.support.tapes import need

MARKET_METRICS = ("price", "price", "price", "staleness")
BAR_METRICS = ("open", "high", "low", "close", "volume", "return")
SETS, RULES = 500, 4


class Life:
    """An evaluator that is fed events, and may be killed and restored."""

    def __init__(self, rules: dict[int, RuleSpec]) -> None:
        self.rules = rules
        self.recorded: list[bytes] = []
        self.told: list[naive_alerts.Fired] = []
        self.evaluator = self._new()

    def _new(self) -> Evaluator:
        evaluator = Evaluator(self._on_fired)
        for rule_id, spec in self.rules.items():
            evaluator.put(rule_of(rule_id, spec))
        return evaluator

    def _on_fired(self, fired: AlertFired) -> None:
        self.recorded.append(encode(fired))
        self.told.append((fired.rule_id, fired.ordinal, fired.ts_ns, fired.conditions[0].actual_value))

    def restart(self, snapshot: bytes) -> None:
        self.evaluator = self._new()
        self.evaluator.load(snapshot)
        recorded = [decoder(AlertFired).decode(data) for data in self.recorded]
        assert [fired.id for fired in recorded] == sorted({fired.id for fired in recorded})
        self.evaluator.install((one.id, one.rule_id, one.version, one.state) for one in recorded)

    def feed(self, events: list[Event], rng: random.Random) -> None:
        """Trades of one symbol that follow each other travel in batches of any size."""
        at = 0
        while at < len(events):
            event = events[at]
            if event[0] == "clock":
                self.evaluator.on_clock(event[1], event[2], 1)
            elif event[0] == "bar":
                self.evaluator.on_bar(bar_of(event), 1)
            else:
                end = at + 1
                while (
                    end < len(events) and end - at < rng.choice([1, 3, 50]) and events[end][:2] == event[:2]
                ):
                    end += 1
                self.evaluator.on_trades(trade_batch(events[at:end]), 1)
                at = end - 1
            at += 1


def _rules(rng: random.Random, events: list[Event], metrics: tuple[str, ...]) -> dict[int, RuleSpec]:
    return {number: random_spec(rng, events, metrics) for number in range(1, RULES + 1)}


@pytest.mark.parametrize("block", range(10))
def test_it_equals_the_naive_loop_with_restarts_and_duplicates(block: int) -> None:
    need(*TRADES.values())
    fired = 0
    for seed in range(block * SETS // 10, (block + 1) * SETS // 10):
        rng = random.Random(seed)
        events = market(rng, 400)
        rules = _rules(rng, events, MARKET_METRICS + BAR_METRICS)
        life = Life(rules)
        saved_at, at = 0, 0
        snapshot = life.evaluator.dump()
        while at < len(events):
            step = rng.randrange(1, 200)
            life.feed(events[at : at + step], rng)
            at += step
            match rng.randrange(4):
                case 0:
                    snapshot, saved_at = life.evaluator.dump(), at
                case 1:  # killed: it reads again from a little before its snapshot
                    life.restart(snapshot)
                    at = max(0, saved_at - rng.randrange(30))
                case 2:  # the last messages come again, and revisions of bars
                    again = events[max(0, at - 20) : at]
                    life.feed(again, rng)
                    life.feed([(*e[:5], 1e9, 0.0, e[7], 1e9, 1) for e in again if e[0] == "bar"], rng)
        expected = naive_alerts.run(rules, events)
        assert sorted(life.told) == expected, f"seed {seed}"
        fired += len(expected)
    assert fired > 100


def test_a_restart_in_another_order_of_streams_repeats_and_loses_nothing() -> None:
    """Rules of one stream each, without timers: theirs do not depend on how streams meet."""
    need(*TRADES.values())
    fired = 0
    for seed in range(100):
        rng = random.Random(10_000 + seed)
        events = market(rng, 400)
        rules = {
            number: msgspec.structs.replace(
                random_spec(rng, events, ("price",) if number % 2 else BAR_METRICS), for_ns=0, cooldown_ns=0
            )
            for number in range(1, RULES + 1)
        }
        life = Life(rules)
        half = len(events) // 2
        life.feed(events[: half // 2], rng)
        snapshot = life.evaluator.dump()
        life.feed(events[half // 2 : half], rng)
        life.restart(snapshot)
        left = events[half // 2 - 20 :]
        bars, others = [e for e in left if e[0] == "bar"], [e for e in left if e[0] != "bar"]
        while bars or others:
            source = rng.choice([one for one in (bars, others) if one])
            count = rng.randrange(1, 100)
            life.feed(source[:count], rng)
            del source[:count]
        expected = naive_alerts.run(rules, events)
        assert sorted(life.told) == expected, f"seed {seed}"
        fired += len(expected)
    assert fired > 100
