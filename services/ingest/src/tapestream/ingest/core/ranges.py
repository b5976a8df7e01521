"""Arithmetic on ranges of ids. A range has both its ends; a list of them is sorted and disjoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class IdRange(NamedTuple):
    """All ids from ``first`` to ``last``, both included."""

    first: int
    last: int


def union(ranges: Iterable[IdRange]) -> list[IdRange]:
    """The same ids as sorted, disjoint ranges that do not touch."""
    merged: list[IdRange] = []
    for one in sorted(ranges):
        if merged and one.first <= merged[-1].last + 1:
            merged[-1] = IdRange(merged[-1].first, max(merged[-1].last, one.last))
        else:
            merged.append(one)
    return merged


def subtract(whole: IdRange, parts: Iterable[IdRange]) -> list[IdRange]:
    """What is left of ``whole`` without ``parts``, which may overlap and stick out."""
    left: list[IdRange] = []
    at = whole.first
    for part in union(parts):
        if part.last < at:
            continue
        if part.first > whole.last:
            break
        if part.first > at:
            left.append(IdRange(at, part.first - 1))
        at = part.last + 1
    if at <= whole.last:
        left.append(IdRange(at, whole.last))
    return left


def runs(ids: Sequence[int]) -> list[IdRange]:
    """Ascending ids as ranges: 1, 2, 3, 7 gives 1-3 and 7-7."""
    found: list[IdRange] = []
    for one in ids:
        if found and one == found[-1].last + 1:
            found[-1] = IdRange(found[-1].first, one)
        else:
            found.append(IdRange(one, one))
    return found
