"""Random outages in virtual time: whatever the venue can give is had in the end, across restarts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tapestream.common.bus.fold import Incoming
from tapestream.common.contracts.messages import Gap, GapReason, TradeBatch, decoder
from tapestream.common.contracts.subjects import Subjects
from tapestream.ingest import backfill, filler, market_publisher, market_sink
from tapestream.ingest.backfill import Backfiller
from tapestream.ingest.core.backlog import Backlog
from tapestream.ingest.core.ranges import IdRange, runs
from tapestream.ingest.core.trades import MARKET, Trade
from tapestream.ingest.core.watermark import Watermark
from tapestream.ingest.filler import HoleFiller
from tapestream.ingest.market_publisher import MarketPublisher
from tapestream.ingest.market_sink import MarketSink
from tapestream.ingest.recorder.core import ledger
from tapestream.ingest.rest import RestError
from tapestream.ingest.venue import History

BEGAN_NS = 1_700_000_000_000_000_000
SYMBOL, VENUE = "BTCUSDT", "somewhere"
PATIENCE_S = 2.0
COUNT = 1500
RATE = 20.0
"""Trades a second."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes when nobody has anything to do."""

    now_s = 1.0

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        internal = cast("Any", self)
        if not internal._ready and internal._scheduled:
            self.now_s = max(self.now_s, internal._scheduled[0]._when)
        cast("Any", super())._run_once()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    clock = SimpleNamespace(
        monotonic=loop.time, time=loop.time, time_ns=lambda: BEGAN_NS + int(loop.time() * 1e9)
    )
    for module in (backfill, filler, market_publisher, market_sink):
        monkeypatch.setattr(module, "time", clock)
    yield loop
    loop.close()


def trade(trade_id: int) -> Trade:
    ts_ns = BEGAN_NS + int((1 + trade_id / RATE) * 1e3) * 1_000_000
    return Trade(trade_id, ts_ns, 100.0 + trade_id % 7, 1.0 + trade_id % 3, trade_id % 2 == 0)


@dataclass
class Stream:
    """What the server has stored, whatever becomes of those who publish."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)
    ordinals: dict[str, int] = field(default_factory=dict)
    listeners: list[Callable[[Incoming], None]] = field(default_factory=list)

    def store(self, subject: str, ordinal: int, payload: bytes) -> None:
        if ordinal <= self.ordinals.get(subject, -1):
            return
        self.ordinals[subject] = ordinal
        self.messages.append((subject, payload))
        for listener in self.listeners:
            listener(Incoming(subject, payload, b"", len(self.messages), 0, 0, "BARS"))


class Publisher:
    """Stores a little later; what has not been stored when its process is killed never is."""

    backlog_bytes = 0

    def __init__(self, stream: Stream, rng: random.Random) -> None:
        self._stream, self._rng, self._free_s = stream, rng, 0.0
        self.alive = True
        self.dropped: list[tuple[str, bytes]] = []

    def put(self, subject: str, ordinal: int, payload: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._free_s = max(self._free_s, loop.time()) + self._rng.uniform(0.0005, 0.01)
        loop.call_at(self._free_s, self._store, subject, ordinal, payload)

    def _store(self, subject: str, ordinal: int, payload: bytes) -> None:
        if self.alive:
            self._stream.store(subject, ordinal, payload)
        else:
            self.dropped.append((subject, payload))

    def stored_ordinal(self, subject: str) -> int | None:
        return self._stream.ordinals.get(subject)


class FakeVenue:
    """Has all trades but the unpublished ones, and history from ``oldest`` on."""

    name = VENUE

    def __init__(self, rng: random.Random, loop: VirtualLoop) -> None:
        self._rng, self._loop = rng, loop
        self.unpublished = {i for i in range(2, COUNT) if rng.random() < 0.01}
        self.oldest = rng.choice([0, 0, 300])
        self.down: list[tuple[float, float]] = []

    def newest(self) -> int:
        return min(COUNT, int((self._loop.time() - 1) * RATE))

    async def _answer(self) -> None:
        await asyncio.sleep(self._rng.uniform(0.05, 0.4))
        if any(a <= self._loop.time() < b for a, b in self.down) or self._rng.random() < 0.1:
            raise RestError(503, 0, "away")

    def _between(self, first: int, last: int) -> list[Trade]:
        return [trade(i) for i in range(first, last + 1) if i not in self.unpublished]

    async def trades_since(self, _rest: object, _symbol: str, from_id: int, to_id: int) -> History:
        await self._answer()
        missing_to = min(to_id, self.oldest - 1)
        begin = max(from_id, self.oldest)
        trades = self._between(begin, min(self.newest(), begin + 19))
        covered = trades[-1].id if trades else begin - 1
        if missing_to >= from_id:
            return History(trades, covered, GapReason.EXPIRED, missing_to)
        return History(trades, covered)

    async def latest_trades(self, _rest: object, _symbol: str) -> Sequence[Trade]:
        await self._answer()
        return self._between(max(1, self.newest() - 10), self.newest())


class Rest:
    async def until_spare(self) -> None:
        await asyncio.sleep(0.2)


class Process:
    """The venue program's parts around one stream."""

    def __init__(self, stream: Stream, venue: FakeVenue, rng: random.Random) -> None:
        self.market, self.gaps = Publisher(stream, rng), Publisher(stream, rng)
        publisher = MarketPublisher(VENUE, Subjects(), cast("Any", self.market), cast("Any", self.gaps))
        self.sink = MarketSink(VENUE, publisher, Watermark(0, 1_000_000_000))
        self.sink.add_symbol(SYMBOL)
        rest = cast("Any", Rest())
        self._filler = HoleFiller(self.sink, cast("Any", venue), rest, patience_s=PATIENCE_S)
        self._backfiller = Backfiller(self.sink, publisher, cast("Any", venue), rest)
        for number, (subject, payload) in enumerate(stream.messages):
            self._hear(Incoming(subject, payload, b"", number, 0, 0, "BARS"))
        stream.listeners[:] = [self._hear]
        caught_up = asyncio.Event()
        caught_up.set()
        self._tasks = [
            asyncio.create_task(self._filler.run()),
            asyncio.create_task(self._backfiller.run(caught_up)),
        ]

    def _hear(self, message: Incoming) -> None:
        if message.subject.startswith("md.gap"):
            self._backfiller.on_gap(message)

    def receive(self, one: Trade) -> None:
        self.sink.trade(SYMBOL, one.id, one.ts_ns, one.price, one.qty, one.buyer_maker, MARKET, one.ts_ns)
        self.sink.flush()

    async def kill(self) -> None:
        self.market.alive = self.gaps.alive = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.5)


async def play(stream: Stream, venue: FakeVenue, rng: random.Random, loop: VirtualLoop) -> list[bytes]:
    """A market's life with outages of socket, REST and process; returns gap words that kills took along."""
    process = Process(stream, venue, rng)
    lost_words: list[bytes] = []
    deaf_until = 0.0
    for trade_id in range(1, COUNT + 1):
        await asyncio.sleep(max(0.0, 1 + trade_id / RATE - loop.time()))
        fate = rng.random()
        if fate < 0.004 and trade_id > 10:
            deaf_until = loop.time() + rng.uniform(0, 8)
        elif fate < 0.007:
            venue.down.append((loop.time(), loop.time() + rng.uniform(0, 8)))
        elif fate < 0.009:
            await process.kill()
            lost_words += [payload for subject, payload in process.gaps.dropped if "gap" in subject]
            process = Process(stream, venue, rng)
        heard = trade_id not in venue.unpublished and rng.random() > 0.01
        if trade_id in (1, COUNT) or (heard and loop.time() >= deaf_until):
            process.receive(trade(trade_id))
    await asyncio.sleep(400)
    await process.kill()
    return lost_words


@pytest.mark.parametrize("seed", range(20))
def test_what_the_venue_can_give_is_had_in_the_end(seed: int, loop: VirtualLoop) -> None:
    rng = random.Random(seed)
    stream, venue = Stream(), FakeVenue(rng, loop)
    venue.unpublished -= {COUNT}
    lost_words = loop.run_until_complete(play(stream, venue, rng, loop))
    rows: set[int] = set()
    words: list[ledger.Hole] = []
    last = 0
    for subject, payload in stream.messages:
        kind = Subjects().parse_market(subject).kind
        if kind == "gap":
            gap = decoder(Gap).decode(payload)
            words.append(ledger.Hole(IdRange(gap.from_id, gap.to_id), gap.reason))
        elif kind in ("trade", "backfill"):
            batch = decoder(TradeBatch).decode(payload)
            for at, trade_id in enumerate(batch.id):
                truth = trade(trade_id)
                assert trade_id not in venue.unpublished
                assert (batch.ts_ns[at], batch.price[at], batch.qty[at]) == truth[1:4], "its content"
            rows.update(batch.id)
            if kind == "trade":
                assert batch.id[0] > last, "ids only ever grow"
                last = batch.id[-1]
            words += [ledger.Hole(IdRange(g.from_id, g.to_id), g.reason) for g in batch.gaps or ()]
    known: list[ledger.Hole] = []
    for word in words:
        touched = [h for h in known if h.ids.first <= word.ids.last and word.ids.first <= h.ids.last]
        others = [h for h in known if h not in touched]
        known = sorted([*others, *ledger.rewrite(touched, word, runs(sorted(rows)))], key=lambda h: h.ids)
    missing = {i for h in known if h.reason is not GapReason.FILLED for i in range(h.ids[0], h.ids[1] + 1)}
    assert rows | missing == set(range(1, COUNT + 1)), "every id is a row or on record"
    assert not rows & missing
    forgotten = {i for g in map(decoder(Gap).decode, lost_words) for i in range(g.from_id, g.to_id + 1)}
    gone = {i for i in missing if i >= venue.oldest} - venue.unpublished
    assert gone <= forgotten, "what the venue has was had"


def test_oldest_ids_first_and_symbols_take_turns() -> None:
    backlog = Backlog()
    backlog.note("A", IdRange(50, 60), GapReason.LOST)
    backlog.note("A", IdRange(10, 20), GapReason.LOST)
    backlog.note("B", IdRange(1, 2), GapReason.LOST)
    first = backlog.next(0.0)
    assert first is not None
    assert first == ("A", IdRange(10, 20))
    backlog.answered("A", 1.0, useful=True)
    assert backlog.next(1.0) == ("B", IdRange(1, 2))
    backlog.answered("B", 1.0, useful=False)
    assert backlog.next(1.0) == ("A", IdRange(10, 20))
    backlog.note("A", IdRange(1, 55), GapReason.FILLED)
    assert backlog.next(1.0) == ("A", IdRange(56, 60))
    backlog.note("A", IdRange(56, 60), GapReason.EXPIRED)
    assert backlog.next(1.5) is None
    assert backlog.next(2.0) == ("B", IdRange(1, 2))
    assert len(backlog) == 2
