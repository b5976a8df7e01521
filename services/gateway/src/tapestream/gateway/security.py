"""Who may ask: the API token, and on loopback the Host and Origin of browsers.

A page of any site can make a browser send requests to this machine. A ``Host`` other than a loopback
name is DNS rebinding; an ``Origin`` other than our own or an allowed one, on a request that changes
something or opens a WebSocket, is cross-site hijacking.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs

from tapestream.gateway.settings import GatewaySettings, is_loopback

OPEN_PATHS = ("/health", "/docs", "/redoc", "/openapi.json", "/asyncapi", "/asyncapi.json")
"""Prefixes of paths that need no token: how we are, and what the API is, which holds no data.

A browser can open the page only so; it asks for the token and sends it as a header, never in an
address, where histories and logs would keep it.
"""
_READING = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Head:
    """What of a request matters here."""

    path: str
    method: str
    """``WEBSOCKET`` for a WebSocket."""
    host: str = ""
    origin: str = ""
    authorization: str = ""
    api_key: str = ""
    query: str = ""


class Guard:
    """Lets requests in or says why not."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._token = settings.api_token.get_secret_value()
        self._on_loopback = settings.on_loopback
        self._own_host = settings.host
        self._origins = set(settings.cors_origins)

    def refuse(self, head: Head) -> Refusal | None:
        """None where the request may go on."""
        if self._on_loopback:
            if not self._is_own_host(head.host):
                return Refusal(
                    421, f"Host {head.host[:100]!r} is not served here; use 127.0.0.1 or localhost"
                )
            if head.method not in _READING and head.origin and not self._is_allowed_origin(head):
                return Refusal(
                    403, f"Origin {head.origin[:100]!r} is not allowed; CORS_ORIGINS lists the allowed ones"
                )
        if self._token and not self._is_open(head) and not self._has_token(head):
            return Refusal(
                401, "a token is needed: Authorization: Bearer …, X-API-Key, or ?token= for a WebSocket"
            )
        return None

    def _is_own_host(self, host: str) -> bool:
        if not host:
            return True  # HTTP/1.0 programs; browsers always send it
        name = host[1 : host.find("]")] if host.startswith("[") else host.rpartition(":")[0] or host
        return is_loopback(name) or name == self._own_host

    def _is_allowed_origin(self, head: Head) -> bool:
        if "*" in self._origins or head.origin in self._origins:
            return True
        return head.origin in {f"http://{head.host}", f"https://{head.host}"}

    @staticmethod
    def _is_open(head: Head) -> bool:
        path = head.path.removeprefix("/api").removeprefix("/v1")
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in OPEN_PATHS)

    def _has_token(self, head: Head) -> bool:
        given = [head.api_key]
        scheme, _, value = head.authorization.partition(" ")
        if scheme.lower() == "bearer":
            given.append(value.strip())
        if head.method == "WEBSOCKET":  # browsers cannot set headers there
            given += parse_qs(head.query).get("token", [])
        expected = self._token.encode()
        return any(secrets.compare_digest(one.encode(), expected) for one in given if one)
