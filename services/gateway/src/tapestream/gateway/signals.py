"""Signals of pairs: from the stream to WebSocket clients, and what these want watched into the bucket."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg

from tapestream.common.bus.buckets import bucket_revision, key_subject, remove_key
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Incoming
from tapestream.common.bus.live import LiveReader
from tapestream.common.contracts.instruments import InstrumentName, pair_text
from tapestream.common.contracts.messages import decoder, encode
from tapestream.common.contracts.signals import PairSignal, PairWatch, PairWatches
from tapestream.common.contracts.streams import BUCKET_WATCHES, SIGNALS
from tapestream.common.contracts.subjects import encode_token
from tapestream.gateway.core.bundle import Bundle
from tapestream.gateway.core.pair_views import signal_payload
from tapestream.gateway.core.seq import Ascending
from tapestream.gateway.core.subscriptions import PROVISIONAL, SIGNALS_KIND, SignalSource
from tapestream.gateway.market import Memory
from tapestream.gateway.settings import GatewaySettings
from tapestream.gateway.ws.hub import Hub

log = structlog.get_logger(__name__)

REFRESH_S = 0.1
"""How soon a new subscription is told to analytics."""
AGAIN_S = 30.0
"""Our entry is looked after this often: it may have gone with a bucket that was made anew."""
REMEMBERED = 512
"""Bars of a series by which a signal is recognised that the stream gives again."""
BACK_S = 10.0
_decode = decoder(PairSignal).decode


class Signals:
    """One gateway process's part in the signals."""

    def __init__(self, settings: GatewaySettings, memory: Memory, hub: Hub) -> None:
        self._memory, self._hub = memory, hub
        self._owner = f"gateway-{encode_token(settings.instance)}".replace("%", "=")
        self._seen: dict[SignalSource, dict[int, int]] = {}
        """Series → start of a bar → highest revision handed out."""
        self.seq = Ascending()

    async def run(self, bus: Bus) -> None:
        """Read and tell until cancelled."""
        reader = LiveReader(
            bus,
            stream=SIGNALS,
            filters=[bus.subjects.all_pair_signals()],
            handle=self._on_signal,
            start=datetime.now(UTC) - timedelta(seconds=BACK_S),
        )
        await bus.nc.subscribe(bus.subjects.all_pair_ticks(), cb=self._on_provisional)
        async with asyncio.TaskGroup() as group:
            group.create_task(reader.run())
            group.create_task(self._tell_analytics(bus))

    # --- to the clients

    def _on_signal(self, incoming: Incoming) -> None:
        signal = _decode(incoming.data)
        source = _source(signal)
        seen = self._seen.setdefault(source, {})
        if signal.rev <= seen.get(signal.ts_ns, -1):
            return
        seen[signal.ts_ns] = signal.rev
        if len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        seq = self.seq.take(incoming.seq, 1)[0]
        self._publish(SIGNALS_KIND, source, signal, seq)

    async def _on_provisional(self, message: Msg) -> None:
        try:
            signal = _decode(message.data)
        except msgspec.DecodeError as error:
            log.warning("provisional_signal_unreadable", subject=message.subject, error=str(error))
            return
        self._publish(PROVISIONAL, _source(signal), signal, None)

    def _publish(self, kind: str, source: SignalSource, signal: PairSignal, seq: int | None) -> None:
        shown = self._memory.shown
        pair = pair_text(*(shown(InstrumentName.parse(text, "")) for text in (source.a, source.b)))
        for key in (f"{kind}::{source.text}", f"{kind}::"):
            for topic in self._hub.topics(key):
                payload = signal_payload(topic.channel.frame_type or "signal", pair, signal, seq)
                # complete bars are all wanted; of the running one the newest figures do
                at = f"@{signal.ts_ns}" if signal.complete else ""
                topic.publish(Bundle(f"{topic.key}{source.text}{at}", [payload]))

    # --- to analytics

    async def _tell_analytics(self, bus: Bus) -> None:
        loop = asyncio.get_running_loop()
        looked = -1
        told: list[PairWatch] | None = None
        told_at = 0.0
        while True:
            is_due = loop.time() - told_at > AGAIN_S
            if self._hub.changes != looked or is_due:
                changes, wanted = self._hub.changes, self._wanted()
                try:
                    if wanted != told or is_due:
                        await self._write(bus, wanted)
                        told, told_at = wanted, loop.time()
                    looked = changes
                except (nats.errors.Error, TimeoutError, OSError) as error:
                    log.debug("watches_not_written", error=repr(error))
            await asyncio.sleep(REFRESH_S)

    def _wanted(self) -> list[PairWatch]:
        """One watch for each series that a client of ours listens to."""
        found: dict[SignalSource, bool] = {}
        for channel in self._hub.channels(SIGNALS_KIND, PROVISIONAL):
            if channel.symbol:
                source = SignalSource.parse(channel.symbol)
                found[source] = found.get(source, False) or channel.kind == PROVISIONAL
        return [
            PairWatch(
                a=one.a,
                b=one.b,
                timeframe=one.timeframe,
                window=one.window,
                method=one.method,
                on_tick=on_tick,
            )
            for one, on_tick in sorted(found.items())
        ]

    async def _write(self, bus: Bus, wanted: list[PairWatch]) -> None:
        if wanted:
            subject = key_subject(bus, BUCKET_WATCHES, self._owner)
            await bus.js.publish(subject, encode(PairWatches(watches=wanted)))
            return
        revision = await bucket_revision(bus, BUCKET_WATCHES)
        if revision:
            await remove_key(bus, BUCKET_WATCHES, self._owner, revision)


def _source(signal: PairSignal) -> SignalSource:
    return SignalSource(
        f"{signal.symbol_a}@{signal.venue_a}",
        f"{signal.symbol_b}@{signal.venue_b}",
        signal.timeframe,
        signal.window,
        signal.method,
    )
