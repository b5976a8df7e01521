"""Heartbeats of the other processes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.msg import Msg

from tapestream.common.bus.connection import Bus
from tapestream.common.contracts.messages import ServiceStatus, decoder

log = structlog.get_logger(__name__)

FRESH_S = 3.0
"""A process that was silent for longer counts as gone."""
FORGET_S = 300.0
_decode = decoder(ServiceStatus).decode


@dataclass(frozen=True, slots=True)
class Seen:
    status: ServiceStatus
    at: float
    """Monotonic seconds."""

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at

    @property
    def fresh(self) -> bool:
        return self.age_s <= FRESH_S


class ServicesSeen:
    """The last heartbeat of each process, by service and instance."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Seen] = {}

    async def listen(self, bus: Bus) -> None:
        """Subscribe; the client renews the subscription after a reconnect by itself."""
        await bus.nc.subscribe(bus.subjects.all_status(), cb=self._on_message)

    async def _on_message(self, message: Msg) -> None:
        try:
            status = _decode(message.data)
        except msgspec.DecodeError as error:
            log.warning("heartbeat_unreadable", subject=message.subject, error=str(error))
            return
        self._seen[status.service, status.instance] = Seen(status, time.monotonic())

    def all(self) -> list[Seen]:
        """Every process heard of in the last minutes."""
        for key in [key for key, seen in self._seen.items() if seen.age_s > FORGET_S]:
            del self._seen[key]
        return [self._seen[key] for key in sorted(self._seen)]

    def figure(self, service: str, name: str) -> float:
        """A figure of a service's last heartbeat, the sum over its processes; 0 where there is none."""
        found = [seen.status for seen in self._seen.values() if seen.status.service == service and seen.fresh]
        return sum(status.figures.get(name, 0.0) for status in found)

    def problem_of(self, service: str) -> str:
        """Why a service cannot be counted on, empty when it can.

        ``bars`` also matches ``ingest.bars``. One ready process is enough.
        """
        found = [
            seen
            for seen in self._seen.values()
            if service in (seen.status.service, seen.status.service.rpartition(".")[2])
        ]
        fresh = [seen for seen in found if seen.fresh]
        if any(seen.status.ready for seen in fresh):
            return ""
        if fresh:
            detail = "; ".join(f"{name}: {what}" for name, what in fresh[0].status.detail.items())
            return f"not ready ({detail})"
        if found:
            return f"no heartbeat for {min(seen.age_s for seen in found):.0f} s"
        return "never heard of"
