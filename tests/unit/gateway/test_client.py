"""One client against a wire of our own: bounded, conflated, cut."""

from __future__ import annotations

import asyncio
import json

from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.pressure import Pressure, Verdict
from tapestream.gateway.core.rate import TokenBucket
from tapestream.gateway.ws.client import TOO_SLOW, Client
from tapestream.gateway.ws.hub import Hub


class Wire:
    """Takes frames apart; ``stuck`` bytes are not read."""

    def __init__(self) -> None:
        self.stuck = 0
        self.frames: list[dict] = []
        self.closed: int | None = None

    def write(self, frames: bytes) -> None:
        while frames:
            length, head = frames[1], 2
            if length == 126:
                length, head = int.from_bytes(frames[2:4], "big"), 4
            self.frames.append(json.loads(frames[head : head + length]))
            frames = frames[head + length :]

    def buffered_bytes(self) -> int:
        return self.stuck

    def close(self, code: int, _reason: str, _linger_s: float) -> None:
        self.closed = code

    def abort(self) -> None:
        raise AssertionError("nobody is aborted here")

    @property
    def values(self) -> list[int]:
        return [frame["n"] for frame in self.frames if "n" in frame]


def make(**options: float) -> tuple[Wire, Client, Hub]:
    hub, wire = Hub(), Wire()
    pressure = Pressure(1000, options.get("slow_s", 10.0))
    client = Client(wire, client_id="c", binary=False, pressure=pressure, tally=hub.tally, wake=hub.wake)
    hub.join(client)
    return wire, client, hub


def value(n: int, key: str = "k") -> Bundle:
    return Bundle(key, [json.dumps({"n": n}).encode()])


async def until(check) -> None:
    async with asyncio.timeout(3):
        while not check():
            await asyncio.sleep(0.005)


async def test_everything_is_written_in_order() -> None:
    wire, client, _ = make()
    for n in range(50):
        client.offer(value(n))
    await until(lambda: len(wire.values) == 50)
    assert wire.values == list(range(50))


async def test_a_slow_client_gets_newest_values_when_it_reads_again() -> None:
    wire, client, _ = make()
    client.offer(value(0))
    await until(lambda: wire.values == [0])
    wire.stuck = 5000
    client.offer(value(1))
    await until(lambda: client.is_slow)
    for n in range(2, 1000):
        client.offer(value(n))
        client.offer(value(-n, "other"))
    assert wire.values == [0, 1]
    wire.stuck = 0
    await until(lambda: len(wire.frames) > 2)

    assert wire.frames[2]["type"] == "conflated"
    assert wire.frames[2]["skipped"] == 2 * 998 - 2
    assert [item["n"] for item in wire.frames[3]["items"]] == [999, -999]
    client.offer(value(5000))
    await until(lambda: wire.values[-1] == 5000)


async def test_who_stays_slow_is_cut_even_when_nothing_comes() -> None:
    wire, client, hub = make(slow_s=0.2)
    wire.stuck = 5000
    client.offer(value(1))
    await until(lambda: wire.closed is not None)
    assert wire.closed == TOO_SLOW
    hub.leave(client)
    assert not hub.clients


async def test_conflation_on_request() -> None:
    wire, client, _ = make()
    client.set_pace(50, None)
    for n in range(100):
        client.offer(value(n))
    await until(lambda: wire.values)
    assert wire.values == [99]
    client.set_pace(0, None)
    client.offer(value(100))
    client.offer(value(101))
    await until(lambda: wire.values == [99, 100, 101])


def test_pressure() -> None:
    pressure = Pressure(1000, 5.0)
    seen = [pressure.judge(unread, now) for unread, now in ((1000, 0), (1001, 1), (500, 2), (250, 3), (2000, 4), (2000, 8), (2000, 9))]  # fmt: skip

    assert seen == [
        Verdict.KEEP_UP, Verdict.CONFLATE, Verdict.CONFLATE, Verdict.KEEP_UP,
        Verdict.CONFLATE, Verdict.CONFLATE, Verdict.CUT,
    ]  # fmt: skip


def test_token_bucket_says_how_long_to_wait() -> None:
    bucket = TokenBucket(10, 2)

    assert [bucket.take(100.0) for _ in range(2)] == [0, 0]
    assert bucket.take(100.0) == 0.1
    assert bucket.take(100.2) == 0
