"""The message about a firing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from tapestream.alerts.core.machine import Machine
from tapestream.alerts.core.template import number, render
from tapestream.common.contracts.alerts import AlertFired, ConditionSpec, FiredCondition

USUAL_TEXT = "{metric} of {symbol} is {value} ({op} {threshold})"


def fired_message(
    machine: Machine,
    id_: int,
    at_ns: int,
    recv_ns: int,
    changed: Iterable[int],
    positions: Mapping[str, int],
) -> AlertFired:
    """What is told of a rule that fires now. ``changed``: the conditions that a message has just changed."""
    rule, state = machine.rule, machine.state
    spec, states = rule.spec, state.conditions
    holding = [index for index, one in enumerate(states) if one.holds]
    deciding = next((index for index in changed if states[index].holds), holding[0] if holding else 0)
    one, value = spec.conditions[deciding], states[deciding].value
    return AlertFired(
        id=id_,
        rule_id=rule.id,
        version=rule.version,
        ordinal=state.ordinal,
        name=spec.name,
        message=_text(machine, one, value, at_ns),
        severity=spec.severity,
        ts_ns=at_ns,
        recv_ns=recv_ns,
        metric=one.metric,
        of=one.of,
        op=one.op,
        actual_value=_finite(value),
        threshold_value=one.value,
        conditions=[
            FiredCondition(
                metric=each.metric,
                of=each.of,
                op=each.op,
                threshold_value=each.value,
                actual_value=_finite(found.value),
                holds=found.holds,
            )
            for each, found in zip(spec.conditions, states, strict=True)
        ],
        cause=dict(positions),
        state=state,
    )


def _finite(value: float | None) -> float | None:
    """JSON has no number without end."""
    return value if value is not None and math.isfinite(value) else None


def _text(machine: Machine, one: ConditionSpec, value: float | None, at_ns: int) -> str:
    spec = machine.rule.spec
    bare = "-".join(name.rpartition("@")[0] for name in one.of.split(","))
    moment = datetime.fromtimestamp(at_ns / 1e9, UTC)
    return render(
        spec.message or USUAL_TEXT,
        {
            "name": spec.name,
            "metric": one.metric,
            "symbol": bare,
            "pair": bare,
            "op": one.op,
            "threshold": number(one.value),
            "value": number(value),
            "severity": spec.severity,
            "timeframe": one.timeframe,
            "time": moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "count": str(machine.state.ordinal),
        },
    )
