"""What a rule's owner sends back."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tapestream.alerts.core.body import Bounds, read_rule
from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.core.faults import MOST_FAULTS, RuleError
from tapestream.alerts.masking import masked, unmasked
from tapestream.alerts.pages import fitting
from tapestream.alerts.registry import all_metrics
from tapestream.alerts.rules import Rules
from tapestream.alerts.store import StoredRule
from tapestream.common.contracts.alerts import RuleSpec
from tapestream.common.contracts.messages import encode

BOUNDS = Bounds(
    metrics=all_metrics(), venue="v", timeframes=["1s", "1m"], is_known=lambda _: True, known_text=lambda: "any",
    channel_fault=lambda _: None,
)  # fmt: skip
BODY: dict[str, Any] = {"metric": "price", "symbol": "A", "op": ">", "value": 1}


def test_an_expired_rule_may_be_sent_back_as_it_was_read() -> None:
    assert read_rule(BODY | {"active": False, "enabled": True}, BOUNDS).enabled
    assert read_rule(BODY | {"enabled": True, "active": False}, BOUNDS).enabled
    assert not read_rule(BODY | {"active": False}, BOUNDS).enabled


async def _patched(spec: RuleSpec, change: dict[str, Any]) -> RuleSpec:
    kept: list[RuleSpec] = []

    def row(spec: RuleSpec) -> StoredRule:
        return StoredRule(1, 1, spec, 0, 0, 0, 0, 0, None)

    class Store:
        async def rule(self, _: int) -> StoredRule:
            return row(spec)

        async def update(self, _: int, __: int, spec: RuleSpec) -> StoredRule:
            kept.append(spec)
            return row(spec)

    async def nothing(_: object) -> list[Any]:
        return []

    store: Any = Store()
    instruments: Any = SimpleNamespace(silent=nothing)
    watches: Any = SimpleNamespace(declare=nothing)
    rules = Rules(store, Evaluator(lambda _: None), instruments, BOUNDS, watches, 1)
    changing: Awaitable[Any] = rules.update(1, change, whole=False)
    await changing
    return kept[0]


async def test_a_radar_that_nobody_makes_is_refused() -> None:
    async def fault(timeframe: str) -> str | None:
        return None if timeframe == "1m" else f"timeframe {timeframe!r} has no radar; there are: 1m"

    nothing: Any = None
    rules = Rules(nothing, Evaluator(lambda _: None), nothing, BOUNDS, nothing, 1, fault)
    body = {"metric": "radar_rank", "pair": "A-B", "op": "<", "value": 3}
    with pytest.raises(RuleError) as caught:
        await rules.create(body | {"timeframe": "1s"})
    assert [(one.field, one.allowed) for one in caught.value.faults] == [("conditions.0.timeframe", "1m")]
    await rules._check_radars(read_rule(body | {"timeframe": "1m"}, BOUNDS))


def test_pairs_take_the_usual_window_and_method_of_the_settings() -> None:
    bounds = replace(BOUNDS, window=90, method="huber")
    body = {"metric": "zscore", "pair": "A-B", "op": ">", "value": 2}
    one = read_rule(body, bounds).conditions[0]
    assert (one.window, one.method) == (90, "huber")


async def test_null_takes_the_expiry_away() -> None:
    spec = read_rule(BODY | {"expires_at": "2030-01-01T00:00:00Z"}, BOUNDS)
    assert spec.expires_ns
    assert (await _patched(spec, {"expires_at": None})).expires_ns == 0
    assert (await _patched(spec, {"name": "x"})).expires_ns == spec.expires_ns


@pytest.mark.parametrize(
    "urls",
    [["tgram://1:a/2", "tgram://1:b/3"], ["https://h.example/secret", "https://h.example/other?x=1"]],
)
def test_channels_of_one_service_are_told_apart(urls: list[str]) -> None:
    one, other = (masked(url) for url in urls)
    assert one != other
    assert unmasked([other, one], urls) == [urls[1], urls[0]]
    assert unmasked([other], urls) == [urls[1]]


def test_a_page_is_cut_where_the_message_ends() -> None:
    items = ["x" * 1000] * 500
    page = fitting(items, 100_000)
    assert 50 < len(page) < 100
    assert len(encode(page)) < 100_000
    assert fitting(items, 1 << 20) == items


def test_faults_are_told_only_so_many_at_once() -> None:
    with pytest.raises(RuleError) as caught:
        read_rule(BODY | {f"{number}" + "y" * 1000: 1 for number in range(5000)}, BOUNDS)
    assert len(caught.value.faults) == MOST_FAULTS
    assert len(encode(caught.value.faults)) < 1 << 20


def test_methods_are_read_as_elsewhere_and_bound_the_window() -> None:
    pair = {"metric": "zscore", "pair": "A-B", "op": ">", "value": 2, "method": "Theil_Sen"}
    assert read_rule(pair | {"window": 500}, BOUNDS).conditions[0].method == "theil-sen"
    with pytest.raises(RuleError) as refused:
        read_rule(pair | {"window": 501}, BOUNDS)
    (fault,) = refused.value.faults
    assert (fault.field, fault.value, fault.allowed) == ("window", 501, "a whole number from 2 to 500")
