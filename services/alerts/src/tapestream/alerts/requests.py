"""``rpc.alerts.<verb>``: what others ask of this service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from nats.aio.msg import Msg
from sqlalchemy.exc import SQLAlchemyError

from tapestream.alerts.backtest import BackTest
from tapestream.alerts.core.faults import Faults, RuleError
from tapestream.alerts.pages import fitting
from tapestream.alerts.rules import Rules
from tapestream.alerts.store import Store
from tapestream.common.bus.connection import Bus
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
)
from tapestream.common.contracts.messages import Message, decoder, encode
from tapestream.common.db.faults import describe

log = structlog.get_logger(__name__)

LARGEST_ID = 2**31 - 1
_Handler = Callable[[Any], Awaitable[Message]]


class Requests:
    """Answers one service's verbs; requests are handled side by side."""

    def __init__(self, bus: Bus, rules: Rules, store: Store, back_test: BackTest) -> None:
        self._bus, self._rules, self._store, self._back_test = bus, rules, store, back_test
        self._tasks: set[asyncio.Task[None]] = set()
        self._verbs: dict[str, tuple[type[Message], _Handler, type[Message]]] = {
            "create": (AlertCreate, self._create, AlertReply),
            "update": (AlertChange, lambda asked: self._change(asked, whole=True), AlertReply),
            "patch": (AlertChange, lambda asked: self._change(asked, whole=False), AlertReply),
            "get": (AlertQuery, self._get, AlertReply),
            "delete": (AlertQuery, self._delete, AlertReply),
            "list": (AlertListQuery, self._list, AlertListReply),
            "history": (AlertHistoryQuery, self._history, AlertHistoryReply),
            "test": (AlertTest, self._test, AlertTestReply),
        }

    async def serve(self) -> None:
        """Answer until cancelled."""
        subject = self._bus.subjects.rpc("alerts", "*")
        subscription = await self._bus.nc.subscribe(subject, queue="alerts")
        async for message in subscription.messages:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, message: Msg) -> None:
        found = self._verbs.get(message.subject.rpartition(".")[2])
        if found is None:
            return  # the one who asks hears that nobody answers
        kind, handler, reply = found
        try:
            answer = await handler(decoder(kind).decode(message.data))
        except msgspec.DecodeError as error:
            answer = _wrong(reply, RuleError([*_faults("", None, kind.__name__, str(error))]))
        except RuleError as error:
            answer = _wrong(reply, error)
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            log.warning("request_failed", subject=message.subject, error=describe(cause))
            answer = reply(error=f"the database does not answer: {describe(cause)}")  # type: ignore[call-arg]
        except Exception:
            log.exception("request_crashed", subject=message.subject)
            answer = reply(error="an error of the alerts service; its log knows more")  # type: ignore[call-arg]
        data = encode(answer)
        if len(data) > self._most_bytes:
            log.error("answer_too_long", subject=message.subject, bytes=len(data))
            data = encode(reply(error="the answer is too long for one message"))  # type: ignore[call-arg]
        await message.respond(data)

    @property
    def _most_bytes(self) -> int:
        """How long an answer may be."""
        return self._bus.nc.max_payload

    # --- verbs

    async def _create(self, asked: AlertCreate) -> AlertReply:
        rule, warnings = await self._rules.create(asked.rule)
        return AlertReply(rule=rule, warnings=warnings)

    async def _change(self, asked: AlertChange, *, whole: bool) -> AlertReply:
        if not _is_id(asked.id):
            return AlertReply(not_found=True)
        changed = await self._rules.update(asked.id, asked.rule, whole=whole)
        if changed is None:
            return AlertReply(not_found=True)
        return AlertReply(rule=changed[0], warnings=changed[1])

    async def _get(self, asked: AlertQuery) -> AlertReply:
        stored = await self._store.rule(asked.id) if _is_id(asked.id) else None
        if stored is None:
            return AlertReply(not_found=True)
        return AlertReply(rule=self._rules.shown(stored))

    async def _delete(self, asked: AlertQuery) -> AlertReply:
        done = _is_id(asked.id) and await self._rules.delete(asked.id)
        return AlertReply(not_found=not done)

    async def _list(self, asked: AlertListQuery) -> AlertListReply:
        if asked.active is None:
            found, total = await self._store.list(asked)
            rules = [self._rules.shown(one) for one in found]
        else:  # which are active is known here only
            everything, _ = await self._store.list(AlertListQuery(limit=LARGEST_ID, symbol=asked.symbol))
            rules = [
                self._rules.shown(one) for one in everything if self._rules.is_active(one) is asked.active
            ]
            total = len(rules)
            rules = [one for one in rules if one.id > asked.after_id]
        page = fitting(rules[: asked.limit], self._most_bytes)
        return AlertListReply(rules=page, has_more=len(rules) > len(page), total=total)

    async def _history(self, asked: AlertHistoryQuery) -> AlertHistoryReply:
        if asked.rule_id and not _is_id(asked.rule_id):
            return AlertHistoryReply(not_found=True)
        events, has_more, total = await self._store.history(asked)
        # a rule that was deleted keeps its history
        if asked.rule_id and not total and await self._store.rule(asked.rule_id) is None:
            return AlertHistoryReply(not_found=True)
        page = fitting(events, self._most_bytes)
        return AlertHistoryReply(events=page, has_more=has_more or len(page) < len(events), total=total)

    async def _test(self, asked: AlertTest) -> AlertTestReply:
        if asked.id:
            stored = await self._store.rule(asked.id) if _is_id(asked.id) else None
            if stored is None:
                return AlertTestReply(not_found=True)
            spec = stored.spec
        else:
            spec = self._rules.spec_of(asked.rule)
        rule = self._rules.rule_of(spec)
        found = await self._back_test.run(rule, asked.start_ns, asked.end_ns, asked.limit)
        listed = fitting(found.firings, self._most_bytes)
        if len(listed) == len(found.firings):
            return found
        told = f"only the first {len(listed)} of {found.count} firings are listed: more do not fit into an answer"
        return msgspec.structs.replace(
            found, firings=listed, truncated=True, warnings=[*found.warnings, told]
        )


def _is_id(number: int) -> bool:
    return 0 < number <= LARGEST_ID


def _faults(field: str, value: object, allowed: str, detail: str) -> list[Any]:
    faults = Faults()
    faults.add(field, value, allowed, detail)
    return faults.found


def _wrong(reply: type[Message], error: RuleError) -> Message:
    if reply in (AlertReply, AlertTestReply):
        return reply(faults=error.faults)  # type: ignore[call-arg]
    return reply(error=str(error))  # type: ignore[call-arg]
