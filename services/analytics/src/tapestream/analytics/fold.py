"""The fold from bars to the figures of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import msgspec
import numpy.typing as npt
import structlog

from tapestream.analytics.core.pair import Pair, SavedPair, depth
from tapestream.analytics.core.rows import Joined
from tapestream.analytics.core.series import Change, Saved, Series
from tapestream.analytics.core.watch import Watch
from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.contracts.instruments import InstrumentName
from tapestream.common.contracts.messages import Bar, decoder, encode
from tapestream.common.contracts.signals import PairSignal
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.contracts.timeframes import timeframe_ns

log = structlog.get_logger(__name__)

KEEP_BARS = 600
"""Closes kept of every series at least: what a feed is warmed up with comes one leg after the other."""
MOST_RETIRED = 10_000
_LARGEST_NS = 1 << 63

SeriesKey = tuple[InstrumentName, str]
"""Instrument and timeframe."""
_decode_bar = decoder(Bar).decode


class _State(msgspec.Struct):
    series: dict[str, Saved]
    pairs: dict[str, SavedPair]
    retired: dict[str, int]


class PairsFold:
    """State and transitions; see :class:`tapestream.common.bus.fold.Fold`.

    What is watched is decided elsewhere (:meth:`watch`, :meth:`unwatch`). Series are kept of every
    instrument and built timeframe, watched or not.
    """

    def __init__(self, subjects: Subjects, timeframes: Iterable[str], keep_bars: int = KEEP_BARS) -> None:
        self._subjects = subjects
        self._lengths = {timeframe: timeframe_ns(timeframe) for timeframe in timeframes}
        self._keep = keep_bars
        self.series: dict[SeriesKey, Series] = {}
        self.pairs: dict[Watch, Pair] = {}
        self._by_leg: dict[SeriesKey, list[Pair]] = {}
        self._saved: dict[str, SavedPair] = {}
        """Pairs of the snapshot that nobody has asked for again yet."""
        self._retired: dict[str, int] = {}
        """Watches that ended → the last bar that they published."""
        self._keys: dict[str, SeriesKey | None] = {}
        self.newest_ns: dict[str, int] = {}
        """Timeframe → start of the newest complete bar of any instrument."""

    # --- the fold

    def apply(self, message: Incoming) -> Iterable[Output]:
        key = self._key_of(message.subject)
        if key is None:
            return ()
        try:
            bar = _decode_bar(message.data)
        except msgspec.DecodeError as error:
            raise ValueError(str(error)) from error
        if not bar.complete:
            return ()
        if (
            not 0 <= bar.ts_ns < _LARGEST_NS
            or bar.ts_ns % self._lengths[key[1]]
            or not math.isfinite(bar.close)
        ):
            raise ValueError(
                f"ts_ns {bar.ts_ns} is no start of a {key[1]} bar, or its close {bar.close} is no price"
            )
        return self._on_bar(key, bar)

    def dump(self) -> bytes:
        state = _State(
            series={f"{name}/{timeframe}": one.saved() for (name, timeframe), one in self.series.items()},
            pairs=self._saved | {watch.text: pair.saved() for watch, pair in self.pairs.items()},
            retired=self._retired,
        )
        return msgspec.msgpack.encode(state)

    def load(self, data: bytes) -> None:
        state = msgspec.msgpack.decode(data, type=_State)
        for text, saved in state.series.items():
            name, _, timeframe = text.rpartition("/")
            if timeframe in self._lengths:
                series = self.series[InstrumentName.parse(name, ""), timeframe] = Series(self._keep, saved)
                self._note_newest(timeframe, series)
        self._saved, self._retired = state.pairs, state.retired

    # --- what is watched

    def watch(self, watch: Watch, first_ns: int = -1, older: Joined | None = None) -> PairSignal | None:
        """Begin with a pair, as the snapshot left it or else warmed up with what its series hold.

        ``older`` are recorded rows from before these. What the snapshot lacks publishes nothing of bars that start before ``first_ns``. Returns its newest figures where they are not known to have been published.
        """
        a, b = (self.series_of(name, watch.timeframe) for name in (watch.a, watch.b))
        for series in (a, b):
            series.depth = max(series.depth, depth(watch))
        pair = Pair(watch, a, b)
        saved = self._saved.pop(watch.text, None)
        if not (saved and _restored(pair, saved)):
            if older is not None:
                pair.take_older(older)
            pair.warm_up()
            pair.first_ns = first_ns
        self.pairs[watch] = pair
        for leg in (watch.a, watch.b):
            at = self._by_leg.setdefault((leg, watch.timeframe), [])
            at.append(pair)
            at.sort(key=lambda one: one.watch.text)
        published_ns = self._retired.pop(watch.text, -1)
        return pair.newest() if saved is None and pair.last_ns > published_ns else None

    def unwatch(self, watch: Watch) -> None:
        """End with a pair; what its last published bar was is remembered."""
        pair = self.pairs.pop(watch)
        for leg in (watch.a, watch.b):
            self._by_leg[leg, watch.timeframe].remove(pair)
        self._retire(watch.text, pair.last_ns)

    def settle(self) -> None:
        """What of the snapshot was not asked for again has ended."""
        for text, saved in self._saved.items():
            self._retire(text, saved.last_ns)
        self._saved = {}

    def is_saved(self, watch: Watch) -> bool:
        """Whether the snapshot holds this watch."""
        return watch.text in self._saved

    def first_published(self, watch: Watch, written: Iterable[str]) -> int:
        """Start of the first bar of a watch among message ids of outputs; -1 where there is none of it."""
        prefix = f"{self._subjects.pair_signal(watch.timeframe, watch.a, watch.b)}:"
        starts = [
            int(ts)
            for one in written
            if one.startswith(prefix)
            for ts, window, method, _ in [one.removeprefix(prefix).split(":")]
            if (window, method) == (str(watch.window), watch.method.value)
        ]
        return min(starts, default=-1)

    def output(self, signal: PairSignal) -> Output:
        """A signal as it goes out."""
        a = InstrumentName(signal.symbol_a, signal.venue_a)
        b = InstrumentName(signal.symbol_b, signal.venue_b)
        key = f"{signal.ts_ns}:{signal.window}:{signal.method}:{signal.rev}"
        return Output(self._subjects.pair_signal(signal.timeframe, a, b), key, encode(signal))

    # --- series

    def series_of(self, name: InstrumentName, timeframe: str) -> Series:
        """The series, made at first need."""
        found = self.series.get((name, timeframe))
        if found is None:
            found = self.series[name, timeframe] = Series(self._keep)
        return found

    def fill(
        self, name: InstrumentName, timeframe: str, ts_ns: npt.NDArray, close: npt.NDArray, rows: int
    ) -> None:
        """Take recorded bars in, so that a series holds ``rows``; pairs of it follow at their next bar."""
        series = self.series_of(name, timeframe)
        series.depth = max(series.depth, rows)
        before = len(series)
        series.fill(ts_ns, close)
        if len(series) != before:
            for pair in self._by_leg.get((name, timeframe), ()):
                pair.is_outdated = True
            self._note_newest(timeframe, series)

    # --- inside

    def _key_of(self, subject: str) -> SeriesKey | None:
        if subject not in self._keys:
            parsed = self._subjects.parse_market(subject)
            is_bar = parsed.kind == "bar" and parsed.timeframe in self._lengths
            name = InstrumentName(parsed.symbol, parsed.venue)
            self._keys[subject] = (name, parsed.timeframe or "") if is_bar else None
        return self._keys[subject]

    def _on_bar(self, key: SeriesKey, bar: Bar) -> Iterator[Output]:
        change = self.series_of(*key).put(bar)
        if change is Change.NOTHING:
            return
        self.newest_ns[key[1]] = max(bar.ts_ns, self.newest_ns.get(key[1], -1))
        for pair in self._by_leg.get(key, ()):
            signal = pair.on_bar(bar.ts_ns, revised=change is Change.REVISED)
            if signal is not None:
                yield self.output(signal)

    def _note_newest(self, timeframe: str, series: Series) -> None:
        if len(series):
            self.newest_ns[timeframe] = max(series.ts_ns[-1], self.newest_ns.get(timeframe, -1))

    def _retire(self, text: str, last_ns: int) -> None:
        self._retired[text] = last_ns
        while len(self._retired) > MOST_RETIRED:
            del self._retired[next(iter(self._retired))]


def _restored(pair: Pair, saved: SavedPair) -> bool:
    try:
        pair.restore(saved)
    except ValueError as error:
        log.warning("pair_unreadable", pair=pair.watch.text, error=str(error), instead="warmed up anew")
        return False
    return True
