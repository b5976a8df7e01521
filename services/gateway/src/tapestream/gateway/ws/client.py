"""One WebSocket client: what waits for it, and how it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tapestream.common.frames import binary_frame, text_frame
from tapestream.common.web.raw_websocket import RawWebSocket
from tapestream.gateway import metrics
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.frames import batch_payload, binary_batch_payload, to_json, to_msgpack
from tapestream.gateway.core.pressure import Pressure, Verdict
from tapestream.gateway.core.subscriptions import Channel
from tapestream.gateway.ws.tally import Tally

TOO_SLOW = 1013
"""Close code "try again later" of the WebSocket registry; the reason says ``slow client``."""
LINGER_S = 5.0
"""How long a client that was told to go may take to read why."""
LOOK_AGAIN_S = 0.05
"""How often a slow client is looked at."""


class Client:
    """Frames wait here until the hub flushes; a slow client waits with newest values only.

    What waits is bounded: below ``Pressure.slow_bytes`` unread bytes everything is handed on at the
    next flush, above it one value per topic is kept.
    """

    def __init__(
        self,
        raw: RawWebSocket,
        *,
        client_id: str,
        binary: bool,
        pressure: Pressure,
        tally: Tally,
        wake: Callable[[Client], None],
        batch_interval_ms: int = 50,
    ) -> None:
        self.raw, self.client_id, self.binary = raw, client_id, binary
        self.channels: dict[str, Channel] = {}
        self.chose_channels = False
        """It has said which channels it wants; until then it hears alerts without asking for them."""
        self.interval_ms: int | None = None
        self.batch = False
        self.queued = False
        """In the hub's list of clients to flush."""
        self.closed = False
        self._pressure, self._tally, self._wake = pressure, tally, wake
        self._batch_interval_ms = batch_interval_ms
        self._wire: list[bytes] = []
        self._items: list[bytes] = []
        self._latest: dict[str, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._was_slow = False
        self._skipped = 0

    @property
    def is_slow(self) -> bool:
        return self._pressure.slow_since is not None

    @property
    def hears_alerts(self) -> bool:
        return not self.chose_channels or "alerts" in self.channels

    def offer(self, bundle: Bundle) -> None:
        """Take data frames for the next flush."""
        if self.interval_ms or self._was_slow:
            self._conflate(bundle)
        elif self.batch:
            self._items.extend(bundle.items(binary=self.binary))
            self._start_timer()
        else:
            self._wire.append(bundle.wire(binary=self.binary))
            self._tally.frames += len(bundle.payloads)
            if not self.queued:
                self._wake(self)

    def tell(self, bundle: Bundle) -> None:
        """Take frames that are neither conflated nor batched: answers, and what a resume brings."""
        self._wire.append(bundle.wire(binary=self.binary))
        self._tally.frames += len(bundle.payloads)
        if not self.queued:
            self._wake(self)

    def say(self, message: dict[str, Any]) -> None:
        """Send one control frame, in order with the data."""
        self.tell(Bundle("", [to_json(message)]))

    def set_pace(self, interval_ms: int | None, batch: bool | None) -> None:
        """Change conflation (``interval_ms`` 0 ends it) and batching; None leaves as it is."""
        self._on_timer()
        if interval_ms is not None:
            self.interval_ms = interval_ms or None
        if batch is not None:
            self.batch = batch

    def flush(self, now: float) -> None:
        """Write what waits, unless the client is too far behind. ``now`` is any growing clock."""
        match self._pressure.judge(self.raw.buffered_bytes(), now):
            case Verdict.CUT:
                self.cut("slow", TOO_SLOW, "slow client: it did not read for too long")
            case Verdict.CONFLATE:
                if not self._was_slow:  # what was taken before belongs to it in full
                    self._was_slow = True
                    self._write_waiting()
                self._wake_later(LOOK_AGAIN_S)
            case Verdict.KEEP_UP:
                if self._was_slow:
                    self._caught_up()
                self._write_waiting()

    def cut(self, reason: str, code: int, text: str) -> None:
        """Close with a code that says why; what it does not read soon is thrown away."""
        if not self.closed:
            self.close()
            metrics.CUT.labels(reason).inc()
            self.raw.close(code, text, LINGER_S)

    def close(self) -> None:
        """Forget everything that waits."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wire.clear()
        self._items.clear()
        self._latest.clear()

    # --- inside

    def _conflate(self, bundle: Bundle) -> None:
        replaced = len(bundle.payloads) - (bundle.key not in self._latest)
        self._latest[bundle.key] = bundle.newest(binary=self.binary)
        if self._was_slow:
            self._skipped += replaced
            self._tally.conflated_slow += replaced
        else:
            self._tally.conflated_asked += replaced
            self._start_timer()

    def _start_timer(self) -> None:
        self._wake_later((self.interval_ms or self._batch_interval_ms) / 1000)

    def _wake_later(self, delay_s: float) -> None:
        if self._timer is None and not self.closed:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.closed:
            return
        if not self._was_slow:
            self._gather()
        if not self.queued:
            self._wake(self)

    def _gather(self) -> None:
        """Turn what was conflated or batched into one frame."""
        items = [*self._items, *self._latest.values()]
        self._items.clear()
        self._latest.clear()
        if not items:
            return
        if len(items) == 1:
            payload = items[0]
        else:
            payload = binary_batch_payload(items) if self.binary else batch_payload(items)
        self._wire.append(binary_frame(payload) if self.binary else text_frame(payload))
        self._tally.frames += 1

    def _caught_up(self) -> None:
        """Say how much was skipped, then give the newest values."""
        notice = to_json({"type": "conflated", "reason": "slow_client", "skipped": self._skipped})
        self._wire.append(binary_frame(to_msgpack(notice)) if self.binary else text_frame(notice))
        self._was_slow, self._skipped = False, 0
        self._gather()

    def _write_waiting(self) -> None:
        wire = self._wire
        if not wire:
            return
        data = wire[0] if len(wire) == 1 else b"".join(wire)
        wire.clear()
        self._tally.bytes += len(data)
        self.raw.write(data)
