"""What a client may say on its socket, and Binance's answers. Pure: messages in, an order or an error out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from tapestream.simulators.binance.streams import Route, Stream, allowed_on, parse_stream

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_TEXT_ID = re.compile(r"[A-Za-z0-9_\-]{1,36}")


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed message. ``combined`` is what SET_PROPERTY sets."""

    method: str
    id: int | str | None
    streams: tuple[Stream, ...] = ()
    combined: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that cannot be served, in Binance's words."""

    code: int
    message: str
    id: int | str | None = None

    def reply(self) -> bytes:
        body: dict[str, Any] = {"error": {"code": self.code, "msg": self.message}}
        if self.id is not None:
            body["id"] = self.id
        return msgspec.json.encode(body)


def answer(request_id: int | str | None, result: object) -> bytes:
    return msgspec.json.encode({"result": result, "id": request_id})


def parse_request(route: Route, text: str | bytes, max_streams: int) -> Request | Refusal:
    """Read one message of a client."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refusal(3, "Invalid JSON: expected value at line 1 column 1")
    end = f"at line 1 column {len(text)}"
    if not isinstance(message, dict):
        return Refusal(2, f"Invalid request: invalid type, expected struct Request {end}")
    request_id = message.get("id")
    if not _valid_id(route, request_id):
        kind = "an unsigned integer" if route is not Route.SPOT else "an unsigned integer or a string"
        return Refusal(2, f"Invalid request: request ID must be {kind}")
    if "method" not in message:
        return Refusal(2, f"Invalid request: missing field `method` {end}", request_id)
    method = message["method"]
    if method not in METHODS:
        expected = ", ".join(f"`{known}`" for known in METHODS)
        return Refusal(
            2, f"Invalid request: unknown variant `{method}`, expected one of {expected} {end}", request_id
        )
    params = message.get("params")
    if method == "LIST_SUBSCRIPTIONS":
        return Request(method, request_id)
    if not isinstance(params, list):
        return Refusal(2, f"Invalid request: missing field `params` {end}", request_id)
    if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
        return _streams(route, method, request_id, params, max_streams)
    return _property(method, request_id, params)


def _valid_id(route: Route, value: object) -> bool:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return True
    return route is Route.SPOT and isinstance(value, str) and bool(_TEXT_ID.fullmatch(value))


def _streams(
    route: Route, method: str, request_id: int | str | None, params: list[object], max_streams: int
) -> Request | Refusal:
    if len(params) > max_streams:
        return Refusal(2, "Invalid request: too many parameters", request_id)
    streams: list[Stream] = []
    for name in params:
        stream = parse_stream(route.market, name) if isinstance(name, str) else None
        if stream is None or not allowed_on(route, stream):
            return Refusal(2, "Invalid request: invalid stream", request_id)
        streams.append(stream)
    return Request(method, request_id, tuple(streams))


def _property(method: str, request_id: int | str | None, params: list[object]) -> Request | Refusal:
    if not params or not isinstance(params[0], str):
        return Refusal(2, "Invalid request: property name must be a string", request_id)
    if params[0] != "combined":
        return Refusal(0, "Unknown property", request_id)
    wanted = 1 if method == "GET_PROPERTY" else 2
    if len(params) > wanted:
        return Refusal(2, "Invalid request: too many parameters", request_id)
    if method == "GET_PROPERTY":
        return Request(method, request_id)
    if len(params) < wanted or not isinstance(params[1], bool):
        return Refusal(1, "Invalid value type: expected Boolean", request_id)
    return Request(method, request_id, combined=params[1])
