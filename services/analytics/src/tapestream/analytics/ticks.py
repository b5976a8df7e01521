"""Provisional figures with every batch of trades, for those pairs that somebody asks it for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import nats.errors
import structlog
from msgspec import UNSET

from tapestream.analytics import metrics
from tapestream.analytics.core.watch import Watch
from tapestream.analytics.fold import PairsFold
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Incoming
from tapestream.common.bus.live import LiveReader
from tapestream.common.bus.wire import Wire
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import TradeBatch, TradeKind, decoder, encode
from tapestream.common.contracts.streams import MARKET
from tapestream.common.contracts.timeframes import bar_start_ns, timeframe_ns

log = structlog.get_logger(__name__)

RETRY_S = 0.2
_decode = decoder(TradeBatch).decode


class Ticks:
    """Reads trades while anybody wants provisional figures, and sends these on core subjects."""

    def __init__(self, bus: Bus, fold: PairsFold) -> None:
        self._bus, self._fold = bus, fold
        self._by_subject: dict[str, list[Watch]] = {}
        self._wanted: set[Watch] = set()
        self._prices: dict[InstrumentName, tuple[int, float]] = {}
        """Instrument → time and price of its newest trade, while it is read."""
        self._last_id: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._wire: Wire | None = None

    def want(self, watches: set[Watch]) -> None:
        """From now on for these; the reader follows."""
        if watches == self._wanted:
            return
        self._wanted = watches
        self._by_subject = {}
        for watch in sorted(watches, key=lambda one: one.text):
            for name in (watch.a, watch.b):
                subject = self._bus.subjects.trade(name.venue, name.symbol)
                self._by_subject.setdefault(subject, []).append(watch)
        names = {name for watch in watches for name in (watch.a, watch.b)}
        self._prices = {name: one for name, one in self._prices.items() if name in names}
        self._last_id = {text: one for text, one in self._last_id.items() if text in self._by_subject}
        self._changed.set()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self._wanted:
                continue
            broken = asyncio.Event()
            try:
                self._wire = await self._bus.dial("provisional signals", broken.set)
                await self._read_until(broken)
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.debug("ticks_retry", error=repr(error))
                self._changed.set()
                await asyncio.sleep(RETRY_S)
            finally:
                wire, self._wire = self._wire, None
                if wire is not None:
                    wire.close()

    async def _read_until(self, broken: asyncio.Event) -> None:
        """Until what is wanted changes or the connection breaks."""
        reader = LiveReader(
            self._bus,
            stream=MARKET,
            filters=sorted(self._by_subject),
            handle=self._on_trades,
            start=datetime.now(UTC),
        )
        tasks = [asyncio.create_task(one) for one in (reader.run(), broken.wait(), self._changed.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if broken.is_set():
            self._changed.set()

    def _on_trades(self, message: Incoming) -> None:
        batch = _decode(message.data)
        if not batch.id or batch.id[-1] <= self._last_id.get(message.subject, -1):
            return
        self._last_id[message.subject] = batch.id[-1]
        row = _last_market_row(batch)
        if row is None:
            return
        self._prices[InstrumentName(batch.symbol, batch.venue)] = batch.ts_ns[row], batch.price[row]
        for watch in self._by_subject.get(message.subject, ()):
            self._send(watch, batch.ts_ns[row])

    def _send(self, watch: Watch, ts_ns: int) -> None:
        pair = self._fold.pairs.get(watch)
        if pair is None or self._wire is None:
            return
        length_ns = timeframe_ns(watch.timeframe)
        start_ns = bar_start_ns(ts_ns, length_ns)
        if start_ns <= pair.last_ns:
            return  # the bar is complete already: its figures are out
        prices: list[float] = []
        for name, series in ((watch.a, pair.a), (watch.b, pair.b)):
            traded_ns, price = self._prices.get(name, (-1, 0.0))
            if len(series) and traded_ns < series.ts_ns[-1] + length_ns:
                price = series.close[-1]  # of a later trade, or of the same one
            elif traded_ns < 0:
                return
            prices.append(price)
        signal = pair.provisional(start_ns, *prices)
        self._wire.publish(self._bus.subjects.pair_tick(watch.timeframe, watch.a, watch.b), encode(signal))
        metrics.ticks.inc()


def _last_market_row(batch: TradeBatch) -> int | None:
    """The newest trade that makes bars."""
    if isinstance(batch.kind, msgspec.UnsetType) or batch.kind is UNSET:
        return len(batch.id) - 1
    rows = [row for row, kind in enumerate(batch.kind) if kind == TradeKind.MARKET.name]
    return rows[-1] if rows else None
