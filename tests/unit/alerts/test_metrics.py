"""What metrics say where there is no number."""

from __future__ import annotations

import math
from typing import Any

from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.registry import all_metrics
from tapestream.common.contracts.alerts import AlertFired, ConditionSpec, RuleSpec
from tapestream.common.contracts.signals import PairSignal, Radar, RadarRow
from tests.support.alert_cases import rule_of

PAIR: dict[str, Any] = {
    "venue_a": "v", "symbol_a": "A", "venue_b": "v", "symbol_b": "B", "timeframe": "1s", "window": 60, "method": "ols",
    "complete": True, "price_a": 1.0, "price_b": 1.0, "hedge_ratio": 1.0, "intercept": 0.0, "spread": 0.0, "zscore": 0.0,
    "correlation": 0.0,
}  # fmt: skip


def _signal(at: int, half_life: float | None, pvalue: float | None = 0.5) -> PairSignal:
    return PairSignal(**PAIR, ts_ns=at * 10**9, half_life_bars=half_life, adf_pvalue=pvalue)


def test_a_spread_that_does_not_revert_ends_a_short_half_life() -> None:
    fired: list[AlertFired] = []
    evaluator = Evaluator(fired.append)
    one = {"metric": "half_life", "of": "A@v,B@v", "timeframe": "1s", "window": 60, "method": "ols"}
    short = RuleSpec(name="s", conditions=[ConditionSpec(**one, op="<", value=20.0)])
    long = RuleSpec(name="l", conditions=[ConditionSpec(**one, op=">", value=100.0)])
    evaluator.put(rule_of(1, short))
    evaluator.put(rule_of(2, long))
    for at, value in enumerate([10.0, None, 12.0], 1):
        evaluator.on_pair(_signal(at, value), 1)
    assert [(each.rule_id, each.ordinal) for each in fired] == [(1, 1), (2, 1), (1, 2)]
    assert fired[1].actual_value is None
    assert fired[1].conditions[0].actual_value is None


def test_without_a_spread_there_is_no_half_life() -> None:
    metric = all_metrics()["half_life"]
    assert metric.value(_signal(1, None, None)) is None
    assert metric.value(_signal(1, None)) == math.inf


def test_a_pair_that_left_the_radar_s_list_is_behind_all() -> None:
    row = RadarRow(
        rank=1, a="A@v", b="B@v", pvalue=0.1, half_life_bars=1, correlation=1, zscore=0, hedge_ratio=1
    )
    radar = Radar(timeframe="1s", window=60, ts_ns=1, pairs=45, rows=[row])
    metric = all_metrics()["radar_rank"]
    assert metric.value(radar, "B@v,A@v") == 1
    assert metric.value(radar, "A@v,C@v") == 46
