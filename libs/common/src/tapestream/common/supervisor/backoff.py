"""Delays between restarts."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST_S = 0.2
LONGEST_S = 15.0


def backoff(rng: random.Random | None = None) -> Iterator[float]:
    """Exponential delays in seconds, each between half and all of its step.

    The jitter keeps processes that died together from coming back together for ever.
    """
    rng = rng or random.Random()
    step = FIRST_S
    while True:
        yield step * rng.uniform(0.5, 1.0)
        step = min(step * 2, LONGEST_S)
