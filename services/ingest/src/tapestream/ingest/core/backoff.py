"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Iterator


def full_jitter(base_s: float, cap_s: float, rng: random.Random) -> Iterator[float]:
    """Delays drawn evenly from 0 to an exponentially growing bound.

    Full jitter spreads reconnecting clients best (Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015).
    """
    bound = base_s
    while True:
        yield rng.uniform(0, bound)
        bound = min(cap_s, bound * 2)
