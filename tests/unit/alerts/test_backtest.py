"""Back-tests: how far they go, and what they say about it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tapestream.alerts import backtest, history
from tapestream.alerts.backtest import BackTest
from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.history import ALWAYS, BarFeed, Head
from tapestream.common.contracts.alerts import AlertTestReply, ConditionSpec, RuleSpec
from tapestream.common.contracts.messages import TradeBatch
from tests.support.alert_cases import rule_of

SECOND = 10**9
SILENCE = ConditionSpec(metric="staleness", of="A@v", op=">", value=5.0)


class Engine:
    def connect(self) -> Engine:
        return self

    async def __aenter__(self) -> Engine:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Trades:
    """A second's trade each, or none."""

    def __init__(self, times: list[int], wait_s: float = 0.0) -> None:
        self._times, self._wait_s = times, wait_s
        self.head: Head | None = None
        self.last_ns: int | None = None

    async def fill(self) -> None:
        await asyncio.sleep(self._wait_s)
        self.head = (self._times[0], 1) if self._times else None

    def take(self, evaluator: Evaluator, until: Head | None, most: int) -> int:  # noqa: ARG002
        at = self.last_ns = self._times.pop(0)
        evaluator.on_trades(
            TradeBatch(
                venue="v", symbol="A", recv_ns=0, prev_id=-1, id=[at], ts_ns=[at], price=[1.0], qty=[], buyer_maker=[]
            ),
            ALWAYS,
        )  # fmt: skip
        self.head = (self._times[0], 1) if self._times else None
        return 1


async def _run(
    monkeypatch: pytest.MonkeyPatch,
    feeds: dict[str, Trades],
    spec: RuleSpec,
    end_ns: int,
    longest_s: float = 9,
) -> AlertTestReply:
    async def found(*_: object) -> dict[str, Trades]:
        return feeds

    monkeypatch.setattr(backtest, "_feeds", found)
    engine: Any = Engine()
    return await BackTest(engine, 1000, longest_s).run(rule_of(1, spec), SECOND, end_ns, 10)


@pytest.mark.parametrize(("is_future", "count"), [(True, 0), (False, 1)])
async def test_what_is_not_stored_yet_is_no_silence(
    monkeypatch: pytest.MonkeyPatch, is_future: bool, count: int
) -> None:
    spec = RuleSpec(name="s", conditions=[SILENCE])
    end_ns = time.time_ns() + 3600 * SECOND if is_future else 60 * SECOND
    reply = await _run(monkeypatch, {"trade:A@v": Trades([2 * SECOND, 3 * SECOND])}, spec, end_ns)
    assert reply.count == count
    assert reply.evaluated_to_ns == (3 * SECOND if is_future else end_ns)
    assert not reply.truncated


async def test_each_condition_without_data_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ConditionSpec(metric="close", of="B@v", op=">", value=1.0, timeframe="1s")
    spec = RuleSpec(name="s", conditions=[SILENCE, other])
    feeds = {"trade:A@v": Trades([2 * SECOND]), "bar:1s:B@v": Trades([])}
    reply = await _run(monkeypatch, feeds, spec, 60 * SECOND)
    assert [one for one in reply.warnings if one.startswith("conditions.1:")]
    assert not [one for one in reply.warnings if one.startswith("conditions.0:")]


async def test_it_ends_in_time_and_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RuleSpec(name="s", conditions=[SILENCE])
    feeds = {"trade:A@v": Trades([2 * SECOND], wait_s=5)}
    reply = await _run(monkeypatch, feeds, spec, 60 * SECOND, longest_s=0.1)
    assert reply.truncated
    assert reply.evaluated_to_ns == SECOND
    assert "stopped" in reply.warnings[0]


class Row:
    def __init__(self, at: int, close: float, source: str) -> None:
        self.ts_ns, self.source = at * SECOND, source
        self.open = self.high = self.low = self.close = close
        self.volume = 1.0


def test_closes_of_any_source_count_but_only_bars_of_trades_fire() -> None:
    fired: list[int] = []
    one = ConditionSpec(metric="return", of="A@v", op=">", value=0.5, timeframe="1s", bars=1)
    evaluator = Evaluator(lambda each: fired.append(each.ts_ns))
    evaluator.put(rule_of(1, RuleSpec(name="r", conditions=[one])))
    connection: Any = None
    rows: list[Any] = [
        Row(1, 1.0, "trades"),
        Row(2, 2.0, "venue"),
        Row(3, 2.1, "trades"),
        Row(4, 4.0, "trades"),
    ]
    BarFeed(connection, 1, one, 0, 9 * SECOND)._show(evaluator, rows)
    assert fired == [5 * SECOND]
    assert "source = 'trades'" not in history._BARS
