from __future__ import annotations

import itertools
import random

from tapestream.common.supervisor.backoff import FIRST_S, LONGEST_S, backoff


def test_delays_double_up_to_the_longest_and_jitter_downwards() -> None:
    delays = list(itertools.islice(backoff(random.Random(1)), 12))
    steps = [min(FIRST_S * 2**n, LONGEST_S) for n in range(12)]
    assert all(step / 2 <= delay <= step for delay, step in zip(delays, steps, strict=True))
    assert len(set(delays)) == 12
