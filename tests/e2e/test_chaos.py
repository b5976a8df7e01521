"""Seeded misfortunes: the venue misbehaves while our processes are killed with rows in flight.

Each schedule ends with every trade stored once and right or accounted for, and every bar exact.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos import WAITING, Schedule, assert_exact, generated_tape, play
from tests.support.stack import BESIDE_LIVE_DATA, running_stack

SPEED = 28
SEEDS = range(1, 21)


@pytest.mark.integration
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_whatever_goes_wrong(tmp_path: Path, seed: int) -> None:
    tape = generated_tape(tmp_path, seed=seed, minutes=5)
    settings = {"TAPE": str(tape), "SPEED": str(SPEED), "WATCHDOG_S": "1.5", **WAITING}
    with running_stack(tmp_path, without=BESIDE_LIVE_DATA, **settings) as stack:
        play(Schedule(seed), stack, tape, SPEED)
        assert_exact(stack, tape)
