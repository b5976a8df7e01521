"""Rules and history in Postgres."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from tapestream.alerts.masking import masked
from tapestream.common.contracts.alerts import (
    AlertDelivery,
    AlertEvent,
    AlertHistoryQuery,
    AlertListQuery,
    FiredCondition,
    RuleSpec,
)

_COLUMNS = """id, version, spec::text, since_ns, (extract(epoch FROM created_at) * 1000000)::int8 * 1000,
    trigger_count, version_count, coalesce((extract(epoch FROM last_triggered) * 1000000)::int8 * 1000, 0),
    last_value"""
_RULE = f"SELECT {_COLUMNS} FROM alert_rules"  # noqa: S608 - our own words
_EVENTS = """SELECT id, rule_id, version, ordinal, name, message, severity, ts_ns, metric, instruments, op,
    actual_value, threshold_value, conditions::text FROM alert_events"""
_DELIVERIES = """SELECT event_id, url, state, attempts, last_error,
    coalesce((extract(epoch FROM next_attempt_at) * 1000000)::int8 * 1000, 0),
    coalesce((extract(epoch FROM delivered_at) * 1000000)::int8 * 1000, 0)
    FROM alert_deliveries WHERE event_id = ANY(:ids) ORDER BY id"""


class StoredRule(NamedTuple):
    """A row of ``alert_rules``."""

    id: int
    version: int
    spec: RuleSpec
    since_ns: int
    created_ns: int
    trigger_count: int
    version_count: int
    last_triggered_ns: int
    last_value: float | None


class Store:
    """Reads and writes; all raise sqlalchemy errors while the server is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    # --- rules

    async def rules(self) -> list[StoredRule]:
        """All of them."""
        return await self._rules(f"{_RULE} ORDER BY id", {})

    async def rule(self, rule_id: int) -> StoredRule | None:
        found = await self._rules(f"{_RULE} WHERE id = :id", {"id": rule_id})
        return found[0] if found else None

    async def count(self) -> int:
        async with self.engine.connect() as connection:
            return (await connection.execute(sa.text("SELECT count(*) FROM alert_rules"))).scalar() or 0

    async def create(self, spec: RuleSpec) -> StoredRule:
        """A new rule, which counts from now on."""
        query = f"""INSERT INTO alert_rules (version, name, spec, since_ns, created_at, trigger_count, version_count)
            VALUES (1, :name, cast(:spec AS jsonb), :now, now(), 0, 0) RETURNING {_COLUMNS}"""  # noqa: S608
        return await self._written(query, spec, {})

    async def update(self, rule_id: int, version: int, spec: RuleSpec) -> StoredRule | None:
        """Change a rule, which begins anew; None where it is gone, or another version than expected."""
        query = f"""UPDATE alert_rules SET version = version + 1, name = :name, spec = cast(:spec AS jsonb),
            since_ns = :now, version_count = 0 WHERE id = :id AND version = :version RETURNING {_COLUMNS}"""  # noqa: S608
        return await self._written(query, spec, {"id": rule_id, "version": version})

    async def delete(self, rule_id: int) -> bool:
        async with self.engine.begin() as connection:
            done = await connection.execute(
                sa.text("DELETE FROM alert_rules WHERE id = :id"), {"id": rule_id}
            )
            return done.rowcount > 0

    async def list(self, query: AlertListQuery) -> tuple[list[StoredRule], int]:
        """A page, one rule longer than asked for where there are more, and how many there are in all.

        Whether a rule is active is for the caller to say: expiry is by event time.
        """
        where = "true"
        values: dict[str, Any] = {"after": query.after_id, "limit": query.limit + 1}
        if query.symbol:
            where = """EXISTS (SELECT FROM jsonb_array_elements(spec -> 'conditions') AS one
                WHERE :symbol = ANY(string_to_array(one ->> 'of', ',')))"""
            values["symbol"] = query.symbol
        rules = await self._rules(f"{_RULE} WHERE id > :after AND {where} ORDER BY id LIMIT :limit", values)
        async with self.engine.connect() as connection:
            counted = sa.text(f"SELECT count(*) FROM alert_rules WHERE {where}")  # noqa: S608 - our own words
            total = (await connection.execute(counted, values)).scalar()
        return rules, total or 0

    async def last_event_id(self) -> int:
        async with self.engine.connect() as connection:
            return (await connection.execute(sa.text("SELECT max(id) FROM alert_events"))).scalar() or 0

    async def triggered(self) -> int:
        """Firings of all rules that there are."""
        async with self.engine.connect() as connection:
            query = sa.text("SELECT sum(trigger_count)::int8 FROM alert_rules")
            return (await connection.execute(query)).scalar() or 0

    async def _rules(self, query: str, values: dict[str, Any]) -> list[StoredRule]:
        async with self.engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(sa.text(query), values)]

    async def _written(self, query: str, spec: RuleSpec, values: dict[str, Any]) -> Any:
        values |= {
            "name": spec.name,
            "spec": msgspec.json.encode(spec).decode(),
            "now": time.time_ns(),
        }
        async with self.engine.begin() as connection:
            row = (await connection.execute(sa.text(query), values)).first()
            return None if row is None else _stored(row)

    # --- history

    async def history(self, query: AlertHistoryQuery) -> tuple[list[AlertEvent], bool, int]:
        """Firings, newest first; whether there are more; how many there are in all."""
        conditions = ["true"]
        values: dict[str, Any] = {"limit": query.limit + 1, "before": query.before_id}
        for column, value in (("rule_id =", query.rule_id), ("severity =", query.severity)):
            if value:
                name = column.split()[0]
                conditions.append(f"{column} :{name}")
                values[name] = value
        for sign, name, ns in ((">=", "start", query.start_ns), ("<", "end", query.end_ns)):
            if ns:
                conditions.append(f"ts_ns {sign} :{name}")
                values[name] = ns
        where = " AND ".join(conditions)
        page = f"{_EVENTS} WHERE {where} AND (:before = 0 OR id < :before) ORDER BY id DESC LIMIT :limit"
        async with self.engine.connect() as connection:
            rows = (await connection.execute(sa.text(page), values)).all()
            counted = sa.text(f"SELECT count(*) FROM alert_events WHERE {where}")  # noqa: S608 - our own words
            total = (await connection.execute(counted, values)).scalar() or 0
            ids = [row[0] for row in rows[: query.limit]]
            found = (await connection.execute(sa.text(_DELIVERIES), {"ids": ids})).all()
        deliveries: dict[int, list[AlertDelivery]] = {}
        for event_id, url, state, attempts, error, next_ns, delivered_ns in found:
            deliveries.setdefault(event_id, []).append(
                AlertDelivery(
                    channel=masked(url),
                    state=state,
                    attempts=attempts,
                    last_error=error,
                    next_attempt_ns=next_ns,
                    delivered_ns=delivered_ns,
                )
            )
        events = [
            AlertEvent(
                id=row[0],
                rule_id=row[1],
                version=row[2],
                ordinal=row[3],
                name=row[4],
                message=row[5],
                severity=row[6],
                ts_ns=row[7],
                metric=row[8],
                of=row[9],
                op=row[10],
                actual_value=row[11],
                threshold_value=row[12],
                conditions=msgspec.json.decode(row[13], type=list[FiredCondition]),
                deliveries=deliveries.get(row[0], []),
            )
            for row in rows[: query.limit]
        ]
        return events, len(rows) > query.limit, total


def _stored(row: Any) -> StoredRule:
    return StoredRule(row[0], row[1], msgspec.json.decode(row[2], type=RuleSpec), *row[3:])
