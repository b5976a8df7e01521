"""Composition root of analytics."""

from __future__ import annotations

import asyncio
import contextlib

import nats.errors
from sqlalchemy.exc import DBAPIError

from tapestream.analytics import metrics
from tapestream.analytics.fold import KEEP_BARS, PairsFold
from tapestream.analytics.history import BarHistory
from tapestream.analytics.projection import SignalTable, keep_days
from tapestream.analytics.queries import Queries
from tapestream.analytics.radar import RadarKeeper
from tapestream.analytics.settings import AnalyticsSettings
from tapestream.analytics.ticks import Ticks
from tapestream.analytics.warmup import compile_kernels
from tapestream.analytics.watcher import Watcher
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.durable import DurableReader
from tapestream.common.bus.provision import provision
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.bus.stateful import StatefulConsumer
from tapestream.common.contracts.streams import BARS, SIGNALS
from tapestream.common.db.faults import describe, is_passing
from tapestream.common.db.migrate import migrate
from tapestream.common.process import ProcessContext
from tapestream.common.recording.database_health import DatabaseHealth
from tapestream.common.recording.writer import TableWriter

MIGRATE_S = 3.0
"""How long one try to bring the database up to date waits for it; live figures do not wait at all."""


async def main(context: ProcessContext, settings: AnalyticsSettings) -> None:
    """Run until stopped."""
    context.health.set("kernels", False, "warming: the kernels are being compiled")
    context.health.set("fold", False, "starting")
    compiled = asyncio.create_task(asyncio.to_thread(compile_kernels))
    bus = await context.connect_bus()
    await provision(bus, settings.stream_store_bytes)
    await compiled
    context.health.set("kernels", True)

    subjects, url = context.subjects, settings.database_url.get_secret_value()
    fold = PairsFold(subjects, settings.resample_intervals, max(KEEP_BARS, settings.radar_bars))
    metrics.dropped.set_function(lambda: sum(pair.dropped_a + pair.dropped_b for pair in fold.pairs.values()))
    context.figures = lambda: {"pairs": len(fold.pairs), "series": len(fold.series)}
    publisher = ResumingPublisher(
        bus, stream=SIGNALS, filters=[subjects.all_signals()], producer=context.producer
    )
    context.spawn(publisher.run(), "publisher")
    await publisher.ready.wait()
    problems: list[str] = []

    def degraded(why: str) -> None:
        problems.append(why)
        context.health.set("fold", False, why)

    history = BarHistory(url, bus, settings.resample_intervals, fold.series)
    ticks = Ticks(bus, fold)
    watcher = Watcher(bus, settings, fold, history, ticks.want)
    consumer = StatefulConsumer(
        bus,
        name="analytics",
        sources={BARS: [subjects.market("bar")]},
        fold=fold,
        publisher=publisher,
        on_degraded=degraded,
        on_restored=watcher.prepare,
    )
    context.spawn(consumer.run(), "fold")
    radar = RadarKeeper(
        fold,
        publisher,
        subjects,
        settings.radar_timeframes,
        settings.radar_bars,
        settings.default_rolling_window,
        lambda: watcher.streamed,
    )
    queries = Queries(bus, history, radar, settings.venue)
    context.spawn(_go_live(context, consumer, watcher, radar, ticks, queries, problems), "live")
    writer = _record(context, settings, bus, url) if url else None
    await context.run_until_stopped()

    await context.cancel_tasks("live")
    await context.cancel_tasks("fold")
    with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):  # the last snapshot does as well
        await consumer.save()
    await queries.drained()
    if writer is not None:
        writer[0].stop()
        await writer[1]
    await history.close()
    await bus.close()


async def _go_live(
    context: ProcessContext,
    consumer: StatefulConsumer,
    watcher: Watcher,
    radar: RadarKeeper,
    ticks: Ticks,
    queries: Queries,
    problems: list[str],
) -> None:
    """What begins once everything stored has been read."""
    while not consumer.caught_up:
        await asyncio.sleep(0.02)
    await queries.serve()
    context.health.set("fold", not problems, problems[-1] if problems else "")
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.run(consumer.emit))
        group.create_task(radar.run())
        group.create_task(ticks.run())


def _record(
    context: ProcessContext, settings: AnalyticsSettings, bus: Bus, url: str
) -> tuple[TableWriter, asyncio.Task[None]]:
    """Write signals to Postgres beside all else: nothing waits for it."""
    source = DurableReader(
        bus, stream=SIGNALS, durable="analytics-signals", filters=[context.subjects.all_pair_signals()]
    )
    health = DatabaseHealth(context.health)
    writer = TableWriter(url, source, SignalTable(), health)

    async def migrate_and_run() -> None:
        while not context.stopping.is_set():
            try:
                await asyncio.to_thread(migrate, url, give_up_after_s=MIGRATE_S)
            except DBAPIError as error:
                cause = error.orig or error
                if not is_passing(cause):
                    raise
                health.bad(source.durable, describe(cause))
            else:
                await writer.run()
                return

    context.spawn(keep_days(url, settings.keep_signals_days), "retention")
    return writer, context.spawn(migrate_and_run(), "writer")
