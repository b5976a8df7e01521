"""Delays are drawn from a bound that doubles, up to the longest."""

from __future__ import annotations

import itertools
import random

from tapestream.common.backoff import full_jitter


def test_bounds_double_up_to_the_longest_and_delays_fill_them() -> None:
    rng = random.Random(1)
    runs = [list(itertools.islice(full_jitter(0.2, 3.0, rng), 6)) for _ in range(500)]
    for bound, delays in zip([0.2, 0.4, 0.8, 1.6, 3.0, 3.0], zip(*runs, strict=True), strict=True):
        assert 0 <= min(delays) < 0.1 * bound
        assert 0.9 * bound < max(delays) <= bound
