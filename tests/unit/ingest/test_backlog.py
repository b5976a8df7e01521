"""What is left to fill, against a plain set of ids."""

from __future__ import annotations

import random

import pytest

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.backlog import Backlog
from tapestream.ingest.core.ranges import IdRange


@pytest.mark.parametrize("seed", range(40))
def test_words_in_any_order_leave_what_a_set_would(seed: int) -> None:
    rng = random.Random(seed)
    backlog, twin = Backlog(), {"A": set[int](), "B": set[int]()}
    for _ in range(120):
        symbol = rng.choice("AB")
        first = rng.randrange(300)
        ids = IdRange(first, first + rng.randrange(12))
        reason = rng.choice([GapReason.LOST, GapReason.LOST, GapReason.FILLED, GapReason.EXPIRED])
        backlog.note(symbol, ids, reason)
        every = set(range(ids.first, ids.last + 1))
        twin[symbol] = twin[symbol] | every if reason is GapReason.LOST else twin[symbol] - every
        assert len(backlog) == sum(map(len, twin.values()))
    left: dict[str, set[int]] = {"A": set(), "B": set()}
    while (task := backlog.next(0.0)) is not None:
        assert task.ids.first == min(twin[task.symbol] - left[task.symbol]), "the oldest first"
        left[task.symbol] |= set(range(task.ids.first, task.ids.last + 1))
        backlog.note(task.symbol, task.ids, GapReason.FILLED)
    assert left == twin


def test_who_failed_waits_longer_and_who_must_wait_does_not() -> None:
    backlog = Backlog()
    backlog.note("A", IdRange(1, 2), GapReason.LOST)
    for _ in range(5):
        backlog.postpone("A", 0.0)
    assert backlog.next(1.0) is not None
    for _ in range(3):
        backlog.answered("A", 0.0, useful=False)
    assert backlog.next(3.9) is None
    assert backlog.next(4.0) is not None
