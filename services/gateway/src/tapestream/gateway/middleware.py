"""What wraps every request: names and times it, guards it, takes the trailing slash away."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapestream.common.telemetry.trace import start_trace
from tapestream.gateway import metrics
from tapestream.gateway.problems import problem_response
from tapestream.gateway.security import Guard, Head, Refusal

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestFrame:
    """Outermost: request id, trace, process time, figures; ``/path/`` is ``/path``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope["path"] = path.rstrip("/") or "/"
            scope["raw_path"] = scope["path"].encode()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["traceparent"] = start_trace(headers.get("traceparent"))
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] in (
                "http.response.start",
                "websocket.http.response.start",
                "websocket.accept",
            ):
                status = message.get("status", 101)
                answer = MutableHeaders(scope=message)
                answer["X-Process-Time-ms"] = f"{(time.perf_counter() - began) * 1000:.3f}"
                answer["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if scope["type"] == "http":
                route = getattr(scope.get("route"), "path", "unmatched")
                metrics.REQUEST_SECONDS.labels(_method(scope["method"]), route, str(status)).observe(
                    time.perf_counter() - began
                )
            structlog.contextvars.unbind_contextvars("request_id", "trace_id")


class Gate:
    """Refuses what the guard refuses."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._guard.refuse(head_of(scope))
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await _refuse(refusal, scope, receive, send)


def head_of(scope: Scope) -> Head:
    """The part of a request that the guard looks at."""
    headers = Headers(scope=scope)
    return Head(
        path=scope["path"],
        method=scope["method"] if scope["type"] == "http" else "WEBSOCKET",
        host=headers.get("host", ""),
        origin=headers.get("origin", ""),
        authorization=headers.get("authorization", ""),
        api_key=headers.get("x-api-key", ""),
        query=scope.get("query_string", b"").decode("latin-1"),
    )


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    response = problem_response(refusal.status, refusal.detail, instance=scope["path"], headers=headers)
    if scope["type"] == "http":
        await response(scope, receive, send)
        return
    await receive()  # the connect event
    await send(
        {"type": "websocket.http.response.start", "status": refusal.status, "headers": response.raw_headers}
    )
    await send({"type": "websocket.http.response.body", "body": bytes(response.body)})


def _method(method: str) -> str:
    return method if method in {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} else "other"
