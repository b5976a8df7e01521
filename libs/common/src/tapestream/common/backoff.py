"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Iterator


def full_jitter(first_s: float, longest_s: float, rng: random.Random | None = None) -> Iterator[float]:
    """Delays in seconds without end, drawn evenly from 0 to a bound that doubles up to ``longest_s``.

    Full jitter spreads those that failed together best (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015).
    """
    rng = rng or random.Random()
    bound = first_s
    while True:
        yield rng.uniform(0, bound)
        bound = min(longest_s, bound * 2)
