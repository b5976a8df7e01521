"""What is published arrives once and in order at every reader, though the server is killed and stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.durable import FAULTS, DurableReader, OrderBrokenError
from tapestream.common.bus.fold import Incoming
from tapestream.common.bus.live import LiveReader
from tapestream.common.bus.offset import Offset
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.contracts.streams import MARKET
from tapestream.common.supervisor.embedded import EmbeddedNats
from tests.integration.bus.conftest import Connect

pytestmark = pytest.mark.integration
DEADLINE_S = 40.0


@contextlib.asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def publisher_of(bus: Bus) -> ResumingPublisher:
    return ResumingPublisher(bus, stream=MARKET, filters=[bus.subjects.market("trade")], producer="test")


async def until(is_so: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE_S} s: {what}") from None


async def disturb(server: EmbeddedNats, how: str) -> None:
    if how == "killed":
        await asyncio.to_thread(server.kill)
    else:
        await asyncio.to_thread(server.stop)
    await asyncio.sleep(0.2)  # what is published meanwhile waits
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_publisher_and_live_reader_outlive_the_server(
    connect: Connect, server: EmbeddedNats, how: str
) -> None:
    async with connect() as bus:
        subject = bus.subjects.trade("binance_usdm", "BTCUSDT")
        publisher = publisher_of(bus)
        newest, double = 0, 0

        def take(message: Incoming) -> None:
            nonlocal newest, double
            number = int(message.data)
            if number <= newest:
                double += 1  # seen again after the break: told by its number, as trades are by their ids
                return
            assert number == newest + 1, "something is missing"
            newest = number

        reader = LiveReader(bus, stream=MARKET, filters=[bus.subjects.market("trade")], handle=take)
        async with running(publisher.run(), reader.run()):
            await publisher.ready.wait()
            for number in range(1, 3001):
                publisher.put(subject, number, str(number).encode())
                if number == 1500:
                    await until(lambda: newest > 500, "reading has begun")
                    await disturb(server, how)
                if number % 100 == 0:
                    await asyncio.sleep(0.001)
            await until(lambda: newest == 3000, "everything read")
            await publisher.drained()
        state = (await bus.js.stream_info(bus.subjects.stream(MARKET))).state
        assert state.messages == 3000, "nothing stored twice"


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_durable_reader_goes_on_behind_its_position(
    connect: Connect, server: EmbeddedNats, how: str
) -> None:
    async with connect() as bus:
        subject = bus.subjects.trade("binance_usdm", "BTCUSDT")
        publisher = publisher_of(bus)
        reader = DurableReader(bus, stream=MARKET, durable="test", filters=[bus.subjects.market("trade")])
        applied: list[int] = []
        position: Offset | None = None
        rewinds, must_rewind = 0, True
        async with running(publisher.run()):
            await publisher.ready.wait()
            for number in range(1, 2001):
                publisher.put(subject, number, str(number).encode())
            await publisher.drained()
            disturbed = False
            async with asyncio.timeout(DEADLINE_S):
                while len(applied) < 2000:
                    try:
                        if must_rewind:
                            await reader.rewind(position)
                            rewinds, must_rewind = rewinds + 1, False
                        messages = await reader.fetch(0.2, 0.01)
                    except (OrderBrokenError, *FAULTS):
                        must_rewind = True
                        await asyncio.sleep(0.05)
                        continue
                    for message in messages[: len(messages) // 2 + 1]:
                        if int(message.data) > (applied[-1] if applied else 0):
                            applied.append(int(message.data))
                        position = message.offset
                    must_rewind = len(messages) > 1  # as a crash in mid-flush would leave it
                    if len(applied) > 600 and not disturbed:
                        disturbed = True
                        await disturb(server, how)
        await reader.close()
        assert applied == list(range(1, 2001))
        assert rewinds > 2


async def test_few_messages_are_gathered_and_many_are_read_at_once(connect: Connect) -> None:
    async with connect() as bus:
        subject = bus.subjects.trade("binance_usdm", "BTCUSDT")
        publisher = publisher_of(bus)
        reader = DurableReader(bus, stream=MARKET, durable="test", filters=[bus.subjects.market("trade")])
        async with running(publisher.run()):
            await publisher.ready.wait()
            await reader.rewind(None)
            assert await reader.fetch(0.05, 0) == []
            gathering = asyncio.create_task(reader.fetch(10, 0.5))
            for number in range(1, 11):
                publisher.put(subject, number, b"x")
                await asyncio.sleep(0.01)
            assert len(await gathering) == 10, "those that came within the gathering time"
            for number in range(11, 1011):
                publisher.put(subject, number, b"y" * 100)
            await publisher.drained()
            sizes = []
            while sum(sizes) < 1000:
                sizes.append(len(await reader.fetch(1, 0)))
            assert len(sizes) <= 8, sizes
        await reader.close()


async def test_a_refused_connection_says_why(server: EmbeddedNats, connect: Connect) -> None:
    async with connect() as bus:
        wire = await bus.dial("polite", lambda: None)
        wire.close()
        bus._url = f"nats://127.0.0.1:{server.port}".replace("nats://", "tls://")
        with pytest.raises(ConnectionError, match="TLS"):
            await bus.dial("impolite", lambda: None)
