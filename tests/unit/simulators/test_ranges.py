from __future__ import annotations

import itertools
import random

from tapestream.simulators.ranges import Ranges


def test_ids_in_order_make_one_range() -> None:
    ranges = Ranges()
    for value in range(5, 10):
        ranges.add(value)
    ranges.add(7)
    assert ranges.as_list() == [[5, 9]]
    assert len(ranges) == 5


def test_ranges_equal_a_set_whatever_the_order() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        ranges, twin = Ranges(), set[int]()
        for _ in range(60):
            first = draw.randrange(80)
            last = first + draw.randrange(6)
            if draw.random() < 0.5:
                ranges.add(first)
                twin.add(first)
            else:
                ranges.add_range(first, last)
                twin.update(range(first, last + 1))
        assert {value for first, last in ranges for value in range(first, last + 1)} == twin
        listed = ranges.as_list()
        assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(listed))
        missing = ranges.missing(10, 70)
        assert {value for first, last in missing for value in range(first, last + 1)} == set(
            range(10, 71)
        ) - twin
        assert all((value in ranges) == (value in twin) for value in range(90))
