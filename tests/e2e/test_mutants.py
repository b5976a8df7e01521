"""The chaos suite would notice: each safeguard, taken out, makes it fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.chaos import Schedule, assert_exact, generated_tape, play
from tests.support.stack import BESIDE_LIVE_DATA, running_stack

SPEED = 28
MUTANTS: dict[str, tuple[str, list[tuple[float, str, dict[str, Any]]]]] = {
    "no_gap_check": ("ingest", [(0.3, "fault", {"kind": "skip", "n": 40})]),
    "no_trimming": ("bars", [(0.4, "kill", {"part": "nats"})]),
    "acknowledge_first": ("recorder", [(part, "kill", {"part": "recorder"}) for part in (0.3, 0.5, 0.7)]),
}


@pytest.mark.integration
@pytest.mark.parametrize("mutant", [None, *MUTANTS])
def test_the_suite_fails_without_a_safeguard(tmp_path: Path, mutant: str | None) -> None:
    """With all safeguards the three schedules together pass; without one, its schedule fails."""
    tape = generated_tape(tmp_path, seed=1, minutes=5)
    schedule = Schedule(0)
    chosen = list(MUTANTS.values()) if mutant is None else [MUTANTS[mutant]]
    schedule.events = sorted((event for _, events in chosen for event in events), key=lambda event: event[0])
    instead = {} if mutant is None else {MUTANTS[mutant][0]: f"tests.support.mutants.{mutant}"}
    with running_stack(
        tmp_path,
        without=BESIDE_LIVE_DATA,
        instead=instead,
        TAPE=str(tape),
        SPEED=str(SPEED),
        WATCHDOG_S="1.5",
    ) as stack:
        play(schedule, stack, tape, SPEED)
        if mutant is None:
            assert_exact(stack, tape)
        else:
            with pytest.raises(AssertionError):
                assert_exact(stack, tape, settle_s=8)
            for table in ("trades", "bars"):  # it failed for what it lacks, not for lack of a start
                assert stack.sql(f"select count(*) from {table}")[0][0] > 100
