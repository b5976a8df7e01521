"""The rules that are at work: kept in Postgres, evaluated by the fold, changed by requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from tapestream.alerts import figures
from tapestream.alerts.core.body import Bounds, plain, read_rule
from tapestream.alerts.core.evaluator import Evaluator
from tapestream.alerts.core.faults import Faults
from tapestream.alerts.core.machine import Rule
from tapestream.alerts.core.metric import Source
from tapestream.alerts.core.shown import merged, to_body
from tapestream.alerts.instruments import Instruments
from tapestream.alerts.masking import masked, unmasked
from tapestream.alerts.registry import all_metrics
from tapestream.alerts.store import Store, StoredRule
from tapestream.alerts.watches import Watches
from tapestream.common.contracts.alerts import AlertRule, RuleSpec
from tapestream.common.contracts.instruments import InstrumentName

log = structlog.get_logger(__name__)

_CLOSES = """
    SELECT (extract(epoch FROM b.ts) * 1000000)::int8 * 1000, b.close
    FROM bars b JOIN instruments i ON i.id = b.instrument_id
    WHERE i.venue = :venue AND i.symbol = :symbol AND b.timeframe = :timeframe ORDER BY b.ts DESC LIMIT :limit
"""
WARM_AGAIN_S = 1.0
SPARE_BARS = 500
"""Bars of the past that are read beyond what a rule needs: after a restart, bars are read again."""


class Rules:
    """All rules. Methods that change something raise RuleError for a wrong rule, and what the store raises."""

    def __init__(
        self,
        store: Store,
        evaluator: Evaluator,
        instruments: Instruments,
        bounds: Bounds,
        watches: Watches,
        most: int,
        radar_fault: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        """``radar_fault`` says why there is no radar of a timeframe."""
        self._store, self._evaluator, self._instruments = store, evaluator, instruments
        self._bounds, self._watches, self._most = bounds, watches, most
        self._radar_fault = radar_fault
        self._changing = asyncio.Lock()

    async def load(self) -> datetime | None:
        """Put all rules to work, before any message is read; returns since when the oldest of them counts."""
        rules = await self._store.rules()
        for one in rules:
            await self._begin(one)
        self._evaluator.last_id = max(self._evaluator.last_id, await self._store.last_event_id())
        await self._declare()
        oldest = min((one.since_ns for one in rules if one.spec.enabled), default=time.time_ns())
        return datetime.fromtimestamp(oldest / 1e9, UTC) - timedelta(seconds=1)

    # --- changes

    async def create(self, body: Mapping[str, Any]) -> tuple[AlertRule, list[str]]:
        """A new rule, and what is to be said about it."""
        spec = read_rule(body, self._bounds)
        await self._check_radars(spec)
        async with self._changing:
            if await self._store.count() >= self._most:
                faults = Faults()
                faults.add("", None, f"{self._most} rules at most", "delete others first (ALERT_MAX_RULES)")
                faults.check()
            return await self._changed(await self._store.create(spec))

    async def update(
        self, rule_id: int, body: Mapping[str, Any], *, whole: bool
    ) -> tuple[AlertRule, list[str]] | None:
        """Change a rule, wholly or in what is named; it begins anew. None where there is no such rule."""
        async with self._changing:
            stored = await self._store.rule(rule_id)
            if stored is None:
                return None
            given = dict(body)
            if isinstance(given.get("channels"), list):
                given["channels"] = unmasked(given["channels"], stored.spec.channels)
            if not whole:
                faults = Faults()
                changes = plain(given, faults)
                faults.check()
                before = to_body(stored.spec)
                if body.get("expires_at", "") is None:
                    before["expires_at"] = None
                given = merged(before, changes, self._bounds.metrics)
            spec = read_rule(given, self._bounds)
            await self._check_radars(spec)
            changed = await self._store.update(rule_id, stored.version, spec)
            return None if changed is None else await self._changed(changed)

    async def delete(self, rule_id: int) -> bool:
        """Take a rule away; its history stays. False where there is no such rule."""
        async with self._changing:
            found = await self._store.delete(rule_id)
            self._evaluator.remove(rule_id)
            await self._declare()
            return found

    async def _check_radars(self, spec: RuleSpec) -> None:
        """Raise RuleError where a rule waits for a radar that nobody makes."""
        faults, known = Faults(), all_metrics()
        for place, one in enumerate(spec.conditions):
            if known[one.metric].source is Source.RADAR and self._radar_fault is not None:
                why = await self._radar_fault(one.timeframe)
                if why is not None:
                    allowed = why.partition(": ")[2] or "a timeframe of RADAR_TIMEFRAMES"
                    faults.add(f"conditions.{place}.timeframe", one.timeframe, allowed, why)
        faults.check()

    async def _changed(self, stored: StoredRule) -> tuple[AlertRule, list[str]]:
        await self._begin(stored)
        await self._declare()
        log.info("rule_changed", rule=stored.id, version=stored.version, name=stored.spec.name)
        return self.shown(stored), await self._warnings(stored.spec)

    async def _begin(self, stored: StoredRule) -> None:
        if not stored.spec.enabled or (stored.spec.once and stored.version_count):
            self._evaluator.remove(stored.id)
            return
        rule = self.rule_of(stored.spec, stored.id, stored.version, stored.since_ns)
        self._evaluator.put(rule)
        try:
            await self._warm_rule(rule)
        except (SQLAlchemyError, OSError) as error:  # it fires as soon as enough bars have come
            log.warning("rule_not_warmed", rule=rule.id, error=type(error).__name__)

    async def warm_again(self) -> None:
        """Give the past to rules that have lost it: a snapshot replaces what they were given before."""
        for machine in list(self._evaluator.machines.values()):
            while True:
                try:
                    await self._warm_rule(machine.rule)
                    break
                except (SQLAlchemyError, OSError) as error:
                    log.warning("rule_not_warmed", rule=machine.rule.id, error=type(error).__name__)
                    await asyncio.sleep(WARM_AGAIN_S)

    async def _warm_rule(self, rule: Rule) -> None:
        for of, timeframe, bars in list(self._evaluator.lacking(rule)):
            await self._warm(of, timeframe, bars)

    async def _warm(self, of: str, timeframe: str, bars: int) -> None:
        name = InstrumentName.parse(of, "")
        values = {
            "venue": name.venue,
            "symbol": name.symbol,
            "timeframe": timeframe,
            "limit": bars + SPARE_BARS,
        }
        async with self._store.engine.connect() as connection:
            rows = (await connection.execute(sa.text(_CLOSES), values)).all()
        self._evaluator.warm(of, timeframe, [(ts_ns, close) for ts_ns, close in rows])

    async def _declare(self) -> None:
        specs = [one.rule.spec for one in self._evaluator.machines.values()]
        await self._watches.declare(specs)
        figures.RULES.set(len(specs))

    # --- answers

    def rule_of(self, spec: RuleSpec, rule_id: int = 0, version: int = 1, since_ns: int = -1) -> Rule:
        """A rule as the evaluator takes it."""
        known = all_metrics()
        return Rule(rule_id, version, since_ns, spec, tuple(known[one.metric] for one in spec.conditions))

    def spec_of(self, body: Mapping[str, Any]) -> RuleSpec:
        """A rule that is not kept. Raises RuleError."""
        return read_rule(body, self._bounds)

    def is_active(self, stored: StoredRule) -> bool:
        """Whether it can fire: by event time where that is known."""
        spec = stored.spec
        now_ns = max(self._evaluator.clocks.values(), default=time.time_ns())
        machine = self._evaluator.machines.get(stored.id)
        spent = machine.state.spent if machine is not None else spec.once and stored.version_count > 0
        return spec.enabled and not spent and not 0 < spec.expires_ns <= now_ns

    def shown(self, stored: StoredRule) -> AlertRule:
        """A rule as it may be shown: without the secrets of its channels."""
        spec = stored.spec
        channels = [masked(url) for url in spec.channels]
        return AlertRule(
            id=stored.id,
            version=stored.version,
            spec=msgspec.structs.replace(spec, channels=channels),
            active=self.is_active(stored),
            since_ns=stored.since_ns,
            created_ns=stored.created_ns,
            trigger_count=stored.trigger_count,
            last_triggered_ns=stored.last_triggered_ns,
            last_value=stored.last_value,
        )

    async def _warnings(self, spec: RuleSpec) -> list[str]:
        names = {InstrumentName.parse(part, "") for one in spec.conditions for part in one.of.split(",")}
        try:
            silent = await self._instruments.silent(names)
        except (nats.errors.Error, TimeoutError, OSError):
            return []
        return [
            f"{one.symbol} does not stream now, so the rule cannot fire: POST /api/v1/stream/start begins it"
            for one in silent
        ]

    @property
    def active_count(self) -> int:
        """Rules at work that can still fire."""
        now_ns = max(self._evaluator.clocks.values(), default=0)
        return sum(
            not one.state.spent and not 0 < one.rule.spec.expires_ns <= now_ns
            for one in self._evaluator.machines.values()
        )

    async def triggered_count(self) -> int | None:
        """Firings of all rules; None while the database is away."""
        try:
            return await self._store.triggered()
        except (SQLAlchemyError, OSError):
            return None
