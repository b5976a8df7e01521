"""The radar: every pair of the streamed instruments scored after each bar."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from tapestream.analytics import metrics
from tapestream.analytics.core.ranking import grid, ranked
from tapestream.analytics.fold import PairsFold
from tapestream.common.bus.publisher import ResumingPublisher
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import encode
from tapestream.common.contracts.signals import Radar, RadarRow
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.contracts.timeframes import timeframe_ns

log = structlog.get_logger(__name__)

LOOK_S = 0.05
GRACE_S = 0.2
"""How long to wait for the other instruments' bars of the same border."""
MOST_BYTES = 480 * 1024
"""A stream takes messages of 512 KiB at most, headers included."""


class RadarKeeper:
    """Looks at the series that the fold keeps; its own state is the newest radar of each timeframe.

    Tests are over the last ``bars``, correlation and z-score over the last ``window`` that a pair has in
    common.
    """

    def __init__(
        self,
        fold: PairsFold,
        publisher: ResumingPublisher,
        subjects: Subjects,
        timeframes: list[str],
        bars: int,
        window: int,
        streamed: Callable[[], list[InstrumentName]],
    ) -> None:
        self._fold, self._publisher, self._subjects = fold, publisher, subjects
        self._streamed, self._bars, self._window = streamed, bars, min(bars, window)
        self.newest: dict[str, Radar | None] = dict.fromkeys(timeframes)
        self._done_ns: dict[str, int] = {}

    async def run(self) -> None:
        """Score after each border until cancelled."""
        began: dict[str, float] = {}
        while True:
            await asyncio.sleep(LOOK_S)
            for timeframe in self.newest:
                newest_ns = self._fold.newest_ns.get(timeframe, -1)
                if newest_ns <= self._done_ns.get(timeframe, -1):
                    continue
                waited = time.monotonic() - began.setdefault(timeframe, time.monotonic())
                names = self._streamed()
                if waited < GRACE_S and not self._all_there(names, timeframe, newest_ns):
                    continue
                del began[timeframe]
                self._done_ns[timeframe] = newest_ns
                await self._score(names, timeframe, newest_ns)

    def _all_there(self, names: list[InstrumentName], timeframe: str, ts_ns: int) -> bool:
        found = [self._fold.series.get((name, timeframe)) for name in names]
        return all(one is not None and len(one) and one.ts_ns[-1] >= ts_ns for one in found)

    async def _score(self, names: list[InstrumentName], timeframe: str, ts_ns: int) -> None:
        parts = [
            (str(name), series.part(self._bars, ts_ns))
            for name in names
            if (series := self._fold.series.get((name, timeframe))) is not None and len(series)
        ]
        if len(parts) < 2:
            return
        began = time.perf_counter()
        rows = await asyncio.to_thread(self._ranked, parts, ts_ns, timeframe_ns(timeframe))
        metrics.radar_seconds.observe(time.perf_counter() - began)
        metrics.radar_pairs.labels(timeframe).set(len(rows))
        radar = Radar(timeframe=timeframe, window=self._window, ts_ns=ts_ns, pairs=len(rows), rows=rows)
        self.newest[timeframe] = radar
        # The start of the bar is the ordinal: a radar that the stream holds is not sent again.
        self._publisher.put(self._subjects.radar(timeframe), ts_ns, fitting(radar), key=str(ts_ns))

    def _ranked(self, parts: list, ts_ns: int, length_ns: int) -> list[RadarRow]:
        closes = grid([columns for _, columns in parts], ts_ns, length_ns, self._bars)
        return ranked([name for name, _ in parts], closes, self._window)


def fitting(radar: Radar) -> bytes:
    """The message with as many of the best rows as fit."""
    payload = encode(radar)
    while len(payload) > MOST_BYTES:
        keep = len(radar.rows) * MOST_BYTES // len(payload) - 1
        radar = Radar(
            timeframe=radar.timeframe,
            window=radar.window,
            ts_ns=radar.ts_ns,
            pairs=radar.pairs,
            rows=radar.rows[:keep],
        )
        payload = encode(radar)
    return payload
