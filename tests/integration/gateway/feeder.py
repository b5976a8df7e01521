"""Stands in for ingest and bars: writes market messages through the real publisher."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Self

from msgspec import UNSET, UnsetType
from nats.js.errors import NoKeysError

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.provision import provision
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.contracts.messages import (
    Bar,
    BarSource,
    Clock,
    FeedWant,
    GapRange,
    GapReason,
    Instrument,
    QuoteBatch,
    ServiceStatus,
    TradeBatch,
    encode,
)
from tapestream.common.contracts.streams import BARS, BUCKET_FEEDS, BUCKET_INSTRUMENTS, MARKET
from tapestream.common.contracts.subjects import Subjects, instrument_key

VENUE = "binance_usdm"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "ADAUSDT")
START_NS = 1_714_557_600_000_000_000
"""2024-05-01T10:00:00Z: event times need not be near the wall clock."""
STORE_BYTES = 256 << 20


class Feeder:
    """One connection, two publishers, and the ids given so far."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.subjects = bus.subjects
        self.last_id: dict[str, int] = {}
        subjects = self.subjects
        self.market = ResumingPublisher(
            bus,
            stream=MARKET,
            filters=[subjects.market(kind) for kind in ("trade", "backfill", "quote", "clock")],
            producer="test/0",
        )
        self.bars = ResumingPublisher(
            bus,
            stream=BARS,
            filters=[subjects.market(kind) for kind in ("bar", "gap")],
            producer="test/0",
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._quote_id = 0
        self._bar_ordinal = 0

    @classmethod
    async def connect(cls, url: str, prefix: str = "") -> Self:
        bus = await Bus.connect(url, "feeder", Subjects(prefix))
        await provision(bus, STORE_BYTES)
        feeder = cls(bus)
        for publisher in (feeder.market, feeder.bars):
            feeder._tasks.append(asyncio.create_task(publisher.run()))
            await publisher.ready.wait()
        return feeder

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.close()

    async def drained(self) -> None:
        await self.market.drained()
        await self.bars.drained()

    async def list_instruments(self, symbols: tuple[str, ...] = SYMBOLS) -> None:
        bucket = await self.bus.js.key_value(self.subjects.stream(BUCKET_INSTRUMENTS))
        for symbol in symbols:
            one = Instrument(
                venue=VENUE,
                symbol=symbol,
                kind="perpetual",
                currency="USDT",
                base=symbol.removesuffix("USDT"),
                price_step=0.1,
                qty_step=0.001,
            )
            await bucket.put(instrument_key(VENUE, symbol), encode(one))

    async def want(self, owner: str, symbols: list[str]) -> None:
        bucket = await self.bus.js.key_value(self.subjects.stream(BUCKET_FEEDS))
        await bucket.put(owner, encode(FeedWant(symbols=[f"{symbol}@{VENUE}" for symbol in symbols])))

    async def forget_wants(self) -> None:
        bucket = await self.bus.js.key_value(self.subjects.stream(BUCKET_FEEDS))
        with suppress(NoKeysError):
            for owner in await bucket.keys():
                await bucket.delete(owner)

    def trades(
        self,
        symbol: str,
        count: int = 1,
        *,
        overtaken: int = 0,
        lost: int = 0,
        kinds: list[str] | None = None,
    ) -> TradeBatch:
        """Publish a batch of the next ids.

        ``overtaken`` ids before it are left out as if the stream had dropped them, ``lost`` ones are
        declared missing.
        """
        last = self.last_id.get(symbol, 0) + overtaken
        first = last + 1 + lost
        gaps = [GapRange(last + 1, last + lost, GapReason.LOST)] if lost else UNSET
        batch = trade_batch(symbol, range(first, first + count), prev_id=last or -1, kinds=kinds, gaps=gaps)
        self.last_id[symbol] = batch.last_id
        self.market.put(self.subjects.trade(VENUE, symbol), batch.last_id, encode(batch))
        return batch

    def late_trades(self, symbol: str, ids: range) -> None:
        batch = trade_batch(symbol, ids, prev_id=-1)
        self.market.put(self.subjects.backfill(VENUE, symbol), time.time_ns(), encode(batch))

    def quote(self, symbol: str, bid: float, ask: float) -> None:
        self._quote_id += 1
        now = time.time_ns()
        batch = QuoteBatch(
            venue=VENUE,
            symbol=symbol,
            recv_ns=now,
            id=[self._quote_id],
            ts_ns=[START_NS + self._quote_id * 1_000_000],
            bid=[bid],
            bid_qty=[1.0],
            ask=[ask],
            ask_qty=[2.0],
        )
        self.market.put(self.subjects.quote(VENUE, symbol), self._quote_id, encode(batch))

    def bar(self, symbol: str, start_ns: int, close: float, *, timeframe: str = "1m", trades: int = 1, complete: bool = True, rev: int = 0, source: BarSource = BarSource.TRADES) -> Bar:  # fmt: skip
        bar = Bar(
            venue=VENUE,
            symbol=symbol,
            timeframe=timeframe,
            ts_ns=start_ns,
            open=100.0,
            high=max(100.0, close),
            low=min(100.0, close),
            close=close,
            volume=float(trades),
            quote_volume=close * trades,
            buy_volume=0.0,
            trades=trades,
            first_id=1,
            last_id=trades,
            complete=complete,
            rev=rev,
            source=source,
        )
        self._bar_ordinal = max(self._bar_ordinal + 1, time.time_ns())
        self.bars.put(self.subjects.bar(timeframe, VENUE, symbol), self._bar_ordinal, encode(bar))
        return bar

    def clock(self, ts_ns: int) -> None:
        message = Clock(venue=VENUE, ts_ns=ts_ns, recv_ns=time.time_ns())
        self.market.put(self.subjects.clock(VENUE), ts_ns, encode(message))

    async def beat(self, *services: str, ready: bool = True) -> None:
        """One heartbeat of each service."""
        for service in services:
            status = ServiceStatus(
                service=service,
                instance="0",
                ts_ns=time.time_ns(),
                ready=ready,
                detail={} if ready else {"venue": "not connected"},
                figures={},
            )
            await self.bus.nc.publish(self.subjects.status(service, "0"), encode(status))
        await self.bus.nc.flush()

    def keep_beating(self, *services: str) -> None:
        async def forever() -> None:
            while True:
                with suppress(Exception):
                    await self.beat(*services)
                await asyncio.sleep(0.5)

        self._tasks.append(asyncio.create_task(forever()))


def trade_batch(
    symbol: str,
    ids: range,
    *,
    prev_id: int,
    kinds: list[str] | None = None,
    gaps: list[GapRange] | UnsetType = UNSET,
) -> TradeBatch:
    """Trades whose every value follows from their id."""
    return TradeBatch(
        venue=VENUE,
        symbol=symbol,
        recv_ns=time.time_ns(),
        prev_id=prev_id,
        id=list(ids),
        ts_ns=[ts_of(one) for one in ids],
        price=[price_of(one) for one in ids],
        qty=[qty_of(one) for one in ids],
        buyer_maker=[one % 2 == 0 for one in ids],
        kind=kinds or UNSET,
        gaps=gaps,
    )


def ts_of(trade_id: int) -> int:
    return START_NS + trade_id * 1_000_000


def price_of(trade_id: int) -> float:
    return round(100 + trade_id % 1000 / 10, 1)


def qty_of(trade_id: int) -> float:
    return round(0.001 * (1 + trade_id % 7), 3)
