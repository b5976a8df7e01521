"""Bare chains without logic, for comparison: the same venue and the same clients with nothing between them but the hops.

``python -m tests.bench.floor latency NATS_URL VENUE_PORT GATEWAY_PORT``: frames are decoded, go over core
NATS and out of a WebSocket server, until it is ended. ``… throughput NATS_URL DATABASE_URL VENUE_PORT N``:
micro-batches over JetStream, a durable pull consumer and COPY; prints one JSON line when N rows are there.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import nats
import numpy as np
import picows
import psycopg
import uvloop

from tapestream.common.db.copy import CopyFormat
from tests.bench.venue import SYMBOLS

TEXT = picows.WSMsgType.TEXT
BATCH_MOST = 1000
ROWS = CopyFormat([("sid", "int4"), ("id", "int8"), ("ts", "int8"), ("price", "float8"), ("qty", "float8")])


class Trade(msgspec.Struct):
    s: str
    p: str
    q: str
    T: int
    t: int
    m: bool


class Frame(msgspec.Struct):
    data: Trade | None = None


class Batch(msgspec.Struct):
    symbol: str
    id: list[int]
    ts: list[int]
    price: list[float]
    qty: list[float]


class Reader(picows.WSListener):
    """Subscribes to all trades and hands each on; ``at_end`` is called when a read is used up."""

    def __init__(self, take: Callable[[Trade], None], at_end: Callable[[], None]) -> None:
        self._take, self._at_end = take, at_end
        self._decode = msgspec.json.Decoder(Frame).decode

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        request = {"method": "SUBSCRIBE", "params": [f"{s.lower()}@trade" for s in SYMBOLS], "id": 1}
        transport.send(TEXT, json.dumps(request).encode())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002
        trade = self._decode(frame.get_payload_as_memoryview()).data
        if trade is not None:
            self._take(trade)
        if frame.last_in_buffer:
            self._at_end()


async def read_venue(port: int, take: Callable[[Trade], None], at_end: Callable[[], None]) -> None:
    while True:
        try:
            await picows.ws_connect(lambda: Reader(take, at_end), f"ws://127.0.0.1:{port}")
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return


# --- tick to client


async def relay_ticks(nats_url: str, venue_port: int) -> None:
    """Venue → core NATS."""
    nc = await nats.connect(nats_url)
    encode = msgspec.json.Encoder().encode
    waiting: asyncio.Queue[bytes] = asyncio.Queue()

    def take(trade: Trade) -> None:
        frame = {"type": "trade", "symbol": trade.s, "id": trade.t, "price": float(trade.p)}
        waiting.put_nowait(encode(frame | {"qty": float(trade.q)}))

    await read_venue(venue_port, take, lambda: None)
    while True:
        await nc.publish("floor.tick", await waiting.get())


class Viewer(picows.WSListener):
    def __init__(self, viewers: set[picows.WSTransport]) -> None:
        self._viewers = viewers

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:  # noqa: ARG002
        self._viewers.add(transport)
        transport.send(TEXT, b'{"type":"subscription"}')

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._viewers.discard(transport)


async def serve_ticks(nats_url: str, port: int) -> None:
    """Core NATS → every WebSocket client."""
    viewers: set[picows.WSTransport] = set()
    nc = await nats.connect(nats_url)

    async def relay(message: Any) -> None:
        for viewer in viewers:
            viewer.send(TEXT, message.data)

    await nc.subscribe("floor.tick", cb=relay)
    server = await picows.ws_create_server(lambda _: Viewer(viewers), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


# --- frame to row


async def publish_batches(nats_url: str, venue_port: int, count: int) -> None:
    """Venue → JetStream, in micro-batches."""
    nc = await nats.connect(nats_url, pending_size=256 << 20)
    js = nc.jetstream(publish_async_max_pending=256)
    encode = msgspec.json.Encoder().encode
    waiting: asyncio.Queue[tuple[str, bytes, str]] = asyncio.Queue()
    batches: dict[str, Batch] = {}
    seen = held = 0

    def take(trade: Trade) -> None:
        nonlocal seen, held
        batch = batches.get(trade.s)
        if batch is None:
            batch = batches[trade.s] = Batch(trade.s, [], [], [], [])
        batch.id.append(trade.t)
        batch.ts.append(trade.T)
        batch.price.append(float(trade.p))
        batch.qty.append(float(trade.q))
        seen, held = seen + 1, held + 1
        if held >= BATCH_MOST:
            hand_on()

    def hand_on() -> None:
        nonlocal held
        for symbol, batch in batches.items():
            key = f"{symbol}:{batch.id[0]}-{batch.id[-1]}"
            waiting.put_nowait((f"floor.trade.{symbol}", encode(batch), key))
        batches.clear()
        held = 0

    def at_end() -> None:
        if waiting.empty():  # else batches grow until the server has taken in those before
            hand_on()

    await read_venue(venue_port, take, at_end)
    while seen < count or held or not waiting.empty():
        subject, payload, key = await waiting.get()
        await js.publish_async(subject, payload, headers={"Nats-Msg-Id": key})
        if waiting.empty():
            hand_on()
    await js.publish_async_completed()


async def record_batches(nats_url: str, dsn: str, count: int) -> float:
    """JetStream → rows; returns trades a second from the first message on."""
    nc = await nats.connect(nats_url)
    subscription = await nc.jetstream().pull_subscribe("floor.trade.>", durable="floor")
    database = await psycopg.AsyncConnection.connect(dsn)
    decode = msgspec.json.Decoder(Batch).decode
    number = {symbol: i for i, symbol in enumerate(SYMBOLS)}
    done, began = 0, 0.0
    while done < count:
        try:
            messages = await subscription.fetch(100, timeout=5)
        except nats.errors.TimeoutError:
            continue
        began = began or time.perf_counter()
        batches = [decode(message.data) for message in messages]
        rows = ROWS.rows(sum(len(batch.id) for batch in batches))
        at = 0
        for batch in batches:
            part = slice(at, at := at + len(batch.id))
            rows["sid"][part] = number[batch.symbol]
            for column in ("id", "ts", "price", "qty"):
                rows[column][part] = np.asarray(getattr(batch, column))
        async with database.cursor() as cursor:
            async with cursor.copy("COPY bench_floor_in FROM STDIN (FORMAT binary)") as copy:
                await copy.write(ROWS.payload(rows))
            await cursor.execute(
                "INSERT INTO bench_floor SELECT * FROM bench_floor_in ON CONFLICT DO NOTHING"
            )
            await cursor.execute("TRUNCATE bench_floor_in")
        await database.commit()
        for message in messages:
            await message.ack()
        done += len(rows)
    return count / (time.perf_counter() - began)


def throughput(nats_url: str, dsn: str, venue_port: int, count: int) -> None:
    columns = "(sid int, id bigint, ts bigint, price float8, qty float8"
    with psycopg.connect(dsn, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS bench_floor, bench_floor_in")
        database.execute(f"CREATE TABLE bench_floor {columns}, PRIMARY KEY (sid, id))")  # type: ignore[arg-type]
        database.execute(f"CREATE UNLOGGED TABLE bench_floor_in {columns})")  # type: ignore[arg-type]
        uvloop.run(_stream(nats_url, make=True))
        publishing = multiprocessing.Process(
            target=_run, args=(publish_batches, nats_url, venue_port, count), daemon=True
        )
        publishing.start()
        rate = uvloop.run(record_batches(nats_url, dsn, count))
        publishing.join()
        stored = database.execute("SELECT count(*) FROM bench_floor").fetchone()
        assert stored == (count,), stored
        database.execute("DROP TABLE bench_floor, bench_floor_in")
    uvloop.run(_stream(nats_url, make=False))
    print(json.dumps({"ticks": count, "ticks_per_s": round(rate)}))


async def _stream(nats_url: str, *, make: bool) -> None:
    nc = await nats.connect(nats_url)
    js = nc.jetstream()
    if any(one.config.name == "BENCH_FLOOR" for one in await js.streams_info()):
        await js.delete_stream("BENCH_FLOOR")
    if make:
        await js.add_stream(name="BENCH_FLOOR", subjects=["floor.trade.>"])
    await nc.close()


def _run(job: Callable[..., Any], *arguments: Any) -> None:
    uvloop.run(job(*arguments))


if __name__ == "__main__":
    if sys.argv[1] == "latency":
        url, venue, gateway = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        multiprocessing.Process(target=_run, args=(relay_ticks, url, venue), daemon=True).start()
        uvloop.run(serve_ticks(url, gateway))
    else:
        throughput(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
