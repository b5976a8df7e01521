"""The venue's weight is never overspent, whatever anybody at our address uses."""

from __future__ import annotations

import random

import pytest

from tapestream.ingest.core.budget import WeightBudget

LIMIT = 2400


@pytest.mark.parametrize("seed", range(50))
def test_no_minute_sees_more_than_the_limit(seed: int) -> None:
    rng = random.Random(seed)
    budget, now, sent = WeightBudget(LIMIT, 0.0), 0.0, []
    while now < 300:
        now += rng.choice([0, 0, 0, rng.uniform(0, 20)])
        weight = rng.choice([1, 5, 20])
        now += budget.spend(weight, now)
        sent.append((now, weight))
    for begin in range(0, 240, 7):
        used = sum(weight for at, weight in sent if begin <= at < begin + 60)
        assert used <= LIMIT + 20


def test_what_others_use_is_ours_no_more() -> None:
    budget = WeightBudget(LIMIT, 0.0)
    budget.heard(2380, 0.0)
    assert budget.spend(20, 0.0) == 0
    assert budget.spend(20, 0.0) > 0
    assert WeightBudget(LIMIT, 0.0).spend(20, 0.0) == 0


def test_what_can_wait_leaves_half_of_a_burst() -> None:
    budget = WeightBudget(LIMIT, 0.0)
    assert budget.until_spare(0.0) == 0
    budget.spend(300, 0.0)
    pause = budget.until_spare(0.0)
    assert pause > 0
    assert budget.until_spare(pause) == pytest.approx(0, abs=1e-6)


def test_a_bar_holds_for_everybody() -> None:
    budget = WeightBudget(LIMIT, 0.0)
    budget.bar(30, 0.0)
    budget.bar(5, 0.0)
    assert budget.spend(1, 10.0) == 20
    assert budget.until_spare(10.0) == 20
    assert budget.barred(31.0) == 0
