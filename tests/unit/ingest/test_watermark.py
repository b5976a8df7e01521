"""The watermark against its words: newest less the lag, held up by who may still bring something older."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.sequencer import TradeSequencer
from tapestream.ingest.core.trades import MARKET, Trade
from tapestream.ingest.core.watermark import Watermark

LAG, BORDER = 30, 100
SYMBOLS = 3

steps = st.one_of(
    st.tuples(st.just("next"), st.integers(0, SYMBOLS - 1), st.integers(0, 90)),
    st.tuples(st.just("skip"), st.integers(0, SYMBOLS - 1), st.integers(0, 90)),
    st.tuples(st.just("fill"), st.integers(0, SYMBOLS - 1), st.just(0)),
    st.tuples(st.just("give up"), st.integers(0, SYMBOLS - 1), st.just(0)),
    st.tuples(st.just("cut"), st.integers(0, SYMBOLS - 1), st.just(0)),
)


class Feed:
    """One symbol, and what its sequencer has published of it."""

    def __init__(self) -> None:
        self.sequencer = TradeSequencer()
        self.times: dict[int, int] = {}
        self.newest_id = 0
        self.published: list[int] = []

    def offer(self, ts_ns: int, *, skipped: int) -> None:
        for _ in range(skipped):
            self.newest_id += 1
            self.times[self.newest_id] = ts_ns
        self.newest_id += 1
        self.times[self.newest_id] = ts_ns
        self.sequencer.offer(self.newest_id, ts_ns, 1.0, 1.0, False, MARKET, 0)

    def fill(self) -> None:
        known = [Trade(one, ts_ns, 1.0, 1.0, False) for one, ts_ns in self.times.items()]
        self.sequencer.fill(known, max(self.sequencer.last_id, self.newest_id))

    def drain(self) -> list[int]:
        """Times of what is published now."""
        if not self.sequencer.ready:
            return []
        times = self.sequencer.take().trades.ts_ns
        self.published += times
        return times


@given(st.lists(steps, max_size=60))
def test_nothing_older_than_the_watermark_is_published_behind_it(course: list[tuple[str, int, int]]) -> None:
    """Event times grow here, so that only holes and cuts can bring something old."""
    mark, feeds = Watermark(LAG, BORDER), [Feed() for _ in range(SYMBOLS)]
    now, last = 1000, 0
    for what, which, step in course:
        feed = feeds[which]
        sequencer = feed.sequencer
        match what:
            case "next" | "skip":
                now += step
                # The first trade of a symbol is taken as it comes: nothing can be missing before it.
                feed.offer(now, skipped=int(what == "skip" and sequencer.last_id >= 0))
                crossed = mark.see(now)
                assert crossed <= ((now - LAG) // BORDER > last // BORDER)
            case "fill" if sequencer.last_id >= 0:
                feed.fill()
            case "give up" if (hole := sequencer.hole) is not None:
                sequencer.give_up(hole.to_id, GapReason.LOST)
            case "cut" if sequencer.last_id >= 0:
                sequencer.verified = False
        for each in feeds:
            # Strictly: a trade of the watermark's own instant may still come.
            assert all(ts_ns >= last for ts_ns in each.drain())
        moved = mark.advance(each.sequencer for each in feeds)
        free = [each.sequencer for each in feeds if each.sequencer.last_id >= 0]
        stuck = [one.last_ts_ns for one in free if one.held or not one.verified]
        wanted = min([now - LAG if any(each.times for each in feeds) else 0, *stuck])
        assert moved == (wanted if wanted > last else None)
        last = max(last, wanted)


def test_a_symbol_that_goes_on_after_a_restart_holds_the_clock_until_it_is_verified() -> None:
    mark, sequencer = Watermark(LAG, BORDER), TradeSequencer(last_id=7)
    mark.see(5000)
    assert mark.advance([sequencer]) is None
    sequencer.offer(8, 5001, 1.0, 1.0, False, MARKET, 0)
    assert mark.advance([sequencer]) == 5000 - LAG


def test_a_border_is_crossed_once() -> None:
    mark = Watermark(0, BORDER)
    assert mark.see(150)
    assert mark.advance([]) == 150
    assert [mark.see(ts_ns) for ts_ns in (150, 140, 199, 200)] == [False, False, False, True]
    assert mark.advance([]) == 200
    assert mark.advance([]) is None
