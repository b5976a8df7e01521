"""The AsyncAPI document: every subject and what travels on it, made from the contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tapestream.common.contracts.alerts import (
    AlertChange,
    AlertCreate,
    AlertFired,
    AlertHistoryQuery,
    AlertHistoryReply,
    AlertListQuery,
    AlertListReply,
    AlertQuery,
    AlertReply,
    AlertTest,
    AlertTestReply,
)
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import (
    BackfillReply,
    BackfillRequest,
    Bar,
    CleanReply,
    CleanRequest,
    Clock,
    Gap,
    KlineBatch,
    Message,
    QuoteBatch,
    ServiceStatus,
    TradeBatch,
)
from tapestream.common.contracts.pair_queries import (
    AdfReply,
    AdfRequest,
    PairReply,
    PairRequest,
    RadarReply,
    RadarRequest,
)
from tapestream.common.contracts.signals import PairSignal, Radar
from tapestream.common.contracts.subjects import Subjects

_REF = "#/components/schemas/{name}"


@dataclass(frozen=True)
class _Entry:
    name: str
    address: str
    message: type[Message]
    action: str = "send"
    """What the system does on it."""
    reply: type[Message] | None = None


def _entries(subjects: Subjects) -> tuple[_Entry, ...]:
    # placeholders pass through the builders in a form that they leave as it is
    venue, symbol = "VENUE", "SYMBOL"
    a, b = InstrumentName("SYMBOLA", "VENUEA"), InstrumentName("SYMBOLB", "VENUEB")
    return (
        _Entry("trades", subjects.trade(venue, symbol), TradeBatch),
        _Entry("lateTrades", subjects.backfill(venue, symbol), TradeBatch),
        _Entry("quotes", subjects.quote(venue, symbol), QuoteBatch),
        _Entry("klines", subjects.kline(venue, symbol), KlineBatch),
        _Entry("clock", subjects.clock(venue), Clock),
        _Entry("bars", subjects.bar("TIMEFRAME", venue, symbol), Bar),
        _Entry("gaps", subjects.gap(venue, symbol), Gap),
        _Entry("pairSignals", subjects.pair_signal("TIMEFRAME", a, b), PairSignal),
        _Entry("pairTicks", subjects.pair_tick("TIMEFRAME", a, b), PairSignal),
        _Entry("radar", subjects.radar("TIMEFRAME"), Radar),
        _Entry("status", subjects.status("SERVICE", "INSTANCE"), ServiceStatus),
        _Entry("backfill", subjects.rpc("ingest", "backfill"), BackfillRequest, "receive", BackfillReply),
        *_alerts(subjects),
        _Entry("clean", subjects.rpc("recorder", "clean"), CleanRequest, "receive", CleanReply),
        _Entry("pair", subjects.rpc("analytics", "pair"), PairRequest, "receive", PairReply),
        _Entry("adf", subjects.rpc("analytics", "adf"), AdfRequest, "receive", AdfReply),
        _Entry("radarQuery", subjects.rpc("analytics", "radar"), RadarRequest, "receive", RadarReply),
    )


def _alerts(subjects: Subjects) -> tuple[_Entry, ...]:
    def asked(verb: str, message: type[Message], reply: type[Message] = AlertReply) -> _Entry:
        return _Entry(f"{verb}Alert", subjects.rpc("alerts", verb), message, "receive", reply)

    return (
        _Entry("alerts", subjects.alert_fired(0).replace(".0", ".RULE"), AlertFired),
        asked("create", AlertCreate),
        asked("update", AlertChange),
        asked("patch", AlertChange),
        asked("get", AlertQuery),
        asked("delete", AlertQuery),
        asked("list", AlertListQuery, AlertListReply),
        asked("history", AlertHistoryQuery, AlertHistoryReply),
        asked("test", AlertTest, AlertTestReply),
    )


def asyncapi_document(subjects: Subjects, version: str) -> dict[str, Any]:
    """An AsyncAPI 3.0 document."""
    entries = _entries(subjects)
    types = list(dict.fromkeys(t for entry in entries for t in (entry.message, entry.reply) if t is not None))
    refs, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    messages = {
        one.__name__: {
            "name": one.__name__,
            "contentType": "application/json",
            "summary": (one.__doc__ or one.__name__).strip().splitlines()[0],
            "payload": ref,
        }
        for one, ref in zip(types, refs, strict=True)
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for entry in entries:
        channels[entry.name] = _channel(entry.address, entry.message)
        operation: dict[str, Any] = {
            "action": entry.action,
            "channel": {"$ref": f"#/channels/{entry.name}"},
            "messages": [{"$ref": f"#/channels/{entry.name}/messages/{entry.message.__name__}"}],
        }
        if entry.reply is not None:
            reply = f"{entry.name}Reply"
            channels[reply] = _channel(None, entry.reply)
            operation["reply"] = {"channel": {"$ref": f"#/channels/{reply}"}}
        operations[entry.name] = operation
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tapestream subjects", "version": version},
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(address: str | None, message: type[Message]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    words = (
        "VENUE",
        "SYMBOL",
        "TIMEFRAME",
        "SERVICE",
        "INSTANCE",
        "RULE",
        "VENUEA",
        "SYMBOLA",
        "VENUEB",
        "SYMBOLB",
    )
    for word in words:
        tokens = address.split(".") if address is not None else []
        if word in tokens:
            address = ".".join(f"{{{word.lower()}}}" if token == word else token for token in tokens)
            parameters[word.lower()] = {}
    channel: dict[str, Any] = {
        "address": address,
        "messages": {message.__name__: {"$ref": f"#/components/messages/{message.__name__}"}},
    }
    return channel | ({"parameters": parameters} if parameters else {})
