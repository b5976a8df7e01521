"""Everything that the routes and the WebSocket work with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, cast

from fastapi import Depends, Request

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.errors import NotConnectedError
from tapestream.common.telemetry.health import Health
from tapestream.gateway import metrics
from tapestream.gateway.core.catalog import Catalog
from tapestream.gateway.feed import Feed
from tapestream.gateway.history import History
from tapestream.gateway.market import Memory
from tapestream.gateway.services_seen import ServicesSeen
from tapestream.gateway.settings import GatewaySettings
from tapestream.gateway.signals import Signals
from tapestream.gateway.ws.hub import Hub

VERSION = version("tapestream-gateway")


@dataclass
class Gateway:
    """One process's state. Nothing in it is the truth: the streams, the buckets and Postgres are."""

    settings: GatewaySettings
    subjects: Subjects
    health: Health
    memory: Memory
    hub: Hub
    feed: Feed
    catalog: Catalog
    history: History
    signals: Signals
    services: ServicesSeen = field(default_factory=ServicesSeen)
    started_at: float = field(default_factory=time.monotonic)
    version: str = VERSION
    _bus: Bus | None = None

    @classmethod
    def build(cls, settings: GatewaySettings, subjects: Subjects, health: Health) -> Gateway:
        """Everything but the connections."""
        memory = Memory(settings.venue, settings.tick_buffer_size, settings.bar_buffer_size)
        hub = Hub()
        return cls(
            settings,
            subjects,
            health,
            memory,
            hub,
            Feed(subjects, memory, hub),
            Catalog(settings.venue, settings.available_symbols, settings.max_symbols),
            History(settings.database_address, settings.database_pool_size),
            Signals(settings, memory, hub),
        )

    @property
    def bus(self) -> Bus:
        """The connection to NATS. Raises NotConnectedError before there is one and while it is lost."""
        if self._bus is None or not self._bus.connected.is_set():
            raise NotConnectedError("NATS does not answer")
        return self._bus

    def attach(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def nats_connected(self) -> bool:
        return self._bus is not None and self._bus.connected.is_set()

    def refresh_gauges(self) -> None:
        """Bring the figures up to date that are read, not counted."""
        for memory in self.memory.symbols.values():
            metrics.RING_TRADES.labels(memory.shown).set(len(memory.trades))
            for timeframe, bars in memory.bars.items():
                metrics.RING_BARS.labels(memory.shown, timeframe).set(len(bars))
        for state, count in self.history.pool_state().items():
            metrics.POOL_CONNECTIONS.labels(state).set(count)

    def is_known(self, name: InstrumentName) -> bool:
        """Whether there is such an instrument, now or in memory."""
        return self.catalog.is_known(name) or str(name) in self.memory.symbols


def _gateway_of(request: Request) -> Gateway:
    return cast(Gateway, request.app.state.gateway)


TheGateway = Annotated[Gateway, Depends(_gateway_of)]
"""What a route declares to get it."""
