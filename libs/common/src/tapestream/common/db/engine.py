"""Connections to Postgres that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tapestream.common.backoff import full_jitter
from tapestream.common.db.faults import describe, is_passing
from tapestream.common.db.url import libpq_url, sqlalchemy_url

log = structlog.get_logger(__name__)

_KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""A server that vanished without a word is noticed within about a quarter of a minute."""
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 1.0

Report = Callable[[str], None]


async def connect(
    url: str, application: str, *, waiting: Report | None = None, autocommit: bool = True
) -> AsyncConnection:
    """A connection of one's own, waiting for as long as the server is away.

    ``waiting`` is told what is wrong at each failed try. Raises psycopg.Error where waiting cannot
    help, such as a wrong password, and SettingsError for a wrong URL.
    """
    target, delays = libpq_url(url), full_jitter(_FIRST_DELAY_S, _LONGEST_DELAY_S)
    while True:
        try:
            return await AsyncConnection.connect(
                target, autocommit=autocommit, application_name=application, connect_timeout=5, **_KEEPALIVE
            )
        except (psycopg.Error, OSError) as error:
            if not is_passing(error):
                raise
            if waiting is not None:
                waiting(describe(error))
            await asyncio.sleep(next(delays))


def make_engine(url: str, application: str, *, size: int = 5) -> AsyncEngine:
    """A pool for SQLModel queries and the functions of :mod:`.history`; it connects at first use.

    A connection that died with the server is noticed and replaced before it is handed out.
    """
    return create_async_engine(
        sqlalchemy_url(url),
        pool_size=size,
        max_overflow=size,
        pool_pre_ping=True,
        pool_timeout=5,
        connect_args={"application_name": application, "connect_timeout": 5, **_KEEPALIVE},
    )
