"""The guard alone."""

from __future__ import annotations

import pytest

from tapestream.gateway.security import Guard, Head
from tapestream.gateway.settings import GatewaySettings, is_loopback


def guard(**settings: object) -> Guard:
    return Guard(GatewaySettings(_env_file=None, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_loopback_names_are_ours(host: str) -> None:
    assert guard().refuse(Head("/symbols", "GET", host)) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil:1", "192.168.1.5:8000"]
)
def test_other_names_are_not(host: str) -> None:
    refusal = guard().refuse(Head("/symbols", "GET", host))
    assert refusal is not None
    assert refusal.status == 421


@pytest.mark.parametrize(
    ("method", "origin", "allowed"),
    [
        ("POST", "", True),
        ("POST", "http://localhost:8000", True),
        ("POST", "http://localhost:3000", True),
        ("POST", "http://localhost:9999", False),
        ("POST", "null", False),
        ("WEBSOCKET", "http://evil.example", False),
        ("WEBSOCKET", "", True),
        ("GET", "http://evil.example", True),  # CORS keeps the answer from the page
    ],
)
def test_origins(method: str, origin: str, allowed: bool) -> None:
    refusal = guard().refuse(Head("/stream/start", method, "localhost:8000", origin))
    assert (refusal is None) is allowed


def test_a_token_is_asked_for_beyond_loopback_whatever_the_host_says() -> None:
    wide = guard(host="0.0.0.0", api_token="tok")

    assert wide.refuse(Head("/symbols", "GET", "any.example", api_key="tok")) is None
    assert wide.refuse(Head("/symbols", "GET", "any.example", authorization="bearer tok")) is None
    assert wide.refuse(Head("/ws", "WEBSOCKET", "any.example", query="token=tok")) is None
    assert wide.refuse(Head("/health/ready", "GET", "10.0.0.1:8000")) is None
    for head in (
        Head("/symbols", "GET", "any.example"),
        Head("/symbols", "GET", "any.example", query="token=tok"),
        Head("/healthy", "GET", "any.example"),
        Head("/ws", "WEBSOCKET", "any.example", query="token=to"),
        Head("/symbols", "GET", "any.example", api_key="t\u00f6k"),
    ):
        refusal = wide.refuse(head)
        assert refusal is not None
        assert refusal.status == 401


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "example.org", ""))
