"""Delays between restarts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tapestream.common.backoff import full_jitter

FIRST_S = 0.2
LONGEST_S = 15.0


def backoff(rng: random.Random | None = None) -> Iterator[float]:
    """Delays in seconds of a child that dies again and again."""
    return full_jitter(FIRST_S, LONGEST_S, rng)
