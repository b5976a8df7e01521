"""Composition root of the bars program."""

from __future__ import annotations

import contextlib

import nats.errors
from prometheus_client import Gauge

from tapestream.common.bus.provision import provision
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.bus.stateful import StatefulConsumer
from tapestream.common.contracts.streams import BARS, MARKET
from tapestream.common.process import ProcessContext
from tapestream.common.settings import Settings
from tapestream.ingest.bars.core.fold import BarsFold

_too_old = Gauge(
    "tapestream_bars_too_old_trades",
    "Late trades whose bar could no longer be revised, since the first start",
)


async def main(context: ProcessContext, settings: Settings) -> None:
    """Run until stopped."""
    context.health.set("fold", False, "starting")
    bus = await context.connect_bus()
    await provision(bus, settings.stream_store_bytes)
    subjects = context.subjects
    fold = BarsFold(subjects, settings.resample_intervals)
    _too_old.set_function(lambda: fold.state.too_old)
    publisher = ResumingPublisher(
        bus, stream=BARS, filters=[subjects.market("bar")], producer=context.producer
    )
    context.spawn(publisher.run(), "publisher")
    await publisher.ready.wait()
    consumer = StatefulConsumer(
        bus,
        name="bars",
        sources={MARKET: [subjects.market(kind) for kind in ("trade", "backfill", "kline", "clock")]},
        fold=fold,
        publisher=publisher,
        on_degraded=lambda why: context.health.set("fold", False, why),
    )
    context.spawn(consumer.run(), "fold")
    context.health.set("fold", True)
    await context.run_until_stopped()
    await context.cancel_tasks("fold")
    with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):  # the last snapshot does as well
        await consumer.save()
    await bus.close()
