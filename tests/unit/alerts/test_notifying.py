"""Notifying: URLs that are strange, servers that are slow, services that ask for much."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any

import pytest

from tapestream.alerts import deliveries
from tapestream.alerts.channel import Delivery, DeliveryError, SendOptions
from tapestream.alerts.channels import by_apprise, webhook
from tapestream.alerts.registry import load_channels
from tapestream.alerts.urls import UrlCheck
from tapestream.common.contracts.alerts import AlertEvent

EVENT = AlertEvent(
    id=1, rule_id=1, version=1, ordinal=1, name="n", message="m", severity="info", ts_ns=1, metric="price", of="A@v",
    op=">", actual_value=2.0, threshold_value=1.0, conditions=[], deliveries=[],
)  # fmt: skip

with warnings.catch_warnings():  # those of the libraries that apprise loads
    warnings.simplefilter("ignore")
    load_channels()


@asynccontextmanager
async def _dripping(parts: Iterable[bytes]) -> AsyncIterator[str]:
    """URL of a server that answers in pieces."""
    left = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass
        finally:
            writer.close()
            left.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.wait_for(left.wait(), 5)


async def _send(url: str, *, timeout_s: float = 5.0, private: bool = True) -> None:
    options = SendOptions(timeout_s=timeout_s, allow_private=private, secret="")
    await webhook.CHANNEL.send(Delivery(1, url, EVENT, 1), options)


@pytest.mark.parametrize("error", [UnicodeError("x"), ValueError("x"), RuntimeError("x")])
async def test_whatever_a_channel_raises_is_a_failed_try(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken:
        name = "broken"

        async def send(self, *_: Any) -> None:
            raise error

    monkeypatch.setattr(deliveries, "channel_of", lambda _: Broken())
    monkeypatch.setattr(deliveries, "_event", lambda _: EVENT)
    options = SendOptions(timeout_s=1, allow_private=True, secret="")
    engine: Any = None
    one = deliveries.Deliveries(engine, options, deadline_s=1, longest_wait_s=1)
    found = await one._try("x://y", SimpleNamespace(id=1, attempts=0))
    assert isinstance(found, DeliveryError)
    assert str(found) == type(error).__name__
    assert found.is_final is isinstance(error, ValueError)


async def test_a_host_that_cannot_be_a_name_fails_for_good() -> None:
    with pytest.raises(DeliveryError) as caught:
        await _send("http://a..b/")
    assert caught.value.is_final


async def test_names_are_sent_in_their_ascii_form(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def resolve(host: str, port: int, *, allow_private: bool) -> str:
        asked.append(host)
        return "127.0.0.1"

    monkeypatch.setattr(webhook, "resolve", resolve)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await _send(f"http://bücher.example:{port}/x")
    assert asked == ["xn--bcher-kva.example"]
    assert f"\r\nhost: xn--bcher-kva.example:{port}\r\n".encode() in heads[0].lower()


async def test_a_body_is_not_waited_for() -> None:
    parts = chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\nx\r\n", 90))
    async with _dripping(parts) as url:
        await _send(url, timeout_s=1)


async def test_the_time_limit_is_of_the_whole_try() -> None:
    async with _dripping(bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n") as url:
        with pytest.raises(DeliveryError, match="within"):
            await _send(url, timeout_s=0.4)


def test_authorities_are_read_once() -> None:
    assert webhook._tls() is webhook._tls()


def test_a_url_cannot_lengthen_a_service_s_time_limits() -> None:
    usual = by_apprise._instance("json://example.com/")
    asked = by_apprise._instance("json://example.com/?rto=900&cto=900")
    assert usual is not None
    assert asked is not None
    assert asked.request_timeout == usual.request_timeout


@pytest.mark.parametrize(
    "url",
    [
        "https://a..b/", "https://ü..de/", f"https://{'a' * 70}.de/", "https://example.com/\x00",
        "https://example.com/\ud800", "json://example.com/\n", "rsyslog://example.com", "syslog://", "RSYSLOG://a.de",
    ],
)  # fmt: skip
def test_urls_that_cannot_be_notified_are_refused(url: str) -> None:
    assert UrlCheck(allow_private=False).fault(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://bücher.de/x",
        "https://example.com:8443/a?b=c",
        "https://[2606:4700::1111]/",
        "json://example.com",
    ],
)
def test_others_are_not(url: str) -> None:
    assert UrlCheck(allow_private=False).fault(url) is None


async def test_services_that_look_names_up_past_us_are_not_called() -> None:
    options = SendOptions(timeout_s=1, allow_private=False, secret="")
    with pytest.raises(DeliveryError) as caught:
        await by_apprise.CHANNEL.send(Delivery(1, "rsyslog://127.0.0.1", EVENT, 1), options)
    assert caught.value.is_final
