"""Wires the recorder: three writers with a connection each, and what runs beside them."""

from __future__ import annotations

import asyncio

from tapestream.common.bus.durable import DurableReader
from tapestream.common.bus.headers import MSG_ID, PRODUCER
from tapestream.common.bus.provision import provision
from tapestream.common.contracts.messages import Gap, encode
from tapestream.common.contracts.streams import BARS, MARKET
from tapestream.common.db.migrate import migrate
from tapestream.common.process import ProcessContext
from tapestream.common.recording.database_health import COMPONENT, DatabaseHealth
from tapestream.common.recording.writer import Table, TableWriter
from tapestream.ingest.recorder.bar_table import BarTable
from tapestream.ingest.recorder.instruments import InstrumentIds, follow_instruments
from tapestream.ingest.recorder.quote_table import QuoteTable
from tapestream.ingest.recorder.retention import keep_days, serve_cleanups
from tapestream.ingest.recorder.settings import RecorderSettings
from tapestream.ingest.recorder.trade_table import TradeTable

SERVICE = "recorder"


async def run(context: ProcessContext, settings: RecorderSettings) -> None:
    """Record until the process is asked to stop."""
    database_url = settings.database_url.get_secret_value()
    context.health.set(COMPONENT, False, "migrating")
    bus = await context.connect_bus()
    await provision(bus, settings.stream_store_bytes)
    await asyncio.to_thread(migrate, database_url)

    async def publish_gap(gap: Gap) -> None:
        # No ordinal: ingest publishes there, too, and would take its own next message for stored.
        headers = {
            MSG_ID: f"recorder:{gap.venue}:{gap.symbol}:{gap.from_id}-{gap.to_id}",
            PRODUCER: context.producer,
        }
        await bus.js.publish(bus.subjects.gap(gap.venue, gap.symbol), encode(gap), headers=headers)

    market, health = bus.subjects.market, DatabaseHealth(context.health)

    def writer(durable: str, stream: str, kinds: tuple[str, ...], table: Table) -> TableWriter:
        source = DurableReader(bus, stream=stream, durable=durable, filters=[market(kind) for kind in kinds])
        return TableWriter(database_url, source, table, health)

    trades = TradeTable(bus.subjects, InstrumentIds(), publish_gap)
    quotes = QuoteTable(InstrumentIds())
    bars = BarTable(bus.subjects, InstrumentIds())
    writers = [
        writer("recorder-trades", MARKET, ("trade", "backfill"), trades),
        writer("recorder-quotes", MARKET, ("quote",), quotes),
        writer("recorder-bars", BARS, ("bar", "gap"), bars),
    ]
    context.figures = lambda: {
        name: value for table in (trades, quotes, bars) for name, value in table.metrics.figures().items()
    }
    context.spawn(follow_instruments(bus, database_url), "instruments")
    days = {"trades": settings.keep_trades_days, "quotes": settings.keep_quotes_days}
    context.spawn(keep_days(database_url, days), "retention")
    context.spawn(serve_cleanups(bus, database_url), "cleanup requests")
    running = [context.spawn(one.run(), "writer") for one in writers]
    await context.run_until_stopped()
    for one in writers:
        one.stop()
    await asyncio.gather(*running)
    await bus.close()
