"""When a rule would have fired over a stored period: the evaluator of the live run, fed from the tables."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.core.faults import Faults
from tapestream.alerts.core.machine import Rule, source_key, venue_of
from tapestream.alerts.core.metric import Source
from tapestream.alerts.history import ALWAYS, BarFeed, Feed, SignalFeed, TradeFeed, has_signals, instrument_id
from tapestream.common.contracts.alerts import AlertFired, AlertTestReply, WouldFire

LONGEST_S = 100.0
"""With the wait for others; who asks waits for two minutes."""
TURN = 1000
"""Events that are evaluated before the live rules have their turn."""


class BackTest:
    """Asks the tables of the recorder and of analytics."""

    def __init__(self, engine: AsyncEngine, most_events: int, longest_s: float = LONGEST_S) -> None:
        self._engine, self._most_events, self._longest_s = engine, most_events, longest_s
        self._one_at_a_time = asyncio.Lock()

    async def run(self, rule: Rule, start_ns: int, end_ns: int, limit: int) -> AlertTestReply:
        """Evaluate a period. Raises RuleError for a metric that is not stored."""
        _check(rule)
        firings: list[AlertFired] = []
        count = 0

        def on_fired(fired: AlertFired) -> None:
            nonlocal count
            count += 1
            if len(firings) < limit:
                firings.append(fired)

        evaluator = Evaluator(on_fired)
        evaluator.put(rule)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._longest_s
        feeds: dict[str, Feed] = {}
        run = _Run(self._most_events, start_ns)
        venues = {venue_of(one.of) for one in rule.spec.conditions}
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout_at(deadline),
                self._one_at_a_time,
                self._engine.connect() as connection,
            ):
                feeds = await _feeds(connection, rule, evaluator, start_ns, end_ns)
                for venue in venues:
                    evaluator.on_clock(venue, start_ns, ALWAYS)
                await run.feed_all(list(feeds.values()), evaluator, end_ns)
        events, reached_ns, is_late = run.events, run.reached_ns, clock() >= deadline
        for venue in venues:
            evaluator.on_clock(venue, reached_ns, ALWAYS)
        warnings = _warnings(events, count, limit, self._most_events, len(feeds))
        if is_late and not run.is_done:
            told = f"after {self._longest_s:g} s it was stopped: take a shorter period, or try again later"
            warnings = [told, *_unlisted(count, limit)]
        elif events:
            warnings += _silent(rule, feeds)
        return AlertTestReply(
            firings=[
                WouldFire(
                    ts_ns=one.ts_ns,
                    message=one.message,
                    actual_value=one.actual_value,
                    threshold_value=one.threshold_value,
                    metric=one.metric,
                    of=one.of,
                )
                for one in firings
            ],
            count=count,
            events=events,
            truncated=not run.is_done or events >= self._most_events or count > limit,
            evaluated_to_ns=reached_ns,
            warnings=warnings,
        )


def _check(rule: Rule) -> None:
    faults = Faults()
    for place, metric in enumerate(rule.metrics):
        if not metric.in_history or metric.source is Source.RADAR:
            faults.add(
                f"conditions.{place}.metric", metric.name, "a metric that is stored", "it cannot be tested"
            )
    faults.check()


async def _feeds(
    connection: AsyncConnection, rule: Rule, evaluator: Evaluator, start_ns: int, end_ns: int
) -> dict[str, Feed]:
    """What the rule listens to, each once: source → feed."""
    found: dict[str, Feed] = {}
    for metric, one in zip(rule.metrics, rule.spec.conditions, strict=True):
        key = source_key(metric, one)
        if key in found:
            continue
        if metric.source is Source.PAIR:
            if await has_signals(connection):
                found[key] = SignalFeed(connection, one, start_ns, end_ns)
            continue
        number = await instrument_id(connection, one.of)
        if number is None:
            continue
        if metric.source is Source.BAR:
            feed = found[key] = BarFeed(connection, number, one, start_ns, end_ns)
            most = max(each.bars for each in rule.spec.conditions)
            evaluator.warm(one.of, one.timeframe, await feed.closes_before(most) if most else ())
        else:
            found[key] = TradeFeed(connection, number, one.of, start_ns, end_ns)
    return found


class _Run:
    """How far a back-test has come."""

    def __init__(self, most_events: int, start_ns: int) -> None:
        self._most_events = most_events
        self.events = 0
        self.reached_ns = start_ns
        self.is_done = False

    async def feed_all(self, feeds: list[Feed], evaluator: Evaluator, end_ns: int) -> None:
        """Show the events to the evaluator in the order of their times.

        Where times are equal bars and signals, which tell of the time before, come ahead of trades.
        """
        for feed in feeds:
            await feed.fill()
        while left := [feed for feed in feeds if feed.head is not None]:
            left.sort(key=lambda feed: feed.head or (0, 0))
            first = left[0]
            assert first.head is not None
            if self.events >= self._most_events:
                self.reached_ns = first.head[0]
                self.is_done = True
                return
            until = left[1].head if len(left) > 1 else None
            self.events += first.take(evaluator, until, min(TURN, self._most_events - self.events))
            self.reached_ns = max(self.reached_ns, first.last_ns or 0)
            if first.head is None:
                await first.fill()
            await asyncio.sleep(0)
        self.is_done = True
        if end_ns <= time.time_ns():  # nobody knows what will not happen after the newest event
            self.reached_ns = end_ns


def _silent(rule: Rule, feeds: Mapping[str, Feed]) -> list[str]:
    """Conditions of which nothing is stored."""
    found: list[str] = []
    for place, (metric, one) in enumerate(zip(rule.metrics, rule.spec.conditions, strict=True)):
        feed = feeds.get(source_key(metric, one))
        if feed is None or feed.last_ns is None:
            found.append(f"conditions.{place}: nothing is stored of {metric.name} of {one.of} in this period")
    return found


def _unlisted(count: int, limit: int) -> list[str]:
    return [f"only the first {limit} of {count} firings are listed"] if count > limit else []


def _warnings(events: int, count: int, limit: int, most: int, feeds: int) -> list[str]:
    found: list[str] = []
    if not feeds or not events:
        found.append("nothing is stored of what the rule listens to in this period")
    if events >= most:
        found.append(
            f"only the first {most} events were evaluated (ALERT_TEST_EVENTS): take a shorter period"
        )
    return found + _unlisted(count, limit)
