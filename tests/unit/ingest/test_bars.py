"""The bars program's fold against its naive twin: any cut, any lateness, any restart."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, json

from tapestream.common.bus.fold import Incoming, Output
from tapestream.common.contracts.messages import (
    Bar,
    BarSource,
    Clock,
    KlineBatch,
    Message,
    TradeBatch,
    encode,
)
from tapestream.common.contracts.subjects import Subjects
from tapestream.common.contracts.timeframes import timeframe_ns
from tapestream.ingest.bars.core.fold import BarsFold
from tests.naive import NaiveBar, NaiveTrade, bars

SECOND = 1_000_000_000
T0 = 1_700_000_000 * SECOND - 1_700_000_000 * SECOND % (60 * SECOND)
TIMEFRAMES = ["1s", "5s", "1m"]
SUBJECTS = Subjects()
VENUE = "v"


def incoming(subject: str, message: Message) -> Incoming:
    return Incoming(subject, encode(message), b"", 0, 0, 0, "MARKET")


def clock(ts_ns: int) -> Incoming:
    return incoming(SUBJECTS.clock(VENUE), Clock(venue=VENUE, ts_ns=ts_ns, recv_ns=0))


def batch(
    trades: list[NaiveTrade], prev_id: int, *, symbol: str = "S", way: str = "trade", **fields: Any
) -> Incoming:
    columns = {
        "id": [t.id for t in trades], "ts_ns": [t.ts_ns for t in trades], "price": [t.price for t in trades],
        "qty": [t.qty for t in trades], "buyer_maker": [t.buyer_maker for t in trades],
    }  # fmt: skip
    message = TradeBatch(venue=VENUE, symbol=symbol, recv_ns=0, prev_id=prev_id, **(columns | fields))
    subject = SUBJECTS.trade(VENUE, symbol) if way == "trade" else SUBJECTS.backfill(VENUE, symbol)
    return incoming(subject, message)


def trade(number: int, ts_ns: int = T0, price: float = 1.0, qty: float = 1.0) -> NaiveTrade:
    return NaiveTrade(number, ts_ns, price, qty, False)


def take(fold: BarsFold, *messages: Incoming) -> list[Output]:
    return [output for message in messages for output in fold.apply(message)]


def read(outputs: list[Output]) -> list[Bar]:
    return [json.decode(output.payload, type=Bar) for output in outputs]


def as_naive(bar: Bar) -> NaiveBar:
    return NaiveBar(
        bar.ts_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.quote_volume, bar.buy_volume,
        bar.trades, bar.first_id, bar.last_id,
    )  # fmt: skip


class Day:
    """A random half minute of one symbol, and the messages that it arrives in."""

    def __init__(self, rng: random.Random, symbol: str) -> None:
        self.symbol, self._rng = symbol, rng
        self.trades: list[NaiveTrade] = []
        self.kinds: dict[int, str] = {}
        ts_ns = T0 + rng.randrange(SECOND)
        for number in range(rng.randrange(1, 1000), rng.randrange(1001, 1200)):
            ts_ns += rng.choice([0, 1_000_000, 30_000_000, 200_000_000])
            jitter = rng.choice(
                [0, 0, 0, -5_000_000]
            )  # a venue's times are not quite in the order of its ids
            price = round(rng.uniform(0.9, 1.1), rng.choice([2, 5, 8]))
            qty = float(rng.choice([rng.randrange(1, 9), round(rng.random(), 3), 10**14]))
            self.trades.append(NaiveTrade(number, ts_ns + jitter, price, qty, rng.random() < 0.5))
            self.kinds[number] = "ADL" if rng.random() < 0.03 else "MARKET"
        self.late = [t for t in self.trades[1:-1] if rng.random() < 0.1]
        self.never = {t.id for t in self.late if rng.random() < 0.2}

    def batches(self) -> list[tuple[int, Incoming]]:
        """Messages with the number of trades after which each comes; late ones after their time."""
        rng, out = self._rng, []
        skipped = {t.id for t in self.late}
        flowing = [t for t in self.trades if t.id not in skipped]
        at, before = 0, -1
        while at < len(flowing):
            part = flowing[at : at + rng.choice([1, 1, 1, 2, 5, 50])]
            # What is missing before it was either declared by its publisher or dropped by the stream.
            prev_id = before if rng.random() < 0.5 or before < 0 else part[0].id - 1
            out.append((at, self._message(part, prev_id, "trade")))
            if rng.random() < 0.2:  # a publisher that resumes sends again, and cuts anew
                again = flowing[max(0, at - rng.randrange(20)) : at + len(part)]
                out.append((at, self._message(again, again[0].id - 1, "trade")))
            before, at = part[-1].id, at + len(part)
        for one in self.late:
            if one.id not in self.never:
                for _ in range(rng.choice([1, 1, 2])):
                    behind = sum(t.id < one.id for t in flowing)
                    out.append((rng.randrange(behind, len(flowing)) + 60, self._message([one], -1, "late")))
        return sorted(out, key=lambda item: item[0])

    def _message(self, part: list[NaiveTrade], prev_id: int, way: str) -> Incoming:
        kinds = [self.kinds[t.id] for t in part]
        plain = all(kind == "MARKET" for kind in kinds)
        return batch(part, prev_id, symbol=self.symbol, way=way, kind=UNSET if plain else kinds)

    def expected(self, timeframe: str) -> list[NaiveBar]:
        market = [t for t in self.trades if self.kinds[t.id] == "MARKET" and t.id not in self.never]
        return bars(market, timeframe_ns(timeframe))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_the_schedule_the_last_word_on_each_bar_is_the_twins(seed: int) -> None:
    rng = random.Random(seed)
    days = [Day(rng, symbol) for symbol in ("S", "T")]
    queues = [day.batches() for day in days]
    fold, outputs, newest = BarsFold(SUBJECTS, TIMEFRAMES), [], 0
    while any(queues):
        _, message = rng.choice([queue for queue in queues if queue]).pop(0)
        outputs += take(fold, message)
        newest = max(newest, *json.decode(message.data, type=TradeBatch).ts_ns)
        if rng.random() < 0.3:  # the watermark may lag by anything, stall, and be read twice
            outputs += take(fold, *[clock(newest - rng.randrange(2 * SECOND))] * rng.choice([1, 2]))
        if rng.random() < 0.05:
            data, fold = fold.dump(), BarsFold(SUBJECTS, TIMEFRAMES)
            fold.load(data)
    outputs += take(fold, clock(newest + 120 * SECOND))
    assert fold.state.too_old == 0
    for day in days:
        for timeframe in TIMEFRAMES:
            subject = SUBJECTS.bar(timeframe, VENUE, day.symbol)
            said = [bar for bar in read([o for o in outputs if o.subject == subject]) if bar.complete]
            last: dict[int, Bar] = {}
            for bar in said:
                assert bar.rev == (last[bar.ts_ns].rev + 1 if bar.ts_ns in last else 0)
                last[bar.ts_ns] = bar
            assert [as_naive(last[start]) for start in sorted(last)] == day.expected(timeframe)
    assert len({(o.subject, o.key) for o in outputs}) == len(outputs), "a key names one output"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_restart_says_again_what_it_said_before(seed: int) -> None:
    """Read again from a snapshot on, the same messages give the same outputs, byte for byte."""
    rng = random.Random(seed)
    messages: list[Incoming] = []
    for _, message in Day(rng, "S").batches():
        newest = max(json.decode(message.data, type=TradeBatch).ts_ns)
        messages += [message, clock(newest - rng.randrange(SECOND))]
    at = rng.randrange(len(messages))
    fold, second = BarsFold(SUBJECTS, TIMEFRAMES), BarsFold(SUBJECTS, TIMEFRAMES)
    take(fold, *messages[:at])
    second.load(fold.dump())
    assert take(second, *messages[at:]) == take(fold, *messages[at:])
    assert second.dump() == fold.dump()


def test_sums_beyond_64_bits_survive_a_restart() -> None:
    """A meme coin: billions of units at a price of a millionth, eight decimals each."""
    trades = [trade(n, T0 + n, 0.00001234, 999_999_999_999.123) for n in range(40)]
    fold = BarsFold(SUBJECTS, ["1s"])
    for one in trades[:20]:
        take(fold, batch([one], one.id - 1))
    current = fold.state.symbols["S@v"].builders["1s"].current
    assert current is not None
    assert current.quote_units > 1 << 64
    data, fold = fold.dump(), BarsFold(SUBJECTS, ["1s"])
    fold.load(data)
    for one in trades[20:]:
        take(fold, batch([one], one.id - 1))
    assert [as_naive(bar) for bar in read(take(fold, clock(T0 + SECOND)))] == bars(trades, SECOND)


def test_a_late_trade_of_a_declared_hole_revises_its_bar_once() -> None:
    fold = BarsFold(SUBJECTS, ["1s"])
    take(fold, batch([trade(1), trade(2)], -1), batch([trade(6)], 2), clock(T0 + SECOND))
    revised = read(take(fold, batch([trade(3), trade(5)], -1, way="late")))
    assert [(bar.rev, bar.trades) for bar in revised] == [(1, 5)]
    assert take(fold, batch([trade(3)], -1, way="late")) == []
    assert [bar.trades for bar in read(take(fold, batch([trade(4)], -1, way="late")))] == [6]


def test_late_trades_that_can_no_longer_be_placed_are_counted() -> None:
    fold = BarsFold(SUBJECTS, ["1s", "1m"])
    take(fold, batch([trade(1)], -1))
    for n in range(3, 303):
        take(fold, batch([trade(n, T0 + n * SECOND)], n - 1))
    revised = read(take(fold, batch([trade(2)], -1, way="late")))
    assert [(bar.timeframe, bar.rev, bar.trades) for bar in revised] == [("1m", 1, 59)]
    assert fold.state.too_old == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"id": [1, 1]}, {"id": [2, 1]}, {"id": [-1, 1]}, {"id": [1, 1 << 63]}, {"id": [1]}, {"qty": [1.0]},
        {"ts_ns": [T0, -1]}, {"ts_ns": [T0, 1 << 63]}, {"price": [1.0, -0.5]}, {"kind": ["MARKET"]},
        {"buyer_maker": []},
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["trade", "late"])
def test_a_batch_that_cannot_be_right_changes_nothing(fields: dict[str, Any], way: str) -> None:
    fold = BarsFold(SUBJECTS, TIMEFRAMES)
    take(fold, batch([trade(1)], -1))
    before = fold.dump()
    with pytest.raises(ValueError, match=r"\w"):
        take(fold, batch([trade(2), trade(3)], 1, way=way, **fields))
    assert fold.dump() == before


def test_a_subject_that_is_none_of_its_own_is_refused_each_time() -> None:
    fold = BarsFold(SUBJECTS, TIMEFRAMES)
    for _ in range(2):
        with pytest.raises(ValueError, match="not a market data subject"):
            fold.apply(Incoming("md.nonsense", b"{}", b"", 0, 0, 0, "MARKET"))


def test_unfinished_bars_are_shown_once_a_second_where_they_changed() -> None:
    fold = BarsFold(SUBJECTS, ["1s", "1m"])
    shown = [
        [(bar.timeframe, bar.trades, bar.complete) for bar in read(take(fold, *messages))]
        for messages in (
            [batch([trade(1)], -1), clock(T0)],
            [batch([trade(2)], 1), clock(T0 + SECOND // 2)],
            [clock(T0 + SECOND)],
            [clock(T0 + 2 * SECOND)],
        )
    ]
    assert shown == [[("1m", 1, False)], [], [("1s", 2, True), ("1m", 2, False)], []]


def test_the_first_bar_may_lack_trades_and_says_so() -> None:
    fold = BarsFold(SUBJECTS, ["1s", "5s"])
    said = read(take(fold, batch([trade(n, T0 + n * SECOND) for n in range(7)], -1)))
    partial = [(bar.timeframe, bar.ts_ns) for bar in said if bar.source is BarSource.PARTIAL]
    assert partial == [("1s", T0), ("5s", T0)]
    assert {bar.source for bar in said} == {BarSource.PARTIAL, BarSource.TRADES}


def test_the_venues_own_bars_fill_the_time_before_and_replace_none_that_is_whole() -> None:
    fold = BarsFold(SUBJECTS, ["1s"])
    take(fold, batch([trade(n, T0 + n * SECOND) for n in range(10, 13)], -1))
    venues = [
        Bar(
            venue=VENUE, symbol="S", timeframe=timeframe, ts_ns=T0 + n * SECOND, open=1.0, high=1.0, low=1.0,
            close=1.0, volume=1.0, quote_volume=1.0, buy_volume=1.0, trades=1, first_id=0, last_id=0,
            complete=True, source=BarSource.VENUE,
        )
        for timeframe in ("1s", "1h") for n in range(8, 15)
    ]  # fmt: skip
    klines = KlineBatch(venue=VENUE, symbol="S", bars=venues)
    said = read(take(fold, incoming(SUBJECTS.kline(VENUE, "S"), klines)))
    assert [(bar.timeframe, (bar.ts_ns - T0) // SECOND) for bar in said] == [("1s", 8), ("1s", 9), ("1s", 10)]


def test_timeframes_may_be_set_anew() -> None:
    fold = BarsFold(SUBJECTS, ["1s", "5s"])
    take(fold, batch([trade(1)], -1))
    data, fold = fold.dump(), BarsFold(SUBJECTS, ["5s", "1m"])
    fold.load(data)
    take(fold, batch([trade(2)], 1))
    said = read(take(fold, clock(T0 + 60 * SECOND)))
    assert [(bar.timeframe, bar.trades) for bar in said] == [("5s", 2), ("1m", 1)]


def test_what_was_missed_is_remembered_up_to_a_limit() -> None:
    fold = BarsFold(SUBJECTS, ["1s"])
    take(fold, *(batch([trade(n)], n - 2) for n in range(0, 4000, 2)))
    missed = fold.state.symbols["S@v"].missed
    assert len(missed) == 1000
    assert all(high < low for (_, high), (low, _) in pairwise(missed))
