"""The fold from trades and the venue's clock to bars."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import msgspec
from msgspec import UNSET

from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.contracts.messages import (
    Bar,
    BarSource,
    Clock,
    KlineBatch,
    TradeBatch,
    decoder,
    encode,
)
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.quant.bars import BarBuilder, BarState, Columns

PROGRESS_NS = 1_000_000_000
"""An unfinished bar is published as often as this, by the venue's clock."""
MARKET = "MARKET"
LARGEST = 1 << 63
MAX_MISSED = 1000
"""Ranges of missed ids that are remembered; the venue program remembers as many."""

_trades = decoder(TradeBatch).decode
_clock = decoder(Clock).decode
_klines = decoder(KlineBatch).decode


@dataclass(slots=True)
class SymbolBars:
    """What is known of one symbol."""

    venue: str
    symbol: str
    builders: dict[str, BarBuilder]
    last_id: int = -1
    missed: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of ids that were passed over, ascending: late trades are taken from these only."""
    shown: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Timeframe → start and number of trades of the unfinished bar as last published."""


@dataclass(slots=True)
class BarsState:
    """All that a restart needs."""

    symbols: dict[str, SymbolBars] = field(default_factory=dict)
    progress_ns: dict[str, int] = field(default_factory=dict)
    too_old: int = 0
    """Late trades whose interval could no longer be placed."""


class BarsFold:
    """State and transitions; see :class:`tapestream.common.bus.stateful.Fold`."""

    def __init__(self, subjects: Subjects, timeframes: list[str]) -> None:
        self._subjects = subjects
        self._lengths = {timeframe: timeframe_ns(timeframe) for timeframe in timeframes}
        self._readers: dict[str, Callable[[bytes], Iterable[Output]]] = {}
        """By subject, so that each is taken apart once."""
        self.state = BarsState()

    def dump(self) -> bytes:
        # JSON, because sums may be longer than the 64 bits that whole numbers have in msgpack.
        return msgspec.json.encode(self.state)

    def load(self, data: bytes) -> None:
        self.state = msgspec.json.decode(data, type=BarsState)
        for bars in self.state.symbols.values():  # timeframes may have been set anew
            for timeframe, length_ns in self._lengths.items():
                bars.builders.setdefault(timeframe, BarBuilder(length_ns))
            for timeframe in bars.builders.keys() - self._lengths.keys():
                del bars.builders[timeframe]

    def apply(self, message: Incoming) -> Iterable[Output]:
        reader = self._readers.get(message.subject)
        if reader is None:
            reader = self._readers[message.subject] = self._reader_of(message.subject)
        return reader(message.data)

    def _reader_of(self, subject: str) -> Callable[[bytes], Iterable[Output]]:
        match self._subjects.parse_market(subject).kind:
            case "trade":
                return lambda data: self._on_trades(_trades(data))
            case "backfill":
                return lambda data: self._on_late_trades(_trades(data))
            case "clock":
                return lambda data: self._on_clock(_clock(data))
            case "kline":
                return lambda data: self._on_klines(_klines(data))
            case _:
                return lambda _: ()

    # --- messages

    def _on_trades(self, batch: TradeBatch) -> Iterable[Output]:
        _check(batch)
        bars = self._symbol(batch.venue, batch.symbol)
        if not batch.id or batch.id[-1] <= bars.last_id:
            return ()
        fresh = bisect_right(batch.id, bars.last_id) if batch.id[0] <= bars.last_id else 0
        _note_missed(bars, batch.id[fresh:] if fresh else batch.id)
        bars.last_id = batch.id[-1]
        if fresh or batch.kind is not UNSET:
            keep = [i for i in range(fresh, len(batch.id)) if _is_market(batch, i)]
            return self._add(bars, _pick(batch, keep))
        return self._add(bars, Columns(batch.id, batch.ts_ns, batch.price, batch.qty, batch.buyer_maker))

    def _on_late_trades(self, batch: TradeBatch) -> Iterable[Output]:
        _check(batch)
        bars = self._symbol(batch.venue, batch.symbol)
        keep = [i for i, one in enumerate(batch.id) if _take_out(bars.missed, one) and _is_market(batch, i)]
        return self._add(bars, _pick(batch, keep))

    def _on_clock(self, clock: Clock) -> Iterator[Output]:
        show = clock.ts_ns - self.state.progress_ns.get(clock.venue, 0) >= PROGRESS_NS
        if show:
            self.state.progress_ns[clock.venue] = clock.ts_ns
        for bars in self.state.symbols.values():
            if bars.venue != clock.venue:
                continue
            for timeframe, builder in bars.builders.items():
                closed = builder.advance(clock.ts_ns)
                if closed is not None:
                    yield self._output(bars, timeframe, closed, complete=True)
                elif show and (current := builder.current) is not None and builder.length_ns > PROGRESS_NS:
                    shown = (current.start_ns, current.trades)
                    if bars.shown.get(timeframe) != shown:
                        bars.shown[timeframe] = shown
                        yield self._output(bars, timeframe, current, complete=False)

    def _on_klines(self, batch: KlineBatch) -> Iterator[Output]:
        bars = self._symbol(batch.venue, batch.symbol)
        for bar in batch.bars:
            builder = bars.builders.get(bar.timeframe)
            if builder is None or (bar.ts_ns in builder.closed and bar.ts_ns > builder.first_ns):
                continue
            if builder.current is not None and bar.ts_ns >= builder.current.start_ns:
                continue
            yield Output(self._subjects.bar(bar.timeframe, bar.venue, bar.symbol), _key(bar), encode(bar))

    # --- inside

    def _symbol(self, venue: str, symbol: str) -> SymbolBars:
        key = f"{symbol}@{venue}"
        bars = self.state.symbols.get(key)
        if bars is None:
            builders = {tf: BarBuilder(length_ns) for tf, length_ns in self._lengths.items()}
            bars = self.state.symbols[key] = SymbolBars(venue, symbol, builders)
        return bars

    def _add(self, bars: SymbolBars, trades: Columns) -> list[Output]:
        outputs: list[Output] = []
        if not trades.id:
            return outputs
        for timeframe, builder in bars.builders.items():
            finished, too_old = builder.add(trades)
            self.state.too_old += too_old
            outputs += [self._output(bars, timeframe, bar, complete=True) for bar in finished]
        return outputs

    def _output(self, bars: SymbolBars, timeframe: str, bar: BarState, *, complete: bool) -> Output:
        message = Bar(
            venue=bars.venue,
            symbol=bars.symbol,
            timeframe=timeframe,
            ts_ns=bar.start_ns,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            quote_volume=bar.quote_volume,
            buy_volume=bar.buy_volume,
            trades=bar.trades,
            first_id=bar.first_id,
            last_id=bar.last_id,
            complete=complete,
            rev=bar.rev,
            source=BarSource.PARTIAL
            if bar.start_ns <= bars.builders[timeframe].first_ns
            else BarSource.TRADES,
        )
        return Output(self._subjects.bar(timeframe, bars.venue, bars.symbol), _key(message), encode(message))


def _key(bar: Bar) -> str:
    """The same bar with the same trades in it is the same output."""
    state = "complete" if bar.complete else "open"
    return f"{bar.source}:{bar.ts_ns}:{state}:{bar.rev}:{bar.trades}"


def _check(batch: TradeBatch) -> None:
    """Raise ValueError for a batch that cannot be right, before anything has changed."""
    rows = len(batch.id)
    if not (
        rows == len(batch.ts_ns) == len(batch.price) == len(batch.qty) == len(batch.buyer_maker)
        and (batch.kind is UNSET or len(batch.kind) == rows)
    ):
        columns = (batch.ts_ns, batch.price, batch.qty, batch.buyer_maker, batch.kind or batch.id)
        raise ValueError(f"columns of different lengths: {rows} ids, {[len(column) for column in columns]}")
    if rows > 1 and any(later <= earlier for earlier, later in pairwise(batch.id)):
        raise ValueError("ids must ascend")
    if not (_are_below(batch.id, LARGEST) and _are_below(batch.ts_ns, LARGEST)):
        raise ValueError("ids and times must be positive and fit 64 bits")
    if not (_are_below(batch.price, inf) and _are_below(batch.qty, inf)):
        raise ValueError("prices and quantities must be finite and not negative")


def _are_below(values: Sequence[float], limit: float) -> bool:
    """Whether all are from 0 up to a limit that is not reached; NaN never is."""
    for value in values:  # noqa: SIM110 - all() with a generator takes three times as long for one value
        if not 0 <= value < limit:
            return False
    return True


def _is_market(batch: TradeBatch, index: int) -> bool:
    return not batch.kind or batch.kind[index] == MARKET


def _pick(batch: TradeBatch, keep: list[int]) -> Columns:
    return Columns(
        [batch.id[i] for i in keep],
        [batch.ts_ns[i] for i in keep],
        [batch.price[i] for i in keep],
        [batch.qty[i] for i in keep],
        [batch.buyer_maker[i] for i in keep],
    )


def _note_missed(bars: SymbolBars, ids: list[int]) -> None:
    """Remember what lies between the last id and new ones, and among these."""
    before = bars.last_id if bars.last_id >= 0 else ids[0] - 1
    if ids[-1] - before == len(ids):
        return
    bars.missed += [(low + 1, high - 1) for low, high in pairwise([before, *ids]) if high - low > 1]
    del bars.missed[:-MAX_MISSED]


def _take_out(ranges: list[tuple[int, int]], one: int) -> bool:
    """Take an id out of ascending ranges. False where it is in none of them."""
    at = bisect_right(ranges, (one, LARGEST)) - 1
    if at < 0 or ranges[at][1] < one:
        return False
    low, high = ranges[at]
    ranges[at : at + 1] = [part for part in ((low, one - 1), (one + 1, high)) if part[0] <= part[1]]
    return True
