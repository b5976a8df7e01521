"""Composition root of the venue program: one venue, its connections, its history, its feeds."""

from __future__ import annotations

import asyncio

from tapestream.common.bus.connection import Bus
from tapestream.common.bus.live import LiveReader
from tapestream.common.bus.provision import provision
from tapestream.common.bus.publisher import ACK_TIMEOUT_S, ResumingPublisher
from tapestream.common.contracts.feeds import available_symbols
from tapestream.common.contracts.streams import BARS, MARKET
from tapestream.common.contracts.subjects import encode_token
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.common.plugins import load_plugin
from tapestream.common.process import ProcessContext
from tapestream.ingest import metrics, venues
from tapestream.ingest.backfill import Backfiller
from tapestream.ingest.connection import RouteConnection
from tapestream.ingest.core.watermark import Watermark
from tapestream.ingest.feeds import FeedWatcher
from tapestream.ingest.filler import HoleFiller
from tapestream.ingest.history import VenueHistory
from tapestream.ingest.instruments import InstrumentList
from tapestream.ingest.market_publisher import MarketPublisher
from tapestream.ingest.market_sink import MarketSink
from tapestream.ingest.rest import VenueRest
from tapestream.ingest.settings import IngestSettings
from tapestream.ingest.venue import Venue

REMOVAL_DELAY_S = 2.0
"""Frames of a symbol may still be on their way after the venue agreed to stop it."""


async def main(context: ProcessContext, settings: IngestSettings) -> None:
    """Run until stopped."""
    venue: Venue = load_plugin(venues, settings.venue).VENUE
    rest = VenueRest(
        venue.name,
        settings.binance_rest_url or venue.rest_url,
        settings.binance_api_key.get_secret_value(),
        venue.weight_per_minute,
    )
    context.health.set("venue", False, "not connected yet")
    bus = await context.connect_bus()
    await provision(bus, settings.stream_store_bytes)
    sink, messages, publishers = _make_sink(context, settings, venue, bus)
    for publisher in publishers:
        context.spawn(publisher.run(), "publisher")
        await publisher.ready.wait()
    instruments = InstrumentList(venue, rest, bus, refresh_s=settings.instruments_refresh_s)
    await instruments.load()
    filler = HoleFiller(sink, venue, rest, patience_s=settings.hole_patience_s)
    history = VenueHistory(venue, rest, bus, publishers[0], settings)
    routes = _make_routes(settings, venue, sink, filler)
    filler.trades_live = lambda: any(route.live for route in routes if route.route.carries_trades)
    _answer_replies(sink, routes)

    def serve(symbols: list[str]) -> None:
        new = [symbol for symbol in symbols if symbol not in sink.feeds]
        for symbol in new:
            sink.add_symbol(symbol)
        for route in routes:
            route.want(symbols)
        gone = [symbol for symbol in sink.feeds if symbol not in symbols]
        if gone:
            asyncio.get_running_loop().call_later(REMOVAL_DELAY_S, remove, gone)
        history.warm(new)
        metrics.symbols.labels(venue.name).set(len(symbols))

    def remove(symbols: list[str]) -> None:
        for symbol in symbols:
            if symbol not in feeds.current:
                sink.remove_symbol(symbol)

    def on_listed(listed: list[str]) -> None:
        feeds.offer(available_symbols(listed, settings.available_symbols, settings.max_symbols), listed)

    feeds = FeedWatcher(bus, venue.name, serve)
    on_listed(instruments.symbols)
    context.spawn(instruments.run(on_listed), "instruments")
    for route in routes:
        context.spawn(route.run(), f"route {route.route.name}")
    context.spawn(filler.run(), "filler")
    backfiller = Backfiller(sink, messages, venue, rest)
    words = context.subjects.market("gap").replace(">", f"{encode_token(venue.name)}.>")
    gap_words = LiveReader(bus, stream=BARS, filters=[words], handle=backfiller.on_gap)
    context.spawn(gap_words.run(), "gap words")
    context.spawn(backfiller.run(gap_words.caught_up), "backfill")
    context.spawn(feeds.run(), "feeds")
    context.spawn(history.serve_requests(), "history requests")
    context.spawn(_every_second(context, sink, publishers[0], routes, settings), "clock")
    await context.run_until_stopped()

    for route in routes:
        route.stop()
    sink.flush()
    await asyncio.gather(*(publisher.drained() for publisher in publishers))
    await rest.close()
    await bus.close()


def _make_sink(
    context: ProcessContext, settings: IngestSettings, venue: Venue, bus: Bus
) -> tuple[MarketSink, MarketPublisher, list[ResumingPublisher]]:
    subjects = context.subjects
    name = encode_token(venue.name)
    kinds = ("trade", "backfill", "quote", "kline", "clock")
    market = ResumingPublisher(
        bus,
        stream=MARKET,
        filters=[
            subjects.market(kind).replace(">", f"{name}.>" if kind != "clock" else name) for kind in kinds
        ],
        producer=context.producer,
    )
    gaps = ResumingPublisher(bus, stream=BARS, filters=[subjects.market("gap")], producer=context.producer)
    shortest_ns = min(timeframe_ns(timeframe) for timeframe in settings.resample_intervals)
    messages = MarketPublisher(venue.name, subjects, market, gaps)
    market.on_orphan = messages.adopt_orphan
    sink = MarketSink(venue.name, messages, Watermark(settings.watermark_lag_ms * 1_000_000, shortest_ns))
    return sink, messages, [market, gaps]


def _make_routes(
    settings: IngestSettings, venue: Venue, sink: MarketSink, filler: HoleFiller
) -> list[RouteConnection]:
    async def trades_up() -> None:
        filler.audit_all()

    async def nothing_up() -> None:
        pass

    return [
        RouteConnection(
            settings.binance_ws_url or venue.ws_url,
            venue,
            route,
            sink,
            watchdog_s=settings.watchdog_s,
            lifetime_s=settings.connection_lifetime_s,
            on_up=trades_up if route.carries_trades else nothing_up,
            on_down=sink.unverify if route.carries_trades else lambda: None,
        )
        for route in venue.routes
    ]


def _answer_replies(sink: MarketSink, routes: list[RouteConnection]) -> None:
    def on_reply(request_id: int, error: str) -> None:
        for route in routes:
            route.on_reply(request_id, error)

    sink.on_reply = on_reply


async def _every_second(
    context: ProcessContext,
    sink: MarketSink,
    publisher: ResumingPublisher,
    routes: list[RouteConnection],
    settings: IngestSettings,
) -> None:
    """The clock's beat, the process's health, and the brake for when the bus falls behind."""
    limit = settings.backlog_limit_mb << 20
    while True:
        down = [route.route.name for route in routes if not route.live]
        sink.tick(trades_live=any(r.live for r in routes if r.route.carries_trades))
        wanted = bool(sink.feeds)
        context.health.set(
            "publisher",
            publisher.ready.is_set() and publisher.behind_s < ACK_TIMEOUT_S,
            "the stream does not take what is published",
        )
        context.health.set("venue", not (down and wanted), f"not connected: {', '.join(down)}")
        if publisher.backlog_bytes > limit:
            for route in routes:
                route.paused.set()
        elif publisher.backlog_bytes < limit // 4:
            for route in routes:
                route.paused.clear()
        await asyncio.sleep(1)
