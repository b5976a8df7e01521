"""The way to NATS: a client that is kept alive, and bare connections for what flows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from tapestream.common.bus.wire import Wire, dial
from tapestream.common.contracts.subjects import Subjects

log = structlog.get_logger(__name__)

PENDING_BYTES = 64 << 20
"""What the client may hold while the server is away; publishers bound themselves far below."""


class Bus:
    """A connected NATS client, its JetStream context and the subjects of this system."""

    def __init__(self, subjects: Subjects) -> None:
        self.subjects = subjects
        self.nc = Client()
        self.js: JetStreamContext = self.nc.jetstream(timeout=5)
        self.connected = asyncio.Event()
        self._url, self._name = "", ""

    @classmethod
    async def connect(cls, url: str, name: str, subjects: Subjects) -> Bus:
        """Connect, waiting for as long as the server is not there yet."""
        bus = cls(subjects)
        warned = False
        while True:
            try:
                await bus._open(url, name)
            except (OSError, nats.errors.Error, TimeoutError) as error:
                if not warned:
                    log.warning("nats_unreachable", url=url, error=str(error))
                    warned = True
                await asyncio.sleep(0.2)
            else:
                bus.connected.set()
                return bus

    async def dial(self, purpose: str, on_closed: Callable[[], None]) -> Wire:
        """Another connection, which ends for good when it breaks.

        A client that reconnects sends what it had buffered; messages that were already on the old
        socket are lost, and so those behind them overtake. Who must not reorder dials anew. Raises
        OSError and TimeoutError.
        """
        return await dial(self._url, f"{self._name} {purpose}", on_closed)

    async def _open(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        (await self.dial("trial", lambda: None)).close()  # it says at once what it cannot do
        self.nc = Client()
        await self.nc.connect(
            url,
            name=name,
            connect_timeout=2,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,  # pyright: ignore[reportArgumentType] - it takes fractions
            ping_interval=5,
            max_outstanding_pings=2,
            pending_size=PENDING_BYTES,
            error_cb=self._error,
            disconnected_cb=self._disconnected,
            reconnected_cb=self._reconnected,
        )
        self.js = self.nc.jetstream(timeout=5)

    async def close(self) -> None:
        """Flush what is written and close."""
        if not self.nc.is_closed:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                async with asyncio.timeout(2):
                    await self.nc.flush(2)
            await self.nc.close()

    async def _error(self, error: Exception) -> None:
        log.debug("nats_client_error", error=repr(error))

    async def _disconnected(self) -> None:
        if self.connected.is_set():
            log.warning("nats_disconnected")
        self.connected.clear()

    async def _reconnected(self) -> None:
        log.info("nats_reconnected")
        self.connected.set()
