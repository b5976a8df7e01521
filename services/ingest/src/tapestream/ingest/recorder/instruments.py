"""Database ids of instruments, and the bucket that says what an instrument is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import msgspec
import psycopg
import structlog
from nats.js.kv import KeyValue
from psycopg import AsyncConnection

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.durable import FAULTS
from tapestream.common.contracts.messages import Instrument, decoder
from tapestream.common.contracts.streams import BUCKET_INSTRUMENTS
from tapestream.common.db.engine import connect
from tapestream.common.db.faults import describe

log = structlog.get_logger(__name__)

Name = tuple[str, str]
"""Venue and symbol."""

_decode = decoder(Instrument).decode
_UPSERT = """
    INSERT INTO instruments
        (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session, contract_id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (venue, symbol) DO UPDATE SET
        kind = excluded.kind, currency = excluded.currency, base = excluded.base,
        price_step = excluded.price_step, qty_step = excluded.qty_step,
        multiplier = excluded.multiplier, session = excluded.session, contract_id = excluded.contract_id
"""
_UNKNOWN = """
    INSERT INTO instruments (venue, symbol, kind, currency, base, price_step, qty_step, multiplier, session)
    VALUES (%s, %s, '', '', '', 0, 0, 1, '24x7')
    ON CONFLICT (venue, symbol) DO NOTHING
"""


class InstrumentIds:
    """Venue and symbol → id; a name that is not there yet gets a row at once."""

    def __init__(self) -> None:
        self._ids: dict[Name, int] = {}

    async def load(self, connection: AsyncConnection) -> None:
        cursor = await connection.execute("SELECT venue, symbol, id FROM instruments")
        self._ids = {(venue, symbol): id_ for venue, symbol, id_ in await cursor.fetchall()}

    async def of(self, connection: AsyncConnection, names: Iterable[Name]) -> list[int]:
        """Ids of the names, in their order. The connection must not be in a transaction."""
        wanted = list(names)
        missing = {name for name in wanted if name not in self._ids}
        if missing:
            for name in sorted(missing):
                await connection.execute(_UNKNOWN, name)
            await self.load(connection)
        return [self._ids[name] for name in wanted]


async def follow_instruments(bus: Bus, database_url: str) -> None:
    """Keep ``instruments`` as the bucket says, until cancelled."""
    while True:
        try:
            async with await connect(database_url, "tapestream recorder-instruments") as connection:
                await _follow(bus, connection)
        except (psycopg.Error, *FAULTS) as error:
            log.info("instruments_retry", error=describe(error))
            await asyncio.sleep(0.5)


async def _follow(bus: Bus, connection: AsyncConnection) -> None:
    bucket = await bus.js.key_value(bus.subjects.stream(BUCKET_INSTRUMENTS))
    watcher = await bucket.watchall()
    try:
        while True:
            try:
                entry = await watcher.updates(timeout=5)
            except TimeoutError:
                await connection.execute("SELECT 1")  # notices a server that has gone
                continue
            if not isinstance(entry, KeyValue.Entry) or not entry.value:
                continue  # the end of what was there, or a deleted key: history keeps its instrument
            try:
                one = _decode(entry.value)
            except msgspec.DecodeError as error:
                log.warning("instrument_undecodable", key=entry.key, error=str(error))
                continue
            await upsert_instrument(connection, one)
    finally:
        # On the way out the connection may be closed already, which must not hide why we leave.
        with contextlib.suppress(*FAULTS):
            await watcher.stop()


async def upsert_instrument(connection: AsyncConnection, one: Instrument) -> None:
    """Write what is known of an instrument; its id stays."""
    await connection.execute(
        _UPSERT,
        [
            one.venue, one.symbol, one.kind, one.currency, one.base,
            one.price_step, one.qty_step, one.multiplier, one.session, one.contract_id,
        ],
    )  # fmt: skip
