"""The lock of the process that evaluates."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from tapestream.alerts import alone


class Connection:
    """Lives for some pings."""

    def __init__(self, pings: int) -> None:
        self.left, self.is_closed = pings, False

    async def execute(self, _: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise psycopg.OperationalError("gone")

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "PING_S", 0.0)
    monkeypatch.setattr(alone, "LONGEST_S", 0.05)


async def test_after_an_outage_the_lock_is_taken_again() -> None:
    first, second = Connection(3), Connection(1 << 60)
    refusals = 2  # the server has not forgotten the broken connection yet
    taken = asyncio.Event()

    async def reconnect() -> Any:
        return second

    async def take(connection: Any) -> bool:
        nonlocal refusals
        assert connection is second
        refusals -= 1
        if refusals < 0:
            taken.set()
        return refusals < 0

    keeping = asyncio.create_task(alone.keep_lock(first, reconnect, take))  # type: ignore[arg-type]
    await asyncio.wait_for(taken.wait(), 10)
    assert first.is_closed
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert second.is_closed


async def test_where_another_process_was_faster_this_one_ends() -> None:
    first, second = Connection(1), Connection(1)

    async def reconnect() -> Any:
        return second

    async def take(_: Any) -> bool:
        return False

    with pytest.raises(alone.LockLostError):
        await alone.keep_lock(first, reconnect, take)  # type: ignore[arg-type]
    assert second.is_closed
