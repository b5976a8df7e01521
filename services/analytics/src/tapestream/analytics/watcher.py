"""Which pairs are watched: the union of what owners want and of what the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import combinations

import nats.errors
import numpy as np
import structlog

from tapestream.analytics import metrics
from tapestream.analytics.core.pair import depth
from tapestream.analytics.core.rows import Joined
from tapestream.analytics.core.series import join, joined
from tapestream.analytics.core.watch import Watch, read_watch
from tapestream.analytics.fold import PairsFold
from tapestream.analytics.history import BarHistory, HistoryAwayError
from tapestream.analytics.settings import ALL, NONE, AnalyticsSettings
from tapestream.common.bus.buckets import bucket_revision, read_instruments, read_wants, read_watches
from tapestream.common.bus.connection import Bus
from tapestream.common.bus.fold import Output
from tapestream.common.contracts.feeds import available_symbols, wanted_names
from tapestream.common.contracts.instruments import InstrumentName, parse_pair
from tapestream.common.contracts.messages import FeedWant, Instrument
from tapestream.common.contracts.signals import PairWatch, PairWatches
from tapestream.common.contracts.streams import BUCKET_FEEDS, BUCKET_INSTRUMENTS, BUCKET_WATCHES

log = structlog.get_logger(__name__)

REFRESH_S = 0.5
"""Asking whether a bucket has changed needs no bookkeeping across reconnects."""
WARM_UP_TIMEOUT_S = 5.0
MOST_WARM_UP = 100_000
"""Bars of a leg that are read at most to find those that it has in common with the other one."""
_FOREVER = (1 << 63) - 1


class Watcher:
    """Keeps the fold's pairs as they are wanted."""

    def __init__(
        self,
        bus: Bus,
        settings: AnalyticsSettings,
        fold: PairsFold,
        history: BarHistory,
        on_ticks: Callable[[set[Watch]], None],
    ) -> None:
        self._bus, self._settings, self._fold, self._history = bus, settings, fold, history
        self._on_ticks = on_ticks
        self._revisions: tuple[int, ...] = ()
        self._watches: dict[str, PairWatches] = {}
        self._wants: dict[str, FeedWant] = {}
        self._instruments: list[Instrument] = []
        self._warm: dict[tuple[InstrumentName, str], int] = {}
        """Series → bars that history was asked for already."""
        self._deep: set[Watch] = set()
        """Those whose rows reach as far back as they need, or as there is history."""
        self._refused: set[str] = set()

    @property
    def streamed(self) -> list[InstrumentName]:
        """What streams now, in the order of its names."""
        venue = self._settings.venue
        listed = [one.symbol for one in self._instruments if one.venue == venue]
        available = available_symbols(listed, self._settings.available_symbols, self._settings.max_symbols)
        names, _ = wanted_names(self._wants, venue, available)
        return sorted(name for name in names if name.venue != venue or name.symbol in listed)

    async def prepare(self, _since: datetime | None, written: set[str]) -> None:
        """Take up what is wanted before the stream is read on: what the snapshot lacks is warmed up.

        ``written`` are the ids of what was published since: such a watch goes on where it had begun.
        """
        while not await self._refresh():
            await asyncio.sleep(REFRESH_S)
        wanted = self._wanted()
        for watch in sorted(wanted, key=lambda one: one.text):
            first_ns = -1
            if not self._fold.is_saved(watch):
                # only behind what the snapshot holds: the stream brings the rest
                await self._warm_up(watch, may_begin=False)
                first_ns = self._fold.first_published(watch, written)
            self._fold.watch(watch, first_ns, await self._older(watch))
        self._fold.settle()
        self._tell(wanted)

    async def run(self, emit: Callable[[Iterable[Output]], None]) -> None:
        """Follow changes until cancelled, once everything stored has been read."""
        while True:
            if await self._refresh():
                await self._apply(emit)
            await asyncio.sleep(REFRESH_S)

    # --- inside

    async def _refresh(self) -> bool:
        """Read what has changed; False while NATS is away."""
        buckets = (BUCKET_WATCHES, BUCKET_FEEDS, BUCKET_INSTRUMENTS)
        try:
            revisions = tuple([await bucket_revision(self._bus, bucket) for bucket in buckets])
            if revisions != self._revisions:
                self._watches = await read_watches(self._bus)
                self._wants = await read_wants(self._bus)
                self._instruments = await read_instruments(self._bus)
                self._revisions = revisions
        except (nats.errors.Error, TimeoutError, OSError) as error:
            log.debug("watches_unreachable", error=repr(error))
            return False
        return True

    async def _apply(self, emit: Callable[[Iterable[Output]], None]) -> None:
        wanted = self._wanted()
        for watch in [watch for watch in self._fold.pairs if watch not in wanted]:
            self._fold.unwatch(watch)
            self._deep.discard(watch)
        for watch in sorted(wanted, key=lambda one: one.text):
            await self._warm_up(watch, may_begin=True)
            older, pair = await self._older(watch), self._fold.pairs.get(watch)
            if pair is not None:
                if older is not None:
                    pair.take_older(older)
                continue
            newest = self._fold.watch(watch, older=older)
            if newest is not None:
                emit([self._fold.output(newest)])
            await asyncio.sleep(0)  # each takes a moment: others have their turn in between
        self._tell(wanted)
        await self._warm_up_radar()

    def _tell(self, wanted: dict[Watch, bool]) -> None:
        metrics.watches.set(len(wanted))
        self._on_ticks({watch for watch, on_tick in wanted.items() if on_tick})

    def _wanted(self) -> dict[Watch, bool]:
        """Watch → whether anybody wants it with every batch of trades, too."""
        found: dict[Watch, bool] = {}
        wishes = [("LIVE_PAIRS", wish) for wish in self._default()]
        wishes += [(owner, wish) for owner, one in self._watches.items() for wish in one.watches]
        for owner, wish in wishes:
            try:
                watch = read_watch(wish, self._settings.venue, self._settings.resample_intervals)
            except ValueError as error:
                text = f"{owner}: {wish.a},{wish.b}/{wish.timeframe}/{wish.window}/{wish.method}"
                if text not in self._refused:
                    self._refused.add(text)
                    log.warning("watch_refused", watch=text[:200], error=str(error))
                continue
            found[watch] = found.get(watch, False) or wish.on_tick
        return found

    def _default(self) -> list[PairWatch]:
        settings = self._settings
        if settings.live_pairs == [NONE]:
            return []
        if settings.live_pairs == [ALL]:
            pairs = list(combinations(self.streamed, 2))
        else:
            pairs = [parse_pair(text.replace("/", ","), settings.venue) for text in settings.live_pairs]
        return [
            PairWatch(
                a=str(a),
                b=str(b),
                timeframe=settings.live_timeframe,
                window=settings.default_rolling_window,
                method=settings.default_regression,
            )
            for a, b in pairs
        ]

    async def _warm_up(self, watch: Watch, *, may_begin: bool) -> None:
        """Fill both series from history as far back as the watch needs; a failure is tried again."""
        for name in (watch.a, watch.b):
            await self._warm_up_series(name, watch.timeframe, depth(watch), may_begin=may_begin)

    async def _older(self, watch: Watch) -> Joined | None:
        """Recorded rows of a pair that is short of them because its legs have few bars in common.

        None where it is not, and where history is away: then it is tried again.
        """
        names = (watch.a, watch.b)
        if watch in self._deep or any(self._warm.get((name, watch.timeframe), 0) <= 0 for name in names):
            return None
        a, b = (self._fold.series_of(name, watch.timeframe) for name in names)
        pair = self._fold.pairs.get(watch)
        need, limit = 2 * watch.window - 1, 2 * depth(watch)
        kept = joined(a, b, need, _FOREVER)[0] if pair is None else pair.rows.part(need, _FOREVER)[0]
        before_ns = int(kept[0]) if len(kept) else _FOREVER
        found: Joined | None = None
        while len(kept) < need:
            try:
                async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                    legs = [await self._history.recorded(name, watch.timeframe, limit) for name in names]
            except (HistoryAwayError, TimeoutError) as error:
                log.debug("warm_up_waits", watch=watch.text, error=str(error))
                return None
            found = join(*legs)
            shorter = max(legs, key=lambda leg: leg[0][0] if len(leg[0]) else _FOREVER)
            count = len(kept) + int(np.searchsorted(found[0], before_ns))
            if count >= need or len(shorter[0]) < limit or limit >= MOST_WARM_UP:
                break
            limit *= 2
        self._deep.add(watch)
        return found if found is not None and len(found[0]) else None

    async def _warm_up_radar(self) -> None:
        """Fill what the radar looks at; where history is away, all of it is tried again later."""
        for timeframe in self._settings.radar_timeframes:
            for name in self.streamed:
                if not await self._warm_up_series(name, timeframe, self._settings.radar_bars, may_begin=True):
                    return

    async def _warm_up_series(
        self, name: InstrumentName, timeframe: str, rows: int, *, may_begin: bool
    ) -> bool:
        """Fill a series from history; False where history is away."""
        key = (name, timeframe)
        if self._warm.get(key, 0) >= rows:
            return True
        series = self._fold.series_of(*key)
        if not len(series) and not may_begin:
            return True
        end_ns = series.ts_ns[-1] if len(series) else None
        try:
            async with asyncio.timeout(WARM_UP_TIMEOUT_S):
                found = await self._history.recorded(name, timeframe, rows, end_ns=end_ns)
        except (HistoryAwayError, TimeoutError) as error:
            if key not in self._warm:
                why = str(error) or "no answer in time"
                log.warning("warm_up_waits", series=f"{name}/{timeframe}", error=why)
                self._warm[key] = 0
            return False
        self._fold.fill(name, timeframe, *found, rows)
        self._warm[key] = rows
        return True
