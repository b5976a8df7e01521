"""The lock that makes this process the one that evaluates."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import psycopg
import structlog
from psycopg import AsyncConnection

log = structlog.get_logger(__name__)

PING_S = 1.0
LONGEST_S = 10.0
"""How long a ping may take, and how long a server may take to forget a connection that broke."""

Take = Callable[[AsyncConnection], Awaitable[bool]]


class LockLostError(Exception):
    """Another process evaluates now: this one must not go on."""


async def keep_lock(
    connection: AsyncConnection, reconnect: Callable[[], Awaitable[AsyncConnection]], take: Take
) -> None:
    """Hold the lock until cancelled; then its connection is closed.

    While the database is away nobody else can take the lock, so evaluating goes on; it is taken again when
    the database is back. Raises LockLostError where another process was faster.
    """
    try:
        while True:
            try:
                async with asyncio.timeout(LONGEST_S):
                    await connection.execute("SELECT 1")
            except (psycopg.Error, TimeoutError, OSError) as error:
                log.warning("lock_connection_lost", error=type(error).__name__)
                await _close(connection)
                connection = await reconnect()
                if not await _taken(connection, take):
                    raise LockLostError("another alerts process evaluates the rules now") from None
            await asyncio.sleep(PING_S)
    finally:
        await _close(connection)


async def _taken(connection: AsyncConnection, take: Take) -> bool:
    deadline = time.monotonic() + LONGEST_S
    while not await take(connection):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(PING_S)
    return True


async def _close(connection: AsyncConnection) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.close()
