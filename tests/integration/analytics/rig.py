"""A system of its own: bars published as the bars program does, analytics as a real process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from nats.js import api

from tapestream.common.bus.buckets import read_watches
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.headers import ORDINAL
from tapestream.common.bus.ordinals import read_now
from tapestream.common.bus.provision import provision
from tapestream.common.contracts.messages import (
    Bar,
    BarSource,
    FeedWant,
    Instrument,
    Message,
    TradeBatch,
    decoder,
    encode,
)
from tapestream.common.contracts.signals import PairSignal, PairWatch, PairWatches
from tapestream.common.contracts.streams import (
    BUCKET_FEEDS,
    BUCKET_INSTRUMENTS,
    BUCKET_WATCHES,
    SIGNALS,
)
from tapestream.common.contracts.subjects import Subjects, instrument_key
from tapestream.common.supervisor.ports import free_port

DEADLINE_S = 60.0
STORE_BYTES = 256 << 20
VENUE = "binance_usdm"
_decode = decoder(PairSignal).decode


class Rig:
    """One system on shared servers."""

    def __init__(self, nats_url: str, database_url: str, bus: Bus, folder: Path) -> None:
        self.nats_url, self.database_url, self.bus, self.folder = nats_url, database_url, bus, folder
        self.subjects = bus.subjects
        self.process: subprocess.Popen[bytes] | None = None
        self.metrics_port = 0
        self._ordinals: dict[str, int] = {}

    @classmethod
    async def make(cls, nats_url: str, database_url: str, prefix: str, folder: Path) -> Self:
        bus = await Bus.connect(nats_url, "test", Subjects(prefix))
        await provision(bus, STORE_BYTES)
        return cls(nats_url, database_url, bus, folder)

    async def close(self) -> None:
        self.kill()
        await self.bus.close()

    # --- the process

    def start(self, **settings: str) -> None:
        self.metrics_port = free_port()
        environment = os.environ | {
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "SUBJECT_PREFIX": self.subjects.prefix,
            "STREAM_STORE_BYTES": str(STORE_BYTES),
            "METRICS_PORT": str(self.metrics_port),
            "LOG_FILE": str(self.folder / "analytics.log"),
            **settings,
        }
        self.process = subprocess.Popen([sys.executable, "-m", "tapestream.analytics"], env=environment)

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def ready(self) -> None:
        await eventually("analytics is ready", self._is_ready)

    async def _is_ready(self) -> bool:
        def ask() -> bool:
            try:
                url = f"http://127.0.0.1:{self.metrics_port}/health/ready"
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False

        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"analytics ended:\n{(self.folder / 'analytics.log').read_text()[-3000:]}")
        return await asyncio.to_thread(ask)

    @property
    def log(self) -> str:
        return (self.folder / "analytics.log").read_text()

    # --- what stands beside it

    async def stream_symbols(self, *symbols: str, venue: str = VENUE) -> None:
        """List instruments, and want them streamed."""
        bucket = await self.bus.js.key_value(self.subjects.stream(BUCKET_INSTRUMENTS))
        for symbol in symbols:
            one = Instrument(
                venue=venue,
                symbol=symbol,
                kind="perpetual",
                currency="USDT",
                base="",
                price_step=0.1,
                qty_step=0.1,
            )
            await bucket.put(instrument_key(venue, symbol), encode(one))
        wants = await self.bus.js.key_value(self.subjects.stream(BUCKET_FEEDS))
        await wants.put(f"default{venue}", encode(FeedWant(symbols=[f"{one}@{venue}" for one in symbols])))
        await wants.put("default", encode(FeedWant(symbols=[])))

    async def watch(self, owner: str, *watches: PairWatch) -> None:
        bucket = await self.bus.js.key_value(self.subjects.stream(BUCKET_WATCHES))
        await bucket.put(owner, encode(PairWatches(watches=list(watches))))

    async def publish(self, bars: Iterable[Bar]) -> None:
        """Publish bars; return when all are stored."""
        for number, bar in enumerate(bars):
            subject = self.subjects.bar(bar.timeframe, bar.venue, bar.symbol)
            ordinal = self._ordinals[subject] = self._ordinals.get(subject, 0) + 1
            await self.bus.js.publish_async(subject, encode(bar), headers={ORDINAL: str(ordinal)})
            if number % 200 == 199:
                await self.bus.js.publish_async_completed()
        await self.bus.js.publish_async_completed()

    async def watches(self) -> dict[str, PairWatches]:
        """What is in the bucket."""
        return await read_watches(self.bus)

    async def trade(self, symbol: str, ts_ns: int, price: float) -> None:
        """Publish one trade."""
        trade_id = self._ordinals[symbol] = self._ordinals.get(symbol, 0) + 1
        batch = TradeBatch(
            venue=VENUE, symbol=symbol, recv_ns=time.time_ns(), prev_id=trade_id - 1, id=[trade_id], ts_ns=[ts_ns],
            price=[price], qty=[1.0], buyer_maker=[False],
        )  # fmt: skip
        await self.bus.js.publish(self.subjects.trade(VENUE, symbol), encode(batch))

    async def record(self, bars: Iterable[Bar]) -> None:
        """Write bars to the tables as the recorder does."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            for one in bars:
                await connection.execute(
                    """INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session)
                       VALUES (%s, %s, 'perpetual', 'USDT', '', 0.1, 0.1, 1, '24x7') ON CONFLICT DO NOTHING""",
                    [one.venue, one.symbol],
                )
                await connection.execute(
                    """INSERT INTO bars SELECT id, %s, to_timestamp(%s), %s, %s, %s, %s, 1, 1, 1, 1, 1, 1, 0, 'trades'
                       FROM instruments WHERE venue = %s AND symbol = %s""",
                    [one.timeframe, one.ts_ns // 10**9, *[one.close] * 4, one.venue, one.symbol],
                )

    # --- looking

    async def signals(self) -> list[PairSignal]:
        """Every stored signal of a pair, in the stream's order."""
        config = api.ConsumerConfig(filter_subjects=[self.subjects.all_pair_signals()])
        found = read_now(self.bus.js, self.subjects.stream(SIGNALS), config)
        return [_decode(message.data) async for message in found]

    async def count_signals(self) -> int:
        return (await self.bus.js.stream_info(self.subjects.stream(SIGNALS))).state.messages

    async def ask(self, verb: str, request: Message, reply_type: Any) -> Any:
        answer = await self.bus.nc.request(self.subjects.rpc("analytics", verb), encode(request), timeout=30)
        return decoder(reply_type).decode(answer.data)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            return await (await connection.execute(query, values)).fetchall()  # type: ignore[arg-type]


def bar(
    symbol: str, ts_ns: int, close: float, *, timeframe: str = "5m", venue: str = VENUE, rev: int = 0
) -> Bar:
    """A complete bar of which only the close matters."""
    close = float(close)
    return Bar(
        venue=venue, symbol=symbol, timeframe=timeframe, ts_ns=int(ts_ns), open=close, high=close, low=close,
        close=close, volume=1.0, quote_volume=close, buy_volume=0.5, trades=1 + rev, first_id=1, last_id=1,
        complete=True, rev=rev, source=BarSource.TRADES,
    )  # fmt: skip


async def eventually(what: str, condition: Callable[[], Awaitable[Any]], within_s: float = DEADLINE_S) -> Any:
    """Poll until ``condition`` gives something true; fail with ``what`` when it does not in time."""
    deadline = time.monotonic() + within_s
    while not (found := await condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.05)
    return found
