"""The WebSocket in trouble: several processes, NATS away, slow and noisy clients."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from tapestream.common.supervisor.embedded import EmbeddedNats
from tapestream.common.supervisor.ports import free_port
from tests.integration.gateway.conftest import MakeGateway
from tests.integration.gateway.feeder import Feeder
from tests.integration.gateway.proxy import Proxy
from tests.integration.gateway.running import Listener, eventually

pytestmark = pytest.mark.integration


async def test_several_processes_share_a_port_and_agree(
    make_gateway: MakeGateway, feeder: Feeder, symbol: str
) -> None:
    port = free_port()
    for _ in range(2):
        await (await make_gateway(port).start()).memory_ready()
    listeners = [await Listener.open(f"ws://127.0.0.1:{port}/ws") for _ in range(8)]
    for listener in listeners:
        await listener.subscribe(symbols=[symbol])
    for _ in range(20):
        feeder.trades(symbol, 5)

    told = [
        [(frame["id"], frame["seq"]) for frame in await listener.collect("trade", 100)]
        for listener in listeners
    ]
    assert all(one == told[0] for one in told)
    for listener in listeners:
        await listener.close()


async def test_a_reconnect_to_nats_brings_nothing_twice(
    make_gateway: MakeGateway, feeder: Feeder, nats: EmbeddedNats, symbol: str
) -> None:
    async with Proxy(nats.port) as proxy:
        gateway = await (await make_gateway(NATS_URL=f"nats://127.0.0.1:{proxy.port}").start()).memory_ready()
        listener = await Listener.open(gateway.ws_url)
        await listener.subscribe(symbols=[symbol])
        feeder.trades(symbol, 100)
        await listener.collect("trade", 100)

        proxy.cut()
        feeder.trades(symbol, 100)
        frames = await listener.collect("trade", 100, within_s=20)
        assert [frame["id"] for frame in frames] == list(range(101, 201))
        await listener.close()
        gateway.stop()


async def test_trades_published_while_nats_was_away_arrive_in_order(
    make_gateway: MakeGateway, feeder: Feeder, nats: EmbeddedNats, symbol: str
) -> None:
    async with Proxy(nats.port) as proxy:
        gateway = await (await make_gateway(NATS_URL=f"nats://127.0.0.1:{proxy.port}").start()).memory_ready()
        listener = await Listener.open(gateway.ws_url)
        await listener.subscribe(symbols=[symbol])
        await proxy.pause()
        feeder.trades(symbol, 50)
        assert (await gateway.until("/health/nats", 503)).json()["detail"] == "not connected"
        assert (await gateway.until("/stream/status", 503)).json()["title"] == "Service Unavailable"
        feeder.trades(symbol, 50)
        await feeder.drained()
        await proxy.resume()

        frames = await listener.collect("trade", 100, within_s=20)
        assert [frame["id"] for frame in frames] == list(range(1, 101))
        await listener.close()
        gateway.stop()


async def test_a_slow_client_is_conflated_then_cut_and_slows_nobody(
    make_gateway: MakeGateway, feeder: Feeder, symbol: str
) -> None:
    gateway = await (await make_gateway(WS_SLOW_BYTES="65536", WS_SLOW_S="2").start()).memory_ready()
    quick = await Listener.open(gateway.ws_url)
    await quick.subscribe(channels=[f"trades:{symbol}"])
    got: list[int] = []

    async def read_quickly() -> None:
        while True:
            got.append((await quick.until("trade", 30))["id"])

    reading = asyncio.create_task(read_quickly())
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.connect(("127.0.0.1", gateway.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=65536)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = json.dumps({"action": "subscribe", "channels": [f"trades:{symbol}"]}).encode()
    writer.write(bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload)
    writer.transport.pause_reading()

    async def is_cut() -> bool:
        feeder.trades(symbol, 500)
        await feeder.drained()
        return 'tapestream_ws_cut_clients_total{reason="slow"} 1.0' in await gateway.metrics()

    began = time.monotonic()
    await eventually(is_cut, 30)
    assert time.monotonic() - began > 2
    # whoever reads at last finds the reason at the end
    writer.transport.resume_reading()
    rest = b""
    while chunk := await asyncio.wait_for(reader.read(1 << 20), 10):
        rest = (rest + chunk)[-200:]
    assert (1013).to_bytes(2, "big") + b"slow client" in rest
    writer.close()
    await writer.wait_closed()

    total = feeder.last_id[symbol]

    async def has_all() -> bool:
        return got == list(range(1, total + 1))

    await eventually(has_all, 20)
    reading.cancel()
    assert 'tapestream_ws_conflated_frames_total{reason="slow"}' in await gateway.metrics()
    await quick.close()


async def test_too_many_messages_wait_and_too_long_ones_close(
    make_gateway: MakeGateway, feeder: Feeder
) -> None:
    gateway = await (
        await make_gateway(WS_MAX_MESSAGES_PER_S="20", WS_MAX_MESSAGE_BYTES="2048").start()
    ).memory_ready()
    listener = await Listener.open(gateway.ws_url)
    for _ in range(60):
        await listener.say(action="ping")
    assert (await listener.until("error"))["field"] == "rate"
    await listener.collect("pong", 15)
    await listener.socket.send("x" * 5000)
    await asyncio.wait_for(listener.socket.wait_closed(), 5)
    assert listener.socket.close_code == 1009
