"""The lock of the process that evaluates."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tapestream.alerts import alone


async def test_a_lost_connection_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "PING_S", 0.0)
    pings = 0

    class Connection:
        async def execute(self, _: str) -> None:
            nonlocal pings
            pings += 1
            if pings == 3:
                raise psycopg.OperationalError("gone")

    connection: Any = Connection()
    with pytest.raises(alone.LockLostError):
        await alone.watch_lock(connection)
    assert pings == 3
