"""Nothing is lost, doubled or out of order, and every number is accounted for."""

from __future__ import annotations

import random

import pytest

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.sequencer import TradeSequencer
from tapestream.ingest.core.trades import MARKET, Trade

NOW = 1


def trade(trade_id: int) -> Trade:
    return Trade(trade_id, trade_id * 1000, 100.0 + trade_id, 1.0, False)


def offer(sequencer: TradeSequencer, trade_id: int) -> bool:
    t = trade(trade_id)
    return sequencer.offer(t.id, t.ts_ns, t.price, t.qty, t.buyer_maker, MARKET, NOW)


def test_the_first_trade_ever_is_taken_as_it_comes() -> None:
    sequencer = TradeSequencer()
    assert offer(sequencer, 500)
    taken = sequencer.take()
    assert (taken.prev_id, taken.trades.id, taken.gaps) == (-1, [500], [])


def test_what_is_behind_a_hole_waits_until_it_is_filled() -> None:
    sequencer = TradeSequencer(last_id=10)
    assert not offer(sequencer, 13)
    assert sequencer.hole is not None
    assert (sequencer.hole.from_id, sequencer.hole.to_id) == (11, 12)
    sequencer.fill([trade(11), trade(12)], 12)
    taken = sequencer.take()
    assert taken.trades.id == [11, 12, 13]
    assert [(g.from_id, g.to_id, g.reason) for g in taken.gaps] == [(11, 12, GapReason.FILLED)]
    assert sequencer.hole is None


def test_ids_that_history_leaves_out_were_not_published() -> None:
    sequencer = TradeSequencer(last_id=10)
    offer(sequencer, 15)
    sequencer.fill([trade(11), trade(13)], 14)
    taken = sequencer.take()
    assert taken.trades.id == [11, 13, 15]
    assert [(g.from_id, g.to_id, g.reason) for g in taken.gaps] == [
        (11, 11, GapReason.FILLED),
        (12, 12, GapReason.NOT_PUBLISHED_BY_VENUE),
        (13, 13, GapReason.FILLED),
        (14, 14, GapReason.NOT_PUBLISHED_BY_VENUE),
    ]


def test_a_hole_given_up_lets_the_rest_through() -> None:
    sequencer = TradeSequencer(last_id=10)
    offer(sequencer, 12)
    offer(sequencer, 14)
    sequencer.give_up(13, GapReason.LOST)
    taken = sequencer.take()
    assert taken.trades.id == [12, 14]
    assert [(g.from_id, g.to_id) for g in taken.gaps] == [(11, 11), (13, 13)]


def test_a_missed_tail_is_filled_without_a_later_trade() -> None:
    sequencer = TradeSequencer(last_id=10)
    assert sequencer.fill([trade(9), trade(10), trade(11), trade(12)], 12) == 2
    assert sequencer.take().trades.id == [11, 12]


@pytest.mark.parametrize("seed", range(300))
def test_random_faults_against_the_obvious_answer(seed: int) -> None:
    rng = random.Random(seed)
    count = 200
    unpublished = {i for i in range(1, count) if rng.random() < 0.02}
    sent = [i for i in range(1, count + 1) if i not in unpublished and rng.random() > 0.1]
    sent = sorted(sent, key=lambda i: i + rng.choice([0, 0, 0, rng.uniform(0, 6)]))
    arrivals = [i for i in sent for _ in range(1 + (rng.random() < 0.1))]
    sequencer = TradeSequencer(last_id=0)
    published: list[int] = []
    accounted: dict[int, GapReason] = {}
    expected_prev = 0

    def drain() -> None:
        nonlocal expected_prev
        if not sequencer.ready:
            return
        taken = sequencer.take()
        assert taken.prev_id == expected_prev
        expected_prev = taken.trades.id[-1]
        published.extend(taken.trades.id)
        for gap in taken.gaps:
            for trade_id in range(gap.from_id, gap.to_id + 1):
                assert trade_id not in accounted
                accounted[trade_id] = gap.reason

    lost: set[int] = set()
    for trade_id in arrivals:
        offer(sequencer, trade_id)
        if (hole := sequencer.hole) is not None and rng.random() < 0.3:
            covered_to = rng.randint(hole.from_id, hole.to_id)
            if rng.random() < 0.8:
                history = range(hole.from_id, covered_to + 1)
                sequencer.fill([trade(i) for i in history if i not in unpublished], covered_to)
            else:
                lost |= set(range(hole.from_id, hole.to_id + 1))
                sequencer.give_up(hole.to_id, GapReason.LOST)
        if rng.random() < 0.5:
            drain()
    rest = range(sequencer.last_id + 1, count + 1)
    sequencer.fill([trade(i) for i in rest if i not in unpublished], count)
    offer(sequencer, count + 1)
    drain()

    assert published == sorted(set(published))
    missing = {i for i, reason in accounted.items() if reason is not GapReason.FILLED}
    assert set(published) | missing == set(range(1, count + 2))
    assert not set(published) & missing
    assert {
        i for i, reason in accounted.items() if reason is GapReason.NOT_PUBLISHED_BY_VENUE
    } == unpublished - lost
    tally = sequencer.tally
    assert tally.received + tally.filled == len(published) + tally.late + tally.duplicates
