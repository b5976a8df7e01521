"""Notifications: signed, tried again, never in each other's way, and not into the own network."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tapestream.alerts.masking import masked
from tapestream.common.contracts.alerts import AlertCreate, AlertHistoryQuery
from tapestream.common.supervisor.ports import free_port
from tests.integration.alerts.rig import Rig
from tests.support.alert_cases import SECOND

pytestmark = pytest.mark.integration
OF = "BTCUSDT@binance_usdm"
T0 = 1_723_161_600 * SECOND
SECRET = "a shared secret"


class Hook:
    """A web server that takes notes."""

    def __init__(self, status: int = 200, location: str = "") -> None:
        self.status, self.location = status, location
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield f"http://127.0.0.1:{port}/hook/token"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((headers, body))
        location = f"Location: {self.location}\r\n" if self.location else ""
        writer.write(
            f"HTTP/1.1 {self.status} x\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


async def _rule(rig: Rig, *channels: str) -> dict[str, Any]:
    rule = {"metric": "price", "symbol": "BTCUSDT", "op": ">", "value": 100, "channels": list(channels)}
    return await rig.ask("create", AlertCreate(rule=rule))


def _swing(rig: Rig, count: int, first: int = 1) -> None:
    """So many times above, and back."""
    for number in range(first, first + 2 * count):
        price = 101.0 if number % 2 else 99.0
        rig.publish([("trade", OF, number, T0 + number * SECOND, price, "MARKET")])


async def _states(rig: Rig) -> dict[str, list[str]]:
    reply = await rig.ask("history", AlertHistoryQuery(limit=100))
    found: dict[str, list[str]] = {}
    for event in reply["events"]:
        for delivery in event["deliveries"]:
            found.setdefault(delivery["channel"], []).append(delivery["state"])
    return found


async def test_a_dead_one_delays_nobody_and_gets_its_own_when_it_is_back(rig: Rig) -> None:
    hook, dead, dead_port = Hook(), Hook(), free_port()
    await rig.start(ALERT_WEBHOOK_SECRET=SECRET, ALERT_DELIVERY_LONGEST_WAIT_S="0.2")
    async with hook.listening(free_port()) as url:
        await _rule(rig, url, f"http://127.0.0.1:{dead_port}/hook/token", url.replace("http", "json"))
        _swing(rig, 3)

        async def delivered() -> bool:
            return len(hook.requests) == 6

        await rig.eventually("both ways to the living one, three times each", delivered)
        waiting = (await _states(rig))[masked(f"http://127.0.0.1:{dead_port}/hook/token")]
        assert waiting == ["waiting"] * 3
        rig.kill()
        await rig.start(ALERT_WEBHOOK_SECRET=SECRET, ALERT_DELIVERY_LONGEST_WAIT_S="0.2")
        async with dead.listening(dead_port):

            async def caught_up() -> bool:
                return all(
                    state == "delivered" for states in (await _states(rig)).values() for state in states
                )

            await rig.eventually("the dead one has got all", caught_up)
    ids = [headers["x-tapestream-delivery"] for headers, _ in dead.requests]
    assert ids == sorted(set(ids), key=int), "each once, in order"
    for headers, body in dead.requests:
        fields = dict(part.split("=") for part in headers["x-tapestream-signature"].split(","))
        wanted = hmac.new(SECRET.encode(), f"{fields['t']}.".encode() + body, hashlib.sha256).hexdigest()
        assert fields["v1"] == wanted
    assert [json.loads(body)["actual_value"] for _, body in dead.requests] == [101.0] * 3
    assert "token" not in rig.log


async def test_redirects_are_not_followed(rig: Rig) -> None:
    target = Hook()
    await rig.start(ALERT_DELIVERY_DEADLINE_S="0.001")
    async with target.listening(free_port()) as secret_url:
        hook = Hook(302, secret_url)
        async with hook.listening(free_port()) as url:
            await _rule(rig, url)
            _swing(rig, 1)

            async def failed() -> bool:
                return list((await _states(rig)).values()) == [["failed"]]

            await rig.eventually("given up", failed)
    assert hook.requests
    assert not target.requests


async def test_private_addresses_are_refused(rig: Rig) -> None:
    hook = Hook()
    await rig.start(ALERT_WEBHOOK_PRIVATE="false", ALERT_DELIVERY_DEADLINE_S="0.001")
    for url in (
        "http://127.0.0.1:9/x",
        "http://localhost:9/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "json://192.168.0.1/x",
    ):
        reply = await _rule(rig, url)
        assert [one["field"] for one in reply["faults"]] == ["channels.0"], url
        assert "ALERT_WEBHOOK_PRIVATE" in reply["faults"][0]["allowed"]
    # a rule of a time when it was allowed: the address is looked at again at each try
    async with hook.listening(free_port()) as url:
        rig.kill()
        await rig.start(ALERT_WEBHOOK_PRIVATE="true")
        await _rule(rig, url, url.replace("http", "json"))
        rig.kill()
        await rig.start(ALERT_WEBHOOK_PRIVATE="false", ALERT_DELIVERY_DEADLINE_S="0.001")
        _swing(rig, 1)

        async def failed() -> bool:
            return sorted((await _states(rig)).values()) == [["failed"], ["failed"]]

        await rig.eventually("given up", failed)
    assert not hook.requests
