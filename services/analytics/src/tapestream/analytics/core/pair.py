"""One watched pair: figures at each bar that both legs have."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from tapestream.analytics.core.rows import Joined, Rows
from tapestream.analytics.core.series import Saved, Series, joined
from tapestream.analytics.core.watch import Watch
from tapestream.common.contracts.signals import PairSignal
from tapestream.quant.pairs import REASONS, Method, PairPoint, PairStream, Reason, pair_series
from tapestream.quant.stationarity import adf, half_life

KEPT_REVISIONS = 1_000
RECURSIVE_ROWS = 600
"""Rows that a filter is made anew from at least: it forgets slowly."""
NO_ROWS = Saved(b"", b"", b"")


class SavedPair(msgspec.Struct):
    """A pair as it is saved."""

    stream: bytes
    last_ns: int
    revisions: dict[int, int]
    is_outdated: bool
    dropped: tuple[int, int]
    first_ns: int = -1
    rows: Saved = NO_ROWS


@dataclass(slots=True)
class Pair:
    """State of one watch. Both series outlive it."""

    watch: Watch
    a: Series
    b: Series
    stream: PairStream = field(init=False)
    rows: Rows = field(init=False)
    """What the state follows from, and the tests of the newest window."""
    last_ns: int = -1
    """Start of the newest bar that was taken in."""
    revisions: dict[int, int] = field(default_factory=dict)
    """Start → how often the figures of a bar were published again."""
    is_outdated: bool = False
    """A bar behind ``last_ns`` has changed: the stream is made anew before it is used next."""
    first_ns: int = -1
    """Start of the first bar that figures are published of: bars before it are taken in silently."""
    dropped_a: int = 0
    """Bars of ``a`` that ``b`` had none for when it went on, and the other way round."""
    dropped_b: int = 0

    def __post_init__(self) -> None:
        self.stream = PairStream(self.watch.window, self.watch.method)
        is_recursive = self.watch.method is Method.KALMAN
        self.rows = Rows(max(depth(self.watch), RECURSIVE_ROWS if is_recursive else 0))

    def saved(self) -> SavedPair:
        return SavedPair(
            self.stream.dump(),
            self.last_ns,
            self.revisions,
            self.is_outdated,
            (self.dropped_a, self.dropped_b),
            self.first_ns,
            self.rows.saved(self.a, self.b),
        )

    def restore(self, saved: SavedPair) -> None:
        """Raises ValueError for what cannot be read."""
        self.stream = PairStream.load(saved.stream)
        self.last_ns, self.revisions = saved.last_ns, saved.revisions
        self.is_outdated, self.first_ns = saved.is_outdated, saved.first_ns
        self.dropped_a, self.dropped_b = saved.dropped
        self.rows.restore(saved.rows)
        self.rows.follow(self.a, self.b, self.last_ns)

    def warm_up(self) -> None:
        """Take in all that both series hold, as if it had come bar by bar."""
        known = [*joined(self.a, self.b, 1, _FOREVER)[0].tolist(), *self.rows.ts_ns[-1:]]
        self.last_ns = max(known, default=-1)
        self._make_anew()

    def take_older(self, older: Joined) -> None:
        """Take in recorded rows that are older than what both series hold."""
        self.rows.prepend(older)
        self.is_outdated = True

    def on_bar(self, ts_ns: int, *, revised: bool) -> PairSignal | None:
        """A bar that one leg got; figures where the other one has it, too, and they are due."""
        y, x = self.a.close_at(ts_ns), self.b.close_at(ts_ns)
        if y is None or x is None:
            kept = self.rows.at(ts_ns)
            if kept is None:
                return None
            y, x = (kept[0] if y is None else y), (kept[1] if x is None else x)
        if ts_ns > self.last_ns:
            if self.is_outdated:
                self._make_anew()
            self.dropped_a += self.a.count_between(self.last_ns, ts_ns) if self.last_ns >= 0 else 0
            self.dropped_b += self.b.count_between(self.last_ns, ts_ns) if self.last_ns >= 0 else 0
            self.last_ns = ts_ns
            self.rows.put(ts_ns, y, x)
            point = self.stream.update(y, x)
            return self._signal(ts_ns, y, x, point, 0) if ts_ns >= self.first_ns else None
        self.is_outdated = True
        self.rows.put(ts_ns, y, x)
        self.rows.follow(self.a, self.b, self.last_ns)
        if ts_ns < self.first_ns or not self._in_window(ts_ns):
            return None
        if revised:
            self.revisions[ts_ns] = self.revisions.get(ts_ns, 0) + 1
            while len(self.revisions) > KEPT_REVISIONS:
                del self.revisions[next(iter(self.revisions))]
        return self._figures_at(ts_ns)

    def newest(self) -> PairSignal | None:
        """The figures of the newest joined bar; None before the first."""
        return self._figures_at(self.last_ns) if self.last_ns >= 0 else None

    def provisional(self, ts_ns: int, y: float, x: float) -> PairSignal:
        """Figures as they were if the running bar ended with these prices; the state stays as it is."""
        if self.is_outdated:
            self._make_anew()
        return self._message(ts_ns, y, x, self.stream.peek(y, x), complete=False, rev=0)

    # --- inside

    def _in_window(self, ts_ns: int) -> bool:
        ts, _, _ = self.rows.part(self.watch.window, self.last_ns)
        return bool(len(ts)) and ts_ns >= int(ts[0])

    def _make_anew(self) -> None:
        self.stream = PairStream(self.watch.window, self.watch.method)
        if self.last_ns >= 0:
            self.rows.follow(self.a, self.b, self.last_ns)
            _, ys, xs = self.rows.part(None, self.last_ns)
            for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
                self.stream.update(y, x)
        self.is_outdated = False

    def _figures_at(self, ts_ns: int) -> PairSignal:
        _, ys, xs = self.rows.part(None, ts_ns)
        found = pair_series(ys, xs, self.watch.window, self.watch.method)
        point = PairPoint(
            float(found.hedge_ratio[-1]),
            float(found.intercept[-1]),
            float(found.spread[-1]),
            float(found.zscore[-1]),
            float(found.correlation[-1]),
            REASONS[found.reason[-1]],
        )
        return self._signal(ts_ns, float(ys[-1]), float(xs[-1]), point, self.revisions.get(ts_ns, 0))

    def _signal(self, ts_ns: int, y: float, x: float, point: PairPoint, rev: int) -> PairSignal:
        """Figures of a complete bar, those of the window's spread by the newest ratio included."""
        statistic = pvalue = half = None
        reason = point.reason
        if math.isfinite(point.hedge_ratio):
            _, ys, xs = self.rows.part(self.watch.window, ts_ns)
            spread = ys - point.hedge_ratio * xs
            test, life = adf(spread), half_life(spread)
            statistic, pvalue, half = number(test.statistic), number(test.pvalue), number(life.value)
            reason = reason or test.reason or life.reason
        message = self._message(ts_ns, y, x, point, complete=True, rev=rev)
        return msgspec.structs.replace(
            message, adf_statistic=statistic, adf_pvalue=pvalue, half_life_bars=half, reason=_text(reason)
        )

    def _message(
        self, ts_ns: int, y: float, x: float, point: PairPoint, *, complete: bool, rev: int
    ) -> PairSignal:
        watch = self.watch
        return PairSignal(
            venue_a=watch.a.venue,
            symbol_a=watch.a.symbol,
            venue_b=watch.b.venue,
            symbol_b=watch.b.symbol,
            timeframe=watch.timeframe,
            window=watch.window,
            method=watch.method.value,
            ts_ns=ts_ns,
            complete=complete,
            price_a=y,
            price_b=x,
            hedge_ratio=number(point.hedge_ratio),
            intercept=number(point.intercept),
            spread=number(point.spread),
            zscore=number(point.zscore),
            correlation=number(point.correlation),
            reason=_text(point.reason),
            rev=rev,
        )


_FOREVER = (1 << 63) - 1


def depth(watch: Watch) -> int:
    """Bars to keep of each leg: a window of spreads of windows, and as many more for bars of one leg alone."""
    return 3 * watch.window


def number(value: float) -> float | None:
    """None for what is undefined."""
    return float(value) if math.isfinite(value) else None


def _text(reason: Reason | None) -> str:
    return "" if reason is None else reason.value
