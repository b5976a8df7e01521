"""Rules and their past."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tapestream.alerts import rules as module
from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.rules import Rules
from tapestream.common.contracts.alerts import ConditionSpec, RuleSpec
from tests.support.alert_cases import rule_of

SPEC = RuleSpec(
    name="any",
    conditions=[ConditionSpec(metric="return", of="A@v", op=">", value=0.1, timeframe="1s", bars=3)],
)


async def test_a_restart_gives_rules_their_past_again(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = Evaluator(lambda _: None)
    snapshot = evaluator.dump()
    evaluator.put(rule_of(1, SPEC))
    evaluator.warm("A@v", "1s", [(at, 1.0) for at in range(3)])
    evaluator.load(snapshot)
    assert list(evaluator.lacking(rule_of(1, SPEC)))

    nothing: Any = None
    rules = Rules(nothing, evaluator, nothing, nothing, nothing, 1)
    tries = 0

    async def warm(of: str, timeframe: str, bars: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OperationalError("x", {}, Exception("away"))
        evaluator.warm(of, timeframe, [(at, 1.0) for at in range(bars)])

    monkeypatch.setattr(rules, "_warm", warm)
    monkeypatch.setattr(module, "WARM_AGAIN_S", 0.0)
    await rules.warm_again()
    assert not list(evaluator.lacking(rule_of(1, SPEC)))
    assert tries == 2
