"""A rule as it is written, for answers and for changes of a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tapestream.alerts.core.body import CONDITION_FIELDS
from tapestream.alerts.core.durations import format_duration
from tapestream.alerts.core.faults import Faults
from tapestream.alerts.core.metric import Metric
from tapestream.common.contracts.alerts import RuleSpec

_NEEDED = ("timeframe", "bars", "window", "method")


def to_body(spec: RuleSpec) -> dict[str, Any]:
    """What a user would write for this rule."""
    conditions: list[dict[str, Any]] = []
    for one in spec.conditions:
        written: dict[str, Any] = {"metric": one.metric, "op": one.op, "value": one.value}
        written["pair" if "," in one.of else "symbol"] = one.of
        written |= {"hysteresis": one.hysteresis} if one.hysteresis else {}
        written |= {key: getattr(one, key) for key in _NEEDED if getattr(one, key)}
        conditions.append(written)
    expires = datetime.fromtimestamp(spec.expires_ns / 1e9, UTC).isoformat() if spec.expires_ns else None
    return {
        "name": spec.name,
        "conditions": conditions,
        "match": spec.match,
        "for": format_duration(spec.for_ns),
        "cooldown": format_duration(spec.cooldown_ns),
        "severity": spec.severity,
        "message": spec.message,
        "once": spec.once,
        "expires_at": expires,
        "enabled": spec.enabled,
        "channels": list(spec.channels),
    }


def merged(body: dict[str, Any], changes: Mapping[str, Any], metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """A rule with some fields changed. Fields of a condition change the only one there is.

    Raises RuleError where there are several.
    """
    flat = {key: value for key, value in changes.items() if key in CONDITION_FIELDS}
    result = body | {key: value for key, value in changes.items() if key not in CONDITION_FIELDS}
    if not flat or "conditions" in changes:
        return result | flat
    if len(body["conditions"]) != 1:
        faults = Faults()
        faults.add(next(iter(flat)), None, "conditions: all of them", "the rule has several conditions")
        faults.check()
    one = body["conditions"][0] | flat
    if "symbol" in flat or "pair" in flat:
        one.pop("pair" if "symbol" in flat else "symbol", None)
    metric = metrics.get(str(one.get("metric")).lower())
    if metric is not None and "metric" in flat:  # what only the metric before it had goes with it
        one = {k: v for k, v in one.items() if k not in _NEEDED or k in metric.needs or k in flat}
    return result | {"conditions": [one]}
