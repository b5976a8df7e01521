"""Users' rules, what they fired, and the requests about them, version 1."""

# ruff: noqa: RUF012 - msgspec copies empty defaults

from __future__ import annotations

from typing import Any

import msgspec

from tapestream.common.contracts.messages import Message


class ConditionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One condition: a metric of an instrument or a pair, compared with a value in the metric's unit."""

    metric: str
    of: str
    """``SYMBOL@venue``, or two with a comma between for a metric of a pair."""
    op: str
    """``>`` ``<`` ``>=`` ``<=`` ``==`` ``crosses_above`` ``crosses_below``."""
    value: float
    hysteresis: float = 0.0
    """How far beyond the value the metric must go back before the rule may fire again."""
    timeframe: str = ""
    """Of metrics of bars, pairs and the radar."""
    bars: int = 0
    """Of ``return``: over how many bars."""
    window: int = 0
    """Of metrics of a pair: bars that the figures are computed from."""
    method: str = ""
    """Of metrics of a pair: how the hedge ratio is estimated."""


class RuleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a user decides about a rule. Durations are of event time."""

    name: str
    conditions: list[ConditionSpec]
    match: str = "all"
    """``all`` or ``any`` of the conditions."""
    for_ns: int = 0
    """How long it must hold without a break before the rule fires."""
    cooldown_ns: int = 0
    """Shortest time between two firings."""
    severity: str = "warning"
    """``info``, ``warning`` or ``critical``."""
    message: str = ""
    """Template with ``{name}``, ``{metric}``, ``{symbol}``, ``{op}``, ``{threshold}``, ``{value}``, …; empty
    for the usual text."""
    once: bool = False
    """Fires one time only, until it is edited."""
    expires_ns: int = 0
    """From this event time on it fires no more; 0 for never."""
    enabled: bool = True
    channels: list[str] = []
    """URLs to notify, beside the WebSocket. They may hold secrets."""


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is kept; the secrets in its channels are masked."""

    id: int
    version: int
    """Raised by one by each edit, which begins the rule anew."""
    spec: RuleSpec
    active: bool
    """Enabled, not expired, and not spent where it fires once."""
    since_ns: int
    """Server time from which on messages count for it: its creation or last edit."""
    created_ns: int
    trigger_count: int
    """Firings that are in the history, over all its versions."""
    last_triggered_ns: int
    """Event time; 0 before the first."""
    last_value: float | None = None


class ConditionState(msgspec.Struct, array_like=True):
    """What a rule knows of one of its conditions."""

    holds: bool = False
    cleared: bool = False
    """It is false by more than the hysteresis."""
    crossed_from: bool = False
    """For crosses: the metric has been on the side that it must come from."""
    value: float | None = None
    """The metric's newest value that was looked at; None before the first and where it is not defined."""


class RuleState(msgspec.Struct):
    """Where a rule stands. All that is needed to go on with it."""

    conditions: list[ConditionState]
    ordinal: int = 0
    """Firings of this version."""
    latched: bool = False
    """Has fired, and its condition has not cleared since."""
    due_ns: int | None = None
    """Holds, and fires at this event time if it still does."""
    quiet_until_ns: int = 0
    """End of the cooldown."""
    spent: bool = False
    seen: dict[str, int] = {}
    """Source → ordinal of the last event of it that this state has seen."""


class FiredCondition(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a rule at the moment of a firing."""

    metric: str
    of: str
    op: str
    threshold_value: float
    actual_value: float | None
    holds: bool


class AlertFired(Message, frozen=True, kw_only=True):
    """A rule fired: ``alert.fired.<rule_id>``, once for each ordinal of each of its versions."""

    id: int
    """Grows over all rules."""
    rule_id: int
    version: int
    ordinal: int
    """1 for the first firing of this version."""
    name: str
    message: str
    severity: str
    ts_ns: int
    """Event time: when the condition became true, or had been for as long as it must."""
    recv_ns: int
    """When the trades that caused it were received, by the host's clock; 0 where something else did."""
    metric: str
    of: str
    op: str
    actual_value: float | None
    threshold_value: float
    """Of the condition that decided."""
    conditions: list[FiredCondition]
    cause: dict[str, int]
    """Stream → sequence of the last message of it that was read."""
    state: RuleState
    """The rule's state after the firing: a restart goes on from here."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong field of a request."""

    field: str
    value: Any
    allowed: str
    detail: str


class AlertCreate(Message, frozen=True, kw_only=True):
    """``rpc.alerts.create``. Answered with :class:`AlertReply`."""

    rule: dict[str, Any]
    """As the HTTP API takes it; see ``POST /api/v1/alerts``."""


class AlertChange(Message, frozen=True, kw_only=True):
    """``rpc.alerts.update`` (the whole rule) and ``rpc.alerts.patch`` (only what is named)."""

    id: int
    rule: dict[str, Any]


class AlertQuery(Message, frozen=True, kw_only=True):
    """``rpc.alerts.get`` and ``rpc.alerts.delete``."""

    id: int


class AlertReply(Message, frozen=True, kw_only=True):
    """Answer about one rule: the rule, or what was wrong."""

    rule: AlertRule | None = None
    warnings: list[str] = []
    faults: list[Fault] = []
    not_found: bool = False
    error: str = ""
    """Why it cannot be done now."""


class AlertListQuery(Message, frozen=True, kw_only=True):
    """``rpc.alerts.list``: rules by id, oldest first."""

    limit: int
    after_id: int = 0
    active: bool | None = None
    symbol: str = ""
    """Only rules with a condition on this ``SYMBOL@venue``."""


class AlertListReply(Message, frozen=True, kw_only=True):
    rules: list[AlertRule] = []
    has_more: bool = False
    total: int = 0
    error: str = ""


class AlertHistoryQuery(Message, frozen=True, kw_only=True):
    """``rpc.alerts.history``: firings, newest first."""

    limit: int
    rule_id: int = 0
    """0 for all rules."""
    before_id: int = 0
    """Only firings with a lower id; 0 for the newest."""
    start_ns: int = 0
    end_ns: int = 0
    """Event times, the end not included; 0 for open."""
    severity: str = ""


class AlertDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of notifying one channel."""

    channel: str
    """Masked."""
    state: str
    """``waiting``, ``delivered`` or ``failed``."""
    attempts: int
    last_error: str = ""
    next_attempt_ns: int = 0
    delivered_ns: int = 0


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A firing as the history keeps it."""

    id: int
    rule_id: int
    version: int
    ordinal: int
    name: str
    message: str
    severity: str
    ts_ns: int
    metric: str
    of: str
    op: str
    actual_value: float | None
    threshold_value: float
    conditions: list[FiredCondition]
    deliveries: list[AlertDelivery]


class AlertHistoryReply(Message, frozen=True, kw_only=True):
    events: list[AlertEvent] = []
    has_more: bool = False
    total: int = 0
    not_found: bool = False
    error: str = ""


class AlertTest(Message, frozen=True, kw_only=True):
    """``rpc.alerts.test``: when a rule would have fired over a stored period. Of a kept rule, or of one given."""

    start_ns: int
    end_ns: int
    limit: int
    """Firings that are listed at most."""
    id: int = 0
    rule: dict[str, Any] = {}


class WouldFire(msgspec.Struct, frozen=True, kw_only=True):
    """A firing of a back-test."""

    ts_ns: int
    message: str
    actual_value: float | None
    threshold_value: float
    metric: str
    of: str


class AlertTestReply(Message, frozen=True, kw_only=True):
    firings: list[WouldFire] = []
    count: int = 0
    """All of them, also where fewer are listed."""
    events: int = 0
    """Stored trades, bars and signals that were evaluated."""
    truncated: bool = False
    """Not everything was evaluated, or listed: ``evaluated_to_ns`` and ``warnings`` say more."""
    evaluated_to_ns: int = 0
    warnings: list[str] = []
    faults: list[Fault] = []
    not_found: bool = False
    error: str = ""
