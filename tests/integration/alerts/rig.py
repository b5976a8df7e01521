"""A system of its own: publishes what ingest would, runs alerts and a gateway as real processes."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import psycopg

from tapestream.common.bus.ordinals import read_now
from tapestream.common.contracts.alerts import AlertFired
from tapestream.common.contracts.messages import Clock, Message, TradeKind, decoder, encode
from tapestream.common.contracts.streams import ALERTS
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.db.migrate import migrate
from tapestream.common.db.partitions import day_of, ensure_partition
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.ports import free_port
from tests.integration.gateway.feeder import STORE_BYTES, Feeder
from tests.integration.gateway.running import RunningGateway
from tests.support.alert_cases import Event, bar_of, trade_batch

DEADLINE_S = 60.0


class Rig:
    def __init__(self, nats_url: str, database_url: str, feeder: Feeder, folder: Path) -> None:
        self.nats_url, self.database_url, self.folder = nats_url, database_url, folder
        self.feeder, self.bus = feeder, feeder.bus
        self.subjects: Subjects = feeder.subjects
        self._process: subprocess.Popen[bytes] | None = None
        self._gateway: RunningGateway | None = None
        self.metrics_port = 0

    @classmethod
    async def make(cls, nats: EmbeddedNats, postgres: EmbeddedPostgres, folder: Path) -> Self:
        name = f"t{secrets.token_hex(4)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        url = f"{postgres.url.rpartition('/')[0]}/{name}"
        await asyncio.to_thread(migrate, url)
        feeder = await Feeder.connect(nats.url, name)
        await feeder.list_instruments()
        return cls(nats.url, url, feeder, folder)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "SUBJECT_PREFIX": self.subjects.prefix,
            "STREAM_STORE_BYTES": str(STORE_BYTES),
            "RESAMPLE_INTERVALS": "1s,5s,1m",
        }

    # --- processes

    async def start(self, **environment: str) -> None:
        """Start alerts and wait until it answers."""
        self.metrics_port = free_port()
        with (self.folder / "alerts.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [sys.executable, "-m", "tapestream.alerts"],
                env=os.environ
                | self._environment
                | {"METRICS_PORT": str(self.metrics_port), "ALERT_WEBHOOK_PRIVATE": "true"}
                | environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        await self.eventually("alerts answers", self._answers)

    async def _answers(self) -> bool:
        try:
            await self.bus.nc.request(self.subjects.rpc("alerts", "list"), b'{"limit":1}', timeout=2)
        except Exception:  # noqa: BLE001 - nobody there yet
            return False
        return True

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(20)

    async def gateway(self) -> RunningGateway:
        self._gateway = RunningGateway(self.folder, **self._environment)
        await (await self._gateway.start()).memory_ready()
        return self._gateway

    async def close(self) -> None:
        self.kill()
        if self._gateway is not None:
            self._gateway.stop()
        await self.feeder.close()

    @property
    def log(self) -> str:
        return (self.folder / "alerts.log").read_text()

    # --- what happens

    async def ask(self, verb: str, message: Message) -> dict[str, Any]:
        answer = await self.bus.nc.request(self.subjects.rpc("alerts", verb), encode(message), timeout=60)
        return msgspec.json.decode(answer.data)

    def publish(self, events: Sequence[Event]) -> None:
        """Events of a path, each trade in a batch of its own; what the streams hold is skipped."""
        for event in events:
            match event[0]:
                case "trade":
                    batch = trade_batch([event], time.time_ns())
                    self.feeder.market.put(
                        self.subjects.trade(batch.venue, batch.symbol), event[2], encode(batch)
                    )
                case "clock":
                    clock = Clock(venue=event[1], ts_ns=event[2], recv_ns=time.time_ns())
                    self.feeder.market.put(self.subjects.clock(event[1]), event[2], encode(clock))
                case _:
                    bar = bar_of(event)
                    subject = self.subjects.bar(bar.timeframe, bar.venue, bar.symbol)
                    self.feeder.bars.put(subject, bar.ts_ns, encode(bar))

    def publish_late(self, trade: Event, price: float) -> None:
        """A trade that comes when its hole was declared already."""
        batch = trade_batch([(*trade[:4], price, *trade[5:])], time.time_ns())
        subject = self.subjects.backfill(batch.venue, batch.symbol)
        self.feeder.market.put(subject, time.time_ns(), encode(batch))

    async def record(self, events: Sequence[Event]) -> None:
        """Write trades and bars as the recorder does."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            ids: dict[str, int] = {}
            for of in sorted({event[1] for event in events if event[0] != "clock"}):
                symbol, _, venue = of.partition("@")
                row = await (
                    await connection.execute(
                        """INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step,
                            multiplier, session) VALUES (%s, %s, 'perpetual', 'USDT', '', 0.1, 0.001, 1, '24x7')
                           RETURNING id""",
                        [venue, symbol],
                    )
                ).fetchone()
                assert row
                ids[of] = row[0]
            for day in {day_of(event[3]) for event in events if event[0] == "trade"}:
                await ensure_partition(connection, "trades", day)
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "INSERT INTO trades VALUES (%s, %s, to_timestamp(0) + %s * interval '1 us', %s, 1, true, %s)",
                    [
                        [ids[e[1]], e[2], e[3] // 1000, e[4], int(TradeKind[e[5]])]
                        for e in events
                        if e[0] == "trade"
                    ],
                )
                await cursor.executemany(
                    """INSERT INTO bars VALUES (%s, %s, to_timestamp(0) + %s * interval '1 us', %s, %s, %s, %s, %s,
                        0, 0, 1, 1, 1, 0, 'trades')""",
                    [[ids[e[1]], e[2], e[3] // 1000, *e[4:9]] for e in events if e[0] == "bar"],
                )

    async def firings(self) -> list[AlertFired]:
        """All that the stream of firings holds."""
        from nats.js.api import ConsumerConfig  # noqa: PLC0415

        config = ConsumerConfig(filter_subjects=[self.subjects.all_alerts()])
        found = read_now(self.bus.js, self.subjects.stream(ALERTS), config)
        return [decoder(AlertFired).decode(message.data) async for message in found]

    async def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            return await (await connection.execute(query, values)).fetchall()  # type: ignore[arg-type]

    async def eventually(
        self, what: str, condition: Callable[[], Awaitable[Any]], within_s: float = DEADLINE_S
    ) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := await condition()):
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}\n{self.log[-2000:]}"
            await asyncio.sleep(0.02)
        return found
