"""What a process knows about its own state, and the port that tells."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class Health:
    """Components by name; a process is ready when all of them are well."""

    problems: dict[str, str] = field(default_factory=dict)
    _known: set[str] = field(default_factory=set)

    def set(self, component: str, ok: bool, detail: str = "") -> None:
        self._known.add(component)
        if ok:
            self.problems.pop(component, None)
        else:
            self.problems[component] = detail or "not ready"

    @property
    def ready(self) -> bool:
        return not self.problems

    def components(self) -> dict[str, str]:
        """Every component with ``ok`` or what is wrong."""
        return {name: self.problems.get(name, "ok") for name in sorted(self._known)}


class HealthApp:
    """``/health/live`` (204), ``/health/ready`` (200 or 503 naming what is not) and ``/metrics``."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def __call__(self, scope: Scope, _receive: object, send: Send) -> None:
        if scope["type"] != "http":
            return
        match scope["path"].rstrip("/"):
            case "/health/live":
                await _answer(send, 204, b"", "text/plain")
            case "/health/ready":
                body = {
                    "status": "ready" if self._health.ready else "not_ready",
                    "components": self._health.components(),
                }
                status = 200 if self._health.ready else 503
                await _answer(send, status, json.dumps(body).encode(), "application/json")
            case "/metrics":
                await _answer(send, 200, generate_latest(), CONTENT_TYPE_LATEST)
            case _:
                await _answer(
                    send, 404, b"try /health/live, /health/ready or /metrics\n", "text/plain; charset=utf-8"
                )


async def _answer(send: Send, status: int, body: bytes, content_type: str) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class QuietServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the process has one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def health_server(health: Health) -> QuietServer:
    """The server of a process's health and figures; serve it on a socket that is already bound."""
    return QuietServer(
        uvicorn.Config(
            HealthApp(health), log_config=None, access_log=False, lifespan="off", ws="none", http="h11"
        )
    )
