"""The slow, obvious twin of the alerts' evaluator: every event, every rule, from the words of the manual.

Events are tuples, in the order of their arrival: ``("trade", of, id, ts_ns, price, kind)``,
``("clock", venue, ts_ns)``, ``("bar", of, timeframe, start_ns, open, high, low, close, volume, rev)``.
"""

from __future__ import annotations

from typing import Any

from tapestream.common.contracts.alerts import RuleSpec

LENGTHS = {"1s": 10**9, "5s": 5 * 10**9, "1m": 60 * 10**9}
Fired = tuple[int, int, int, float | None]
"""Rule, ordinal, event time, value of its first condition."""


class NaiveRule:
    def __init__(self, rule_id: int, spec: RuleSpec) -> None:
        self.id, self.spec = rule_id, spec
        count = len(spec.conditions)
        self.values: list[float | None] = [None] * count
        self.true = [False] * count
        self.clear = [False] * count
        self.been_opposite = [False] * count
        self.latched = self.over = False
        self.due: int | None = None
        self.quiet_until = 0
        self.fired: list[Fired] = []
        self.last_price: dict[str, float] = {}
        self.last_time: dict[str, int] = {}
        self.closes: dict[tuple[str, str], list[float]] = {}

    # --- what the words mean

    def judge(self, i: int, value: float | None) -> None:
        one = self.spec.conditions[i]
        self.values[i] = value
        if value is None:
            self.true[i] = self.clear[i] = False
            return
        v, h = one.value, one.hysteresis
        up, down = value > v, value < v
        if one.op == "crosses_above":
            if not up:
                self.been_opposite[i] = True
            self.true[i] = up and self.been_opposite[i]
        elif one.op == "crosses_below":
            if not down:
                self.been_opposite[i] = True
            self.true[i] = down and self.been_opposite[i]
        else:
            self.true[i] = {
                ">": up, "<": down, ">=": up or value == v, "<=": down or value == v, "==": value == v
            }[one.op]  # fmt: skip
        # cleared: the opposite, moved away by the hysteresis
        self.clear[i] = {
            ">": value <= v - h, "crosses_above": value <= v - h, ">=": value < v - h,
            "<": value >= v + h, "crosses_below": value >= v + h, "<=": value > v + h,
            "==": value < v - h or value > v + h,
        }[one.op]  # fmt: skip

    def time_comes(self, now: int) -> None:
        if self.due is not None and self.due <= now:
            self.fire(self.due)

    def fire(self, at: int) -> None:
        self.due = None
        if self.spec.expires_ns and at >= self.spec.expires_ns:
            self.over = True
            return
        self.latched = True
        self.quiet_until = at + self.spec.cooldown_ns
        self.over = self.spec.once
        one = self.spec.conditions[0]
        value = self.values[0]
        if one.metric == "price":
            value = self.last_price.get(one.of)
        elif one.metric == "staleness":
            since = self.last_time.get(one.of)
            value = None if since is None else max(0, at - since) / 1e9
        self.fired.append((self.id, len(self.fired) + 1, at, value))

    def conclude(self, at: int) -> None:
        together = all if self.spec.match == "all" else any
        released = any if self.spec.match == "all" else all
        if self.latched and released(self.clear):
            self.latched = False
        if self.latched or self.over:
            return
        if not together(self.true):
            self.due = None
            return
        if self.due is None:
            self.due = max(at + self.spec.for_ns, self.quiet_until)
        self.time_comes(at)

    # --- events

    def trade(self, of: str, ts: int, price: float, kind: str) -> None:
        mine = [i for i, one in enumerate(self.spec.conditions) if one.of == of]
        prices = [i for i in mine if self.spec.conditions[i].metric == "price"]
        silences = [i for i in mine if self.spec.conditions[i].metric == "staleness"]
        if prices or silences:
            self.time_comes(ts)
        for i in silences:
            since = self.last_time.get(of)
            limit = round(self.spec.conditions[i].value * 1e9)
            if since is not None and self.values[i] is not None and not self.true[i] and ts - since >= limit:
                self.time_comes(since + limit)
                self.values[i], self.true[i], self.clear[i] = limit / 1e9, True, False
                self.conclude(since + limit)
        self.time_comes(ts) if prices or silences else None
        self.last_time[of] = max(ts, self.last_time.get(of, 0))
        if kind == "MARKET":
            self.last_price[of] = price
            for i in prices:
                self.judge(i, price)
        for i in silences:
            self.judge(i, 0.0)
        if (prices and kind == "MARKET") or silences:
            self.conclude(ts)

    def clock(self, now: int) -> None:
        reached: list[tuple[int, int, float]] = []
        for i, one in enumerate(self.spec.conditions):
            if one.metric != "staleness":
                continue
            since = self.last_time.setdefault(one.of, now)
            limit = round(one.value * 1e9)
            if self.true[i]:
                continue
            if now - since >= limit:
                reached.append((since + limit if self.values[i] is not None else now, i, limit / 1e9))
            else:
                self.judge(i, (now - since) / 1e9)
        for at, i, value in sorted(reached):
            self.time_comes(at)
            self.values[i], self.true[i], self.clear[i] = value, True, False
            self.conclude(at)
        self.time_comes(now)

    def bar(self, of: str, tf: str, start: int, fields: dict[str, float]) -> None:
        mine = [i for i, one in enumerate(self.spec.conditions) if (one.of, one.timeframe) == (of, tf)]
        before = self.closes.setdefault((of, tf), [])
        if mine:
            end = start + LENGTHS[tf]
            self.time_comes(end)
            for i in mine:
                one = self.spec.conditions[i]
                if one.metric == "return":
                    value = fields["close"] / before[-one.bars] - 1 if len(before) >= one.bars else None
                else:
                    value = fields[one.metric]
                self.judge(i, value)
            self.conclude(end)
        before.append(fields["close"])


def run(rules: dict[int, RuleSpec], events: list[tuple[Any, ...]]) -> list[Fired]:
    """All firings, by rule and ordinal. Events that come twice, and revisions, are left out."""
    every = [NaiveRule(rule_id, spec) for rule_id, spec in rules.items()]
    seen: set[tuple[Any, ...]] = set()
    for event in events:
        key = event[:3] if event[0] != "bar" else event[:4]
        if key in seen or (event[0] == "bar" and event[-1] > 0):
            continue
        seen.add(key)
        for rule in every:
            if event[0] == "trade":
                rule.trade(event[1], event[3], event[4], event[5])
            elif event[0] == "clock":
                rule.clock(event[2])
            else:
                fields = dict(zip(("open", "high", "low", "close", "volume"), event[4:9], strict=True))
                rule.bar(event[1], event[2], event[3], fields)
    return sorted(one for rule in every for one in rule.fired)
