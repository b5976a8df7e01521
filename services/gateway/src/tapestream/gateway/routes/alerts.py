"""Users' rules and what they fired."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from tapestream.common.contracts.alerts import (
    AlertChange,
    AlertCreate,
    AlertHistoryQuery,
    AlertHistoryReply,
    AlertListQuery,
    AlertListReply,
    AlertQuery,
    AlertReply,
    AlertTest,
    AlertTestReply,
    Fault,
)
from tapestream.common.contracts.timeframes import DAY_NS
from tapestream.gateway.alert_schemas import (
    AlertHistoryPage,
    AlertInfo,
    AlertPage,
    ChangeBody,
    DeletedAlert,
    PeriodBody,
    RuleBody,
    Severity,
    TestBody,
    TestedAlert,
    event_values,
    rule_values,
    sent,
    test_values,
)
from tapestream.gateway.gateway import Gateway, TheGateway
from tapestream.gateway.params import Cursor, End, Start, known_symbol, period, position_of
from tapestream.gateway.problems import FieldError, ProblemError, responses
from tapestream.gateway.rpc import ask
from tapestream.gateway.schemas import page_response
from tapestream.gateway.traced import TraceParent

router = APIRouter(prefix="/alerts", tags=["alerts"], responses=responses(401, 422, 503, 504))
SERVICE = "alerts"
TEST_TIMEOUT_S = 120.0
RuleId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Id of the rule")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most")]


@router.post("", status_code=201, response_model=AlertInfo, responses=responses(400))
async def create(gateway: TheGateway, traceparent: TraceParent, rule: RuleBody) -> AlertInfo:
    """Make a rule, which counts from now on. One condition may be written without the list around it."""
    reply = await ask(gateway, SERVICE, "create", AlertCreate(rule=sent(rule)), AlertReply, traceparent)
    return _info(gateway, reply)


@router.get("", response_model=AlertPage, responses=responses(404))
async def rules(
    gateway: TheGateway,
    traceparent: TraceParent,
    active: Annotated[bool | None, Query(description="Only those that can fire, or only the others")] = None,
    symbol: Annotated[str | None, Query(max_length=64, description="Only those about this symbol")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Rules, oldest first."""
    name = str(known_symbol(gateway, symbol)) if symbol is not None else ""
    query = AlertListQuery(limit=limit, after_id=position_of(cursor) or 0, active=active, symbol=name)
    reply = await ask(gateway, SERVICE, "list", query, AlertListReply, traceparent)
    _check(reply.error)
    items = [rule_values(one, gateway.settings.venue) for one in reply.rules]
    following = reply.rules[-1].id if reply.has_more else None
    return page_response({}, items, "alerts", following, reply.total)


@router.get("/history", response_model=AlertHistoryPage)
async def history(
    gateway: TheGateway,
    traceparent: TraceParent,
    severity: Annotated[Severity | None, Query(description="Only these")] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Firings of all rules, newest first, with what became of notifying."""
    return await _history(gateway, traceparent, 0, severity, start, end, limit, cursor)


@router.post("/test", responses=responses(400))
async def back_test_unsaved(gateway: TheGateway, traceparent: TraceParent, body: TestBody) -> TestedAlert:
    """When a rule that is not saved would have fired over a stored period."""
    return await _back_test(gateway, traceparent, body, 0, body.rule)


@router.get("/{rule_id}", responses=responses(404))
async def rule(gateway: TheGateway, traceparent: TraceParent, rule_id: RuleId) -> AlertInfo:
    """One rule."""
    reply = await ask(gateway, SERVICE, "get", AlertQuery(id=rule_id), AlertReply, traceparent)
    return _info(gateway, reply, rule_id)


@router.put("/{rule_id}", responses=responses(400, 404))
async def replace(
    gateway: TheGateway, traceparent: TraceParent, rule_id: RuleId, rule: RuleBody
) -> AlertInfo:
    """Write a rule anew: it begins as if it had just been made. A masked channel stays as it is."""
    change = AlertChange(id=rule_id, rule=sent(rule))
    return _info(gateway, await ask(gateway, SERVICE, "update", change, AlertReply, traceparent), rule_id)


@router.patch("/{rule_id}", responses=responses(400, 404))
async def change(
    gateway: TheGateway, traceparent: TraceParent, rule_id: RuleId, rule: ChangeBody
) -> AlertInfo:
    """Change what is named: ``{"enabled": false}``, ``{"value": 2.5}``. The rule begins anew."""
    message = AlertChange(id=rule_id, rule=sent(rule))
    return _info(gateway, await ask(gateway, SERVICE, "patch", message, AlertReply, traceparent), rule_id)


@router.delete("/{rule_id}", responses=responses(404))
async def delete(gateway: TheGateway, traceparent: TraceParent, rule_id: RuleId) -> DeletedAlert:
    """Take a rule away. What it fired stays in the history."""
    reply = await ask(gateway, SERVICE, "delete", AlertQuery(id=rule_id), AlertReply, traceparent)
    _check(reply.error, reply.faults, rule_id if reply.not_found else 0)
    return DeletedAlert(id=rule_id)


@router.get("/{rule_id}/history", response_model=AlertHistoryPage, responses=responses(404))
async def rule_history(
    gateway: TheGateway,
    traceparent: TraceParent,
    rule_id: RuleId,
    start: Start = None,
    end: End = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Firings of one rule, newest first, also of one that was deleted."""
    return await _history(gateway, traceparent, rule_id, None, start, end, limit, cursor)


@router.post("/{rule_id}/test", responses=responses(400, 404))
async def back_test(
    gateway: TheGateway,
    traceparent: TraceParent,
    rule_id: RuleId,
    body: Annotated[PeriodBody | None, Body()] = None,
) -> TestedAlert:
    """When a rule would have fired over a stored period: the last day where none is named."""
    return await _back_test(gateway, traceparent, body or PeriodBody.model_validate({}), rule_id, None)


async def _history(
    gateway: Gateway,
    traceparent: str,
    rule_id: int,
    severity: str | None,
    start: str | None,
    end: str | None,
    limit: int,
    cursor: str | None,
) -> Response:
    start_ns, end_ns = period(start, end)
    query = AlertHistoryQuery(
        limit=limit,
        rule_id=rule_id,
        before_id=position_of(cursor) or 0,
        start_ns=start_ns or 0,
        end_ns=end_ns or 0,
        severity=severity or "",
    )
    reply = await ask(gateway, SERVICE, "history", query, AlertHistoryReply, traceparent)
    _check(reply.error, not_found=rule_id if reply.not_found else 0)
    items = [event_values(one, gateway.settings.venue) for one in reply.events]
    following = reply.events[-1].id if reply.has_more else None
    return page_response({}, items, "history", following, reply.total)


async def _back_test(
    gateway: Gateway, traceparent: str, body: PeriodBody, rule_id: int, rule: RuleBody | None
) -> TestedAlert:
    start_ns, end_ns = period(body.start, body.end)
    end_ns = end_ns if end_ns is not None else time.time_ns()
    start_ns = start_ns if start_ns is not None else max(0, end_ns - DAY_NS)
    message = AlertTest(
        start_ns=start_ns,
        end_ns=end_ns,
        limit=body.limit,
        id=rule_id,
        rule=sent(rule) if rule is not None else {},
    )
    reply = await ask(gateway, SERVICE, "test", message, AlertTestReply, traceparent, TEST_TIMEOUT_S)
    _check(reply.error, reply.faults, rule_id if reply.not_found else 0)
    return test_values(reply, start_ns, end_ns, gateway.settings.venue)


def _info(gateway: Gateway, reply: AlertReply, rule_id: int = 0) -> AlertInfo:
    _check(reply.error, reply.faults, rule_id if reply.not_found else 0)
    assert reply.rule is not None
    return AlertInfo.model_validate(
        rule_values(reply.rule, gateway.settings.venue) | {"warnings": reply.warnings}
    )


def _check(error: str, faults: list[Fault] | None = None, not_found: int = 0) -> None:
    """Turn what a reply says into a problem. Raises ProblemError (404, 422, 503)."""
    if not_found:
        raise ProblemError(
            404,
            f"there is no alert {not_found}",
            field="rule_id",
            value=not_found,
            allowed="an id of GET /api/v1/alerts",
        )
    if faults:
        problem = ProblemError(422, "; ".join(f"{one.field}: {one.detail}" for one in faults))
        problem.errors = [
            FieldError(field=one.field, value=one.value, allowed=one.allowed, detail=one.detail)
            for one in faults
        ]
        raise problem
    if error:
        raise ProblemError(503, f"alerts: {error}", headers={"Retry-After": "1"})
