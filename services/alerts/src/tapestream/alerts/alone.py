"""The lock that makes this process the one that evaluates."""

from __future__ import annotations

import asyncio

import psycopg
from psycopg import AsyncConnection

PING_S = 1.0
LONGEST_S = 10.0


class LockLostError(Exception):
    """Another process may evaluate now: this one must not go on."""


async def watch_lock(connection: AsyncConnection) -> None:
    """See that the connection which holds the lock lives. Raises LockLostError when it does not."""
    while True:
        try:
            async with asyncio.timeout(LONGEST_S):
                await connection.execute("SELECT 1")
        except (psycopg.Error, TimeoutError, OSError) as error:
            raise LockLostError(f"the lock of the rules is lost: {type(error).__name__}") from None
        await asyncio.sleep(PING_S)
