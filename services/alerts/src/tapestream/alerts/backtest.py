"""When a rule would have fired over a stored period: the evaluator of the live run, fed from the tables."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.core.faults import Faults
from tapestream.alerts.core.machine import Rule, source_key, venue_of
from tapestream.alerts.core.metric import Source
from tapestream.alerts.history import ALWAYS, BarFeed, Feed, SignalFeed, TradeFeed, has_signals, instrument_id
from tapestream.common.contracts.alerts import AlertFired, AlertTestReply, WouldFire

TURN = 1000
"""Events that are evaluated before the live rules have their turn."""


class BackTest:
    """Asks the tables of the recorder and of analytics."""

    def __init__(self, engine: AsyncEngine, most_events: int) -> None:
        self._engine, self._most_events = engine, most_events
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
        async with self._one_at_a_time, self._engine.connect() as connection:
            feeds = await _feeds(connection, rule, evaluator, start_ns, end_ns)
            for venue in {venue_of(one.of) for one in rule.spec.conditions}:
                evaluator.on_clock(venue, start_ns, ALWAYS)
            events, reached_ns = await _feed_all(feeds, evaluator, end_ns, self._most_events)
        for venue in {venue_of(one.of) for one in rule.spec.conditions}:
            evaluator.on_clock(venue, reached_ns, ALWAYS)
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
            truncated=events >= self._most_events or count > limit,
            evaluated_to_ns=reached_ns,
            warnings=_warnings(events, count, limit, self._most_events, len(feeds)),
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
) -> list[Feed]:
    """What the rule listens to, each once."""
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
    return list(found.values())


async def _feed_all(feeds: list[Feed], evaluator: Evaluator, end_ns: int, most: int) -> tuple[int, int]:
    """Show the events to the evaluator in the order of their times; returns how many, and up to when.

    Where times are equal bars and signals, which tell of the time before, come ahead of trades.
    """
    events, reached_ns = 0, end_ns
    for feed in feeds:
        await feed.fill()
    while left := [feed for feed in feeds if feed.head is not None]:
        left.sort(key=lambda feed: feed.head or (0, 0))
        first = left[0]
        assert first.head is not None
        if events >= most:
            reached_ns = first.head[0]
            break
        until = left[1].head if len(left) > 1 else None
        events += first.take(evaluator, until, min(TURN, most - events))
        if first.head is None:
            await first.fill()
        await asyncio.sleep(0)
    return events, reached_ns


def _warnings(events: int, count: int, limit: int, most: int, feeds: int) -> list[str]:
    found: list[str] = []
    if not feeds or not events:
        found.append("nothing is stored of what the rule listens to in this period")
    if events >= most:
        found.append(
            f"only the first {most} events were evaluated (ALERT_TEST_EVENTS): take a shorter period"
        )
    if count > limit:
        found.append(f"only the first {limit} of {count} firings are listed")
    return found
