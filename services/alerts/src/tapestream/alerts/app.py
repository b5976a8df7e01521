"""Composition root of alerts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from functools import partial

import nats.errors
import structlog
from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from tapestream.alerts import figures
from tapestream.alerts.alone import keep_lock
from tapestream.alerts.backtest import BackTest
from tapestream.alerts.channel import SendOptions
from tapestream.alerts.core.body import Bounds
from tapestream.alerts.deliveries import Deliveries
from tapestream.alerts.fold import AlertsFold
from tapestream.alerts.instruments import Instruments
from tapestream.alerts.projection import EventWriter
from tapestream.alerts.radars import radar_fault
from tapestream.alerts.recovery import recorded_firings
from tapestream.alerts.registry import all_metrics, load_channels
from tapestream.alerts.requests import Requests
from tapestream.alerts.rules import Rules
from tapestream.alerts.settings import AlertsSettings
from tapestream.alerts.store import Store
from tapestream.alerts.urls import UrlCheck
from tapestream.alerts.watches import Watches
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.durable import DurableReader
from tapestream.common.bus.provision import provision
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.bus.stateful import StatefulConsumer
from tapestream.common.contracts.streams import ALERTS, BARS, MARKET, SIGNALS
from tapestream.common.db.engine import connect, make_engine
from tapestream.common.db.migrate import migrate
from tapestream.common.db.projection import Projection
from tapestream.common.process import ProcessContext

log = structlog.get_logger(__name__)

STANDBY_S = 0.5


async def main(context: ProcessContext, settings: AlertsSettings) -> None:
    """Run until stopped."""
    for library in ("apprise", "httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # their lines hold URLs, and these hold secrets
    url = settings.database_url.get_secret_value()
    context.health.set("rules", False, "starting")
    bus = await context.connect_bus()
    await provision(bus, settings.stream_store_bytes)
    await asyncio.to_thread(migrate, url)
    await asyncio.to_thread(load_channels)
    await _alone(context, url)
    if not context.stopping.is_set():
        engine = make_engine(url, "tapestream alerts")
        await _run(context, settings, bus, engine)
        await engine.dispose()
    await context.cancel_tasks("lock")
    await bus.close()


async def _alone(context: ProcessContext, url: str) -> None:
    """Become the one process that evaluates: two would tell everything twice. Others stand by."""

    def waiting(problem: str) -> None:
        context.health.set("database", False, problem)

    async def reconnect() -> AsyncConnection:
        return await connect(url, "tapestream alerts", waiting=waiting)

    connection, take = await reconnect(), Projection("alerts", "rules").take
    context.health.set("database", True)
    told = False
    while not await take(connection):
        if context.stopping.is_set():
            await connection.close()
            return
        if not told:
            log.info("standing_by", reason="another alerts process evaluates the rules")
            told = True
        await asyncio.sleep(STANDBY_S)
    context.spawn(keep_lock(connection, reconnect, take), "lock")


async def _run(context: ProcessContext, settings: AlertsSettings, bus: Bus, engine: AsyncEngine) -> None:
    subjects, store = context.subjects, Store(engine)
    fold = AlertsFold(subjects)
    instruments = Instruments(bus, settings)
    check = UrlCheck(allow_private=settings.alert_webhook_private)
    bounds = Bounds(
        metrics=all_metrics(),
        venue=settings.venue,
        timeframes=settings.resample_intervals,
        is_known=instruments.is_known,
        known_text=instruments.known_text,
        channel_fault=check.fault,
        window=settings.default_rolling_window,
        method=settings.default_regression,
    )
    watches = Watches(bus)
    rules = Rules(
        store,
        fold.evaluator,
        instruments,
        bounds,
        watches,
        settings.alert_max_rules,
        partial(radar_fault, bus),
    )
    begin = await rules.load()

    publisher = ResumingPublisher(
        bus, stream=ALERTS, filters=[subjects.all_alerts()], producer=context.producer
    )
    context.spawn(publisher.run(), "publisher")
    await publisher.ready.wait()

    async def recover(since: datetime | None, _: set[str]) -> None:
        fold.evaluator.install(await recorded_firings(bus, since))
        await rules.warm_again()

    consumer = StatefulConsumer(
        bus,
        name="alerts",
        sources={
            MARKET: [subjects.market(kind) for kind in ("trade", "backfill", "clock")],
            BARS: [subjects.market("bar")],
            SIGNALS: [subjects.all_signals()],
        },
        fold=fold,
        publisher=publisher,
        on_degraded=lambda why: context.health.set("fold", False, why),
        begin=begin,
        on_restored=recover,
    )
    context.spawn(consumer.run(), "fold")
    deliveries = Deliveries(
        engine,
        SendOptions(
            timeout_s=settings.alert_delivery_timeout_s,
            allow_private=settings.alert_webhook_private,
            secret=settings.alert_webhook_secret.get_secret_value(),
        ),
        deadline_s=settings.alert_delivery_deadline_s,
        longest_wait_s=settings.alert_delivery_longest_wait_s,
    )
    source = DurableReader(bus, stream=ALERTS, durable="alerts-history", filters=[subjects.all_alerts()])
    url = settings.database_url.get_secret_value()
    history = EventWriter(url, source, context.health, deliveries.wake)
    writing = context.spawn(history.run(), "history")
    context.spawn(deliveries.run(), "deliveries")
    context.spawn(instruments.follow(), "instruments")
    requests = Requests(bus, rules, store, BackTest(engine, settings.alert_test_events))
    context.spawn(requests.serve(), "requests")
    context.spawn(_every_second(context, fold, rules, watches), "figures")
    context.health.set("rules", True)
    await context.run_until_stopped()

    await context.cancel_tasks("requests")
    await context.cancel_tasks("fold")
    with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):  # the last snapshot does as well
        await consumer.save()
    history.stop()
    await asyncio.gather(writing, return_exceptions=True)
    await context.cancel_tasks("deliveries")


async def _every_second(context: ProcessContext, fold: AlertsFold, rules: Rules, watches: Watches) -> None:
    """What others are told, and what could not be told before."""
    told: dict[str, float] = {}
    context.figures = lambda: told
    while True:
        counts = fold.evaluator.counts
        triggered = await rules.triggered_count()
        context.health.set("database", triggered is not None, "the database does not answer")
        told["active_alerts"] = rules.active_count
        if triggered is not None:
            told["triggered_alerts"] = triggered
        figures.TRADES.set(counts.trades)
        figures.DUPLICATES.set(counts.duplicates)
        figures.LATE_TRADES.set(counts.late_trades)
        figures.REVISED.set(counts.revised)
        await watches.retry()
        await asyncio.sleep(1)
