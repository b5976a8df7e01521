"""What rules and firings look like over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapestream.common.contracts.alerts import (
    AlertDelivery,
    AlertEvent,
    AlertRule,
    AlertTestReply,
    ConditionSpec,
    FiredCondition,
)
from tapestream.gateway.core.alert_frames import shown_pair
from tapestream.gateway.core.times import ALLOWED_TIME, iso_utc
from tapestream.gateway.schemas import Page

Severity = Literal["info", "warning", "critical"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Duration = Annotated[str, Field(max_length=64)] | Number
MOST_UNKNOWN, MOST_CHARACTERS = 25, 100
"""Unknown fields that are passed on to be refused by name, and how much of each."""
_DURATION = "30s, 5m, 1.5h, or a number of seconds"


class ConditionBody(BaseModel):
    """A metric compared with a value."""

    model_config = ConfigDict(extra="allow")

    metric: str | None = Field(
        None,
        max_length=64,
        examples=["price"],
        description="price; open, high, low, close, volume, return of bars; spread, zscore, hedge_ratio, "
        "correlation, adf_pvalue, half_life, radar_rank of a pair; staleness (s), latency (ms)",
    )
    symbol: str | None = Field(
        None, max_length=200, examples=["BTCUSDT"], description="Symbol, or SYMBOL@venue"
    )
    pair: str | None = Field(None, max_length=200, description="A-B, or A,B where a symbol has a hyphen")
    op: str | None = Field(
        None, max_length=16, examples=[">"], description="> < >= <= == crosses_above crosses_below"
    )
    value: Number | None = Field(None, examples=[60000], description="Threshold, in the metric's unit")
    hysteresis: Number | None = Field(
        None, description="How far beyond value the metric must go back before the rule may fire again"
    )
    timeframe: str | None = Field(None, max_length=8, description="Of bars, pairs and the radar")
    bars: Count | None = Field(None, description="Of return: over how many bars")
    window: Count | None = Field(None, description="Of a pair: bars that the figures are computed from")
    method: str | None = Field(
        None, max_length=32, description="Of a pair: ols, huber, theil-sen, kalman, tls"
    )


class ChangeBody(ConditionBody):
    """A rule, or a part of it. Fields of a condition stand for the only one."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    name: str | None = Field(None, max_length=200)
    conditions: list[ConditionBody] | None = Field(None, max_length=20)
    match: Literal["all", "any"] | None = Field(
        None, description="all (the default) or any of the conditions"
    )
    for_: Duration | None = Field(
        None, alias="for", description=f"How long it must hold, in event time: {_DURATION}"
    )
    cooldown: Duration | None = Field(None, description=f"Shortest time between firings: {_DURATION}")
    severity: Severity | None = Field(None, description="warning where left out")
    message: str | None = Field(
        None,
        max_length=1000,
        examples=["{symbol} is at {value}"],
        description="Text; {name} {metric} {symbol} {pair} {op} {threshold} {value} {severity} {timeframe} {time} "
        "{count} are filled in",
    )
    once: Annotated[bool, Field(strict=True)] | None = Field(None, description="Fire one time only")
    expires_at: str | None = Field(
        None, max_length=64, description="ISO 8601 time; fires no more from then on"
    )
    enabled: Annotated[bool, Field(strict=True)] | None = Field(None)
    channels: list[Annotated[str, Field(max_length=2000)]] | None = Field(
        None,
        max_length=20,
        description="Beside the WebSocket: https://… (a signed POST), or any URL of apprise (tgram://, slack://, "
        "discord://, mailto://, ntfy://, json://, …)",
    )


class RuleBody(ChangeBody):
    """A rule: one condition (``metric``, ``symbol`` or ``pair``, ``op``, ``value``), or ``conditions``."""


class PeriodBody(BaseModel):
    """A stored period."""

    start: str | None = Field(
        None, max_length=64, description=f"A day before the end if left out; {ALLOWED_TIME}"
    )
    end: str | None = Field(None, max_length=64, description=f"Now if left out; {ALLOWED_TIME}")
    limit: int = Field(1000, strict=True, ge=1, le=10_000, description="Firings that are listed at most")


class TestBody(PeriodBody):
    """A rule that is not saved, and a stored period."""

    rule: RuleBody


class ConditionInfo(BaseModel):
    """One condition."""

    model_config = ConfigDict(extra="allow")

    metric: str
    pair: str = Field(description="The symbol, or the pair as A-B")
    op: str
    operator: str = Field(description="The same as op")
    value: float
    hysteresis: float


class AlertInfo(BaseModel):
    """A rule, with the fields of its first condition beside it."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    id: int
    name: str
    metric: str
    pair: str
    op: str
    operator: str
    value: float
    active: bool = Field(description="Can fire: enabled, not expired, not spent")
    enabled: bool
    trigger_count: int
    last_triggered: str | None = Field(description="Event time of the last firing")
    last_value: float | None
    conditions: list[ConditionInfo]
    match: str
    for_: str = Field(alias="for")
    cooldown: str
    severity: str
    message: str
    once: bool
    recurring: bool
    expires_at: str | None
    channels: list[str] = Field(description="Without their secrets")
    version: int = Field(description="Raised by each edit, which begins the rule anew")
    since: str = Field(description="Messages count from this server time on")
    created_at: str
    warnings: list[str] = []


class AlertPage(Page):
    items: list[AlertInfo]
    alerts: list[AlertInfo] = Field(description="The same as items")


class DeliveryInfo(BaseModel):
    """What became of notifying a channel."""

    channel: str
    state: str = Field(description="waiting, delivered or failed")
    attempts: int
    last_error: str
    next_attempt_at: str | None
    delivered_at: str | None


class FiredConditionInfo(BaseModel):
    metric: str
    pair: str
    op: str
    threshold_value: float
    actual_value: float | None
    holds: bool


class AlertEventInfo(BaseModel):
    """A firing."""

    id: int
    alert_id: int
    version: int
    ordinal: int = Field(description="Counted within this version of the rule")
    name: str
    message: str
    severity: str
    ts: str = Field(description="Event time")
    metric: str
    pair: str
    operator: str
    actual_value: float | None
    threshold_value: float
    conditions: list[FiredConditionInfo]
    deliveries: list[DeliveryInfo]


class AlertHistoryPage(Page):
    items: list[AlertEventInfo]
    history: list[AlertEventInfo] = Field(description="The same as items")


class DeletedAlert(BaseModel):
    status: str = "deleted"
    id: int


class WouldFire(BaseModel):
    ts: str
    message: str
    metric: str
    pair: str
    actual_value: float | None
    threshold_value: float


class TestedAlert(BaseModel):
    """When a rule would have fired."""

    start: str
    end: str
    count: int
    firings: list[WouldFire]
    truncated: bool = Field(description="Not everything was evaluated or listed; warnings say what")
    evaluated_to: str
    events: int = Field(description="Stored trades, bars and signals that were evaluated")
    warnings: list[str]


def sent(body: ChangeBody) -> dict[str, Any]:
    """The fields that a client has written. What we do not know is named, for the answer that refuses it."""
    values = body.model_dump(
        by_alias=True, exclude_unset=True, exclude=set(body.model_extra or ()) | {"conditions"}
    )
    if "conditions" in body.model_fields_set:
        values["conditions"] = body.conditions and [_condition_sent(one) for one in body.conditions]
    return values | _unknown(body)


def _condition_sent(one: ConditionBody) -> dict[str, Any]:
    return one.model_dump(exclude_unset=True, exclude=set(one.model_extra or ())) | _unknown(one)


def _unknown(body: ConditionBody) -> dict[str, Any]:
    """Fields that are not of the schema, short enough for any message."""
    extra = list((body.model_extra or {}).items())[:MOST_UNKNOWN]
    return {_short(key): _plain(value) for key, value in extra}


def _plain(value: Any) -> Any:
    """A value that fits any message."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and abs(value) < 1 << 53:
        return value
    return _short(value if isinstance(value, str) else repr(value))


def _short(text: str) -> str:
    """The beginning of a text, without halves of surrogate pairs."""
    return text[:MOST_CHARACTERS].encode("utf-8", "replace").decode()


def _condition(one: ConditionSpec, venue: str) -> dict[str, Any]:
    needed = {key: getattr(one, key) for key in ("timeframe", "bars", "window", "method")}
    return {
        "metric": one.metric,
        "pair": shown_pair(one.of, venue),
        "op": one.op,
        "operator": one.op,
        "value": one.value,
        "hysteresis": one.hysteresis,
    } | {key: value for key, value in needed.items() if value}


def rule_values(rule: AlertRule, venue: str) -> dict[str, Any]:
    """A rule as it is shown outside."""
    spec = rule.spec
    conditions = [_condition(one, venue) for one in spec.conditions]
    return {
        "id": rule.id,
        "name": spec.name,
        **conditions[0],
        "active": rule.active,
        "enabled": spec.enabled,
        "trigger_count": rule.trigger_count,
        "last_triggered": _iso(rule.last_triggered_ns),
        "last_value": rule.last_value,
        "conditions": conditions,
        "match": spec.match,
        "for": _seconds(spec.for_ns),
        "cooldown": _seconds(spec.cooldown_ns),
        "severity": spec.severity,
        "message": spec.message,
        "once": spec.once,
        "recurring": not spec.once,
        "expires_at": _iso(spec.expires_ns),
        "channels": spec.channels,
        "version": rule.version,
        "since": iso_utc(rule.since_ns),
        "created_at": iso_utc(rule.created_ns),
    }


def event_values(event: AlertEvent, venue: str) -> dict[str, Any]:
    """A firing as it is shown outside."""
    return {
        "id": event.id,
        "alert_id": event.rule_id,
        "version": event.version,
        "ordinal": event.ordinal,
        "name": event.name,
        "message": event.message,
        "severity": event.severity,
        "ts": iso_utc(event.ts_ns),
        "metric": event.metric,
        "pair": shown_pair(event.of, venue),
        "operator": event.op,
        "actual_value": event.actual_value,
        "threshold_value": event.threshold_value,
        "conditions": [_fired(one, venue) for one in event.conditions],
        "deliveries": [_delivery(one) for one in event.deliveries],
    }


def test_values(reply: AlertTestReply, start_ns: int, end_ns: int, venue: str) -> TestedAlert:
    """A back-test as it is shown outside."""
    return TestedAlert(
        start=iso_utc(start_ns),
        end=iso_utc(end_ns),
        count=reply.count,
        firings=[
            WouldFire(
                ts=iso_utc(one.ts_ns),
                message=one.message,
                metric=one.metric,
                pair=shown_pair(one.of, venue),
                actual_value=one.actual_value,
                threshold_value=one.threshold_value,
            )
            for one in reply.firings
        ],
        truncated=reply.truncated,
        evaluated_to=iso_utc(reply.evaluated_to_ns),
        events=reply.events,
        warnings=reply.warnings,
    )


def _fired(one: FiredCondition, venue: str) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "pair": shown_pair(one.of, venue),
        "op": one.op,
        "threshold_value": one.threshold_value,
        "actual_value": one.actual_value,
        "holds": one.holds,
    }


def _delivery(one: AlertDelivery) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "state": one.state,
        "attempts": one.attempts,
        "last_error": one.last_error,
        "next_attempt_at": _iso(one.next_attempt_ns),
        "delivered_at": _iso(one.delivered_ns),
    }


def _iso(ts_ns: int) -> str | None:
    return iso_utc(ts_ns) if ts_ns else None


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:.9f}".rstrip("0").rstrip(".") + "s"
