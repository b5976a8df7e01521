"""Firings, from their stream to the clients."""

from __future__ import annotations

from datetime import UTC, datetime

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Incoming
from tapestream.common.bus.live import LiveReader
from tapestream.common.contracts.alerts import AlertFired
from tapestream.common.contracts.messages import decoder
from tapestream.common.contracts.streams import ALERTS
from tapestream.gateway.core.alert_frames import alert_payload
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.seq import Ascending
from tapestream.gateway.gateway import Gateway


class AlertFeed:
    """Each firing goes once to every client that hears alerts."""

    def __init__(self, gateway: Gateway) -> None:
        self._hub, self._venue = gateway.hub, gateway.settings.venue
        self._decode = decoder(AlertFired).decode
        self._seq = Ascending()
        self._last: dict[tuple[int, int], int] = {}
        """Rule and version → ordinal of the last firing."""

    async def run(self, bus: Bus) -> None:
        """Read until cancelled, from now on."""
        reader = LiveReader(
            bus,
            stream=ALERTS,
            filters=[bus.subjects.all_alerts()],
            handle=self._on_fired,
            start=datetime.now(UTC),
        )
        await reader.run()

    def _on_fired(self, incoming: Incoming) -> None:
        fired = self._decode(incoming.data)
        key = fired.rule_id, fired.version
        if fired.ordinal <= self._last.get(key, 0):
            return
        self._last[key] = fired.ordinal
        seq = self._seq.take(incoming.seq, 1)[0]
        self._hub.alert(Bundle(f"alerts:{fired.rule_id}", [alert_payload(fired, self._venue, seq)]))
