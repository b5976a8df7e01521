"""Timers: bounded, however often rules change their minds."""

from __future__ import annotations

from tapestream.alerts.core.machine import Machine, new_state
from tapestream.alerts.core.timers import Timers
from tapestream.common.contracts.alerts import ConditionSpec, RuleSpec
from tests.support.alert_cases import rule_of

OF, VENUE = "A@v", "v"


def _machine(rule_id: int = 1) -> Machine:
    spec = RuleSpec(name="any", conditions=[ConditionSpec(metric="price", of=OF, op=">", value=1.0)])
    return Machine(rule_of(rule_id, spec), new_state(spec))


def _noted(timers: Timers, machine: Machine, due_ns: int | None) -> None:
    machine.state.due_ns = due_ns
    timers.note(machine)


def _held(timers: Timers) -> int:
    return sum(len(heap) for heap in timers._heaps.values())


def test_a_condition_that_flaps_has_one_entry_of_each_heap() -> None:
    timers, machine = Timers(), _machine()
    for at in range(10_000):
        _noted(timers, machine, 1_000_000 + at)
        machine.state.due_ns = None
    assert _held(timers) == 2
    machine.state.due_ns = 1_009_999
    for scope in (OF, VENUE):
        assert list(timers.due(scope, 1_009_998)) == []
        assert list(timers.due(scope, 1_009_999)) == [machine]
        assert list(timers.due(scope, 1 << 60)) == []


def test_an_earlier_time_counts_at_once_and_the_order_is_that_of_the_times() -> None:
    timers, one, other = Timers(), _machine(1), _machine(2)
    _noted(timers, one, 100)
    _noted(timers, other, 50)
    _noted(timers, one, 20)
    assert timers.next_ns(VENUE) == 20
    assert list(timers.due(VENUE, 200)) == [one, other]
    _noted(timers, one, 300)
    _noted(timers, other, 310)
    one.state.due_ns = 320
    assert list(timers.due(VENUE, 400)) == [other, one]


def test_rules_that_are_taken_away_leave_nothing_behind() -> None:
    timers, kept = Timers(), _machine(1)
    _noted(timers, kept, 1 << 50)
    for rule_id in range(2, 2000):
        machine = _machine(rule_id)
        _noted(timers, machine, 1 << 40)
        timers.forget(machine)
    assert _held(timers) < 200
    assert list(timers.due(VENUE, 1 << 60)) == [kept]
