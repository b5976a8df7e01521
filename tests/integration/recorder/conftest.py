"""Real servers for the recorder: one pair for all tests, a database and a prefix for each."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.provision import provision
from tapestream.common.contracts.messages import Bar, Gap, Message, QuoteBatch, TradeBatch, encode
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.supervisor.embedded import EmbeddedNats, EmbeddedPostgres
from tapestream.common.supervisor.ports import free_port

DEADLINE_S = 30.0
STORE_BYTES = 64 << 20
VENUE = "binance_usdm"
T0_NS = 1_723_100_000_000_000_000  # 2024-08-08 06:53:20 UTC


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), store_bytes=16 << 30) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


class Rig:
    """A system of its own: publishes what ingest would, runs the recorder, looks at the tables."""

    def __init__(self, nats_url: str, database_url: str, bus: Bus, folder: Path) -> None:
        self.nats_url, self.database_url, self.bus, self.folder = nats_url, database_url, bus, folder
        self.subjects = bus.subjects
        self._processes: list[subprocess.Popen[bytes]] = []
        self._last: dict[str, int] = {}
        self.metrics_port = 0

    # --- the recorder
    def start_recorder(self) -> subprocess.Popen[bytes]:
        self.metrics_port = free_port()
        environment = os.environ | {
            "NATS_URL": self.nats_url,
            "DATABASE_URL": self.database_url,
            "SUBJECT_PREFIX": self.subjects.prefix,
            "STREAM_STORE_BYTES": str(STORE_BYTES),
            "METRICS_PORT": str(self.metrics_port),
            "LOG_FILE": str(self.folder / "recorder.log"),
            "KEEP_QUOTES_DAYS": "0",
        }
        process = subprocess.Popen([sys.executable, "-m", "tapestream.ingest.recorder"], env=environment)
        self._processes.append(process)
        return process

    def stop_all(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    async def health(self) -> tuple[int, str]:
        """Status and body of the recorder's readiness."""

        def ask() -> tuple[int, str]:
            url = f"http://127.0.0.1:{self.metrics_port}/health/ready"
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as answer:
                with answer:
                    return answer.code, answer.read().decode()
            except OSError as error:
                return 0, str(error)

        return await asyncio.to_thread(ask)

    async def metric(self, name: str, **labels: str) -> float:
        def ask() -> str:
            try:
                url = f"http://127.0.0.1:{self.metrics_port}/metrics"
                with urllib.request.urlopen(url, timeout=2) as answer:
                    return answer.read().decode()
            except OSError:
                return ""

        text = await asyncio.to_thread(ask)
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith((name + "{", name + " ")) and all(word in line for word in wanted)
        )

    async def balance(self, table: str = "trades") -> tuple[float, float]:
        """Rows received, and what became of them; nothing while the recorder is not up yet."""
        name = "tapestream_recorder_{}_rows_total"
        kinds = ("recorded", "duplicate", "refused", "returned")
        return (
            await self.metric(name.format("received"), table=table),
            sum([await self.metric(name.format(kind), table=table) for kind in kinds]),
        )

    # --- publishing
    async def publish(self, subject: str, payload: bytes | Message) -> None:
        data = payload if isinstance(payload, bytes) else encode(payload)
        await self.bus.js.publish(subject, data)

    async def publish_many(self, symbols: Sequence[str], batches: int, size: int = 40) -> None:
        """As many batches for each symbol, behind those published before; returns when all are stored."""
        for number in range(batches):
            for symbol in symbols:
                first = self._last.get(symbol, 0) + 1
                batch = trade_batch(symbol, list(range(first, first + size)), self._last.get(symbol, -1))
                self._last[symbol] = first + size - 1
                await self.bus.js.publish_async(self.subjects.trade(VENUE, symbol), encode(batch))
            if number % 10 == 9:
                await self.bus.js.publish_async_completed()
        await self.bus.js.publish_async_completed()

    async def trades(self, symbol: str, first: int, last: int, **fields: Any) -> None:
        """Publish the trades ``first`` to ``last`` in one batch."""
        batch = trade_batch(symbol, list(range(first, last + 1)), self._last.get(symbol, -1), **fields)
        self._last[symbol] = last
        await self.publish(self.subjects.trade(VENUE, symbol), batch)

    # --- looking
    async def query(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            return await (await connection.execute(text, values)).fetchall()

    async def execute(self, text: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(text)  # type: ignore[arg-type]

    async def expect_balance(self, table: str = "trades") -> None:
        """Wait until every row that was read is accounted for; rows show a moment before the figures."""

        async def balanced() -> bool:
            received, accounted = await self.balance(table)
            return received == accounted > 0

        await eventually(f"{table}: received = recorded + duplicates + refused + returned", balanced)

    async def recorded_ids(self, symbol: str) -> list[int]:
        try:
            rows = await self.query(
                "SELECT t.id FROM trades t JOIN instruments i ON i.id = t.instrument_id "
                "WHERE i.symbol = %s ORDER BY t.id", symbol,
            )  # fmt: skip
        except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
            return []
        return [id_ for (id_,) in rows]

    async def gaps(self, symbol: str) -> list[tuple[int, int, str]]:
        rows = await self.query(
            "SELECT from_id, to_id, reason FROM gaps g JOIN instruments i ON i.id = g.instrument_id "
            "WHERE i.symbol = %s ORDER BY 1", symbol,
        )  # fmt: skip
        return [(int(a), int(b), c) for a, b, c in rows]

    async def expect_ids(self, symbol: str, ids: list[int]) -> None:
        """Wait until exactly these trades are recorded, each once."""
        await eventually(f"{symbol} has {len(ids)} trades", lambda: self._has(symbol, ids))

    async def _has(self, symbol: str, ids: list[int]) -> bool:
        return await self.recorded_ids(symbol) == ids

    async def expect_gaps(self, symbol: str, wanted: list[tuple[int, int, str]]) -> None:
        async def there() -> bool:
            return await self.gaps(symbol) == wanted

        await eventually(f"{symbol} has gaps {wanted}", there)


def trade_batch(symbol: str, ids: list[int], prev_id: int, **fields: Any) -> TradeBatch:
    values: dict[str, Any] = {
        "venue": VENUE,
        "symbol": symbol,
        "recv_ns": time.time_ns(),
        "prev_id": prev_id,
        "id": ids,
        "ts_ns": [T0_NS + id_ * 1_000_000 for id_ in ids],
        "price": [100.0 + id_ % 7 for id_ in ids],
        "qty": [0.5] * len(ids),
        "buyer_maker": [id_ % 2 == 0 for id_ in ids],
    }
    return TradeBatch(**(values | fields))


def quote_batch(symbol: str, ids: list[int]) -> QuoteBatch:
    return QuoteBatch(
        venue=VENUE,
        symbol=symbol,
        recv_ns=time.time_ns(),
        id=ids,
        ts_ns=[T0_NS + id_ * 1_000_000 for id_ in ids],
        bid=[99.0] * len(ids),
        bid_qty=[1.0] * len(ids),
        ask=[101.0] * len(ids),
        ask_qty=[2.0] * len(ids),
    )


def bar(symbol: str, **fields: Any) -> Bar:
    values: dict[str, Any] = {
        "venue": VENUE, "symbol": symbol, "timeframe": "1m", "ts_ns": T0_NS // 60_000_000_000 * 60_000_000_000,
        "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0, "quote_volume": 15.0,
        "buy_volume": 4.0, "trades": 3, "first_id": 1, "last_id": 3, "complete": True,
    }  # fmt: skip
    return Bar(**(values | fields))


def gap(symbol: str, first: int, last: int, reason: str) -> Gap:
    return Gap(
        venue=VENUE, symbol=symbol, from_id=first, to_id=last, from_ts_ns=T0_NS, to_ts_ns=T0_NS,
        reason=reason, detected_ns=T0_NS,  # type: ignore[arg-type]
    )  # fmt: skip


async def eventually(what: str, condition: Callable[[], Awaitable[Any]], within_s: float = DEADLINE_S) -> Any:
    """Poll until ``condition`` gives something true; fail with ``what`` when it does not in time."""
    deadline = time.monotonic() + within_s
    while not (found := await condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s} s: {what}")
        await asyncio.sleep(0.02)
    return found


@pytest.fixture
def new_rig(tmp_path: Path) -> Callable[[EmbeddedNats, EmbeddedPostgres], Awaitable[Rig]]:
    async def make(nats_server: EmbeddedNats, postgres: EmbeddedPostgres) -> Rig:
        name = f"t{secrets.token_hex(4)}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        bus = await Bus.connect(nats_server.url, "test", Subjects(name))
        await provision(bus, STORE_BYTES)
        return Rig(nats_server.url, f"{postgres.url.rpartition('/')[0]}/{name}", bus, tmp_path)

    return make


@pytest.fixture
async def rig(new_rig: Any, nats_server: EmbeddedNats, postgres: EmbeddedPostgres) -> AsyncIterator[Rig]:
    """A system on the shared servers."""
    made = await new_rig(nats_server, postgres)
    yield made
    made.stop_all()
    await made.bus.close()


@pytest.fixture
def domain() -> Any:
    """The words of these tests: makers of messages and ``eventually``."""
    return sys.modules[__name__]
