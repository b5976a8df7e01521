"""The gap ledger: what became of each range of ids that did not arrive in order.

For every id in a hole, in this order:

1. a trade that is recorded is ``filled``, whatever anybody said;
2. a venue's word (``not_published_by_venue``, ``no_key``, ``expired``) stands before ``lost``;
   of two such words the later one stands;
3. ``lost`` stands before ``filled``: that word means that the trades were published, and the rows
   themselves turn it into ``filled`` when they come.

So the outcome is the same in whatever order the words and the rows arrive.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.ranges import IdRange, subtract, union

_WEIGHT = {GapReason.FILLED: 0, GapReason.LOST: 1}
_VENUES_WORD = 2


@dataclass(frozen=True, slots=True)
class Hole:
    """One range of the ledger; times in nanoseconds since 1970, 0 where unknown."""

    ids: IdRange
    reason: GapReason
    from_ts_ns: int = 0
    to_ts_ns: int = 0
    detected_ns: int = 0


def rewrite(known: Sequence[Hole], incoming: Hole | None, recorded: Iterable[IdRange]) -> list[Hole]:
    """The ledger of one instrument after a new word and with these trades recorded.

    ``known``: sorted and disjoint. The result covers the same ids as ``known`` and ``incoming``
    together, sorted and disjoint; equal neighbours are one.
    """
    words = [*known, incoming] if incoming is not None else list(known)
    rows = union(recorded)
    edges = sorted(
        {edge for ids in (*(hole.ids for hole in words), *rows) for edge in (ids.first, ids.last + 1)}
    )
    olds = [hole.ids for hole in known]
    result: list[Hole] = []
    for first, after in pairwise(edges):
        at = _covering(olds, first)
        old = known[at] if at is not None else None
        new = incoming if incoming and incoming.ids.first <= first <= incoming.ids.last else None
        stands = _stands(old, new)
        if stands is None:
            continue
        if _covering(rows, first) is not None:
            stands = replace(stands, reason=GapReason.FILLED)
        _append(result, replace(stands, ids=IdRange(first, after - 1)))
    return result


def unaccounted(overtaken: IdRange, known: Iterable[Hole], recorded: Iterable[IdRange]) -> list[IdRange]:
    """The ids that the stream dropped before they were recorded and that nothing explains yet.

    A ``filled`` hole explains nothing: its trades were in the stream, and were dropped with it.
    """
    explained = [hole.ids for hole in known if hole.reason is not GapReason.FILLED]
    return subtract(overtaken, [*explained, *recorded])


def _stands(old: Hole | None, new: Hole | None) -> Hole | None:
    if old is None or new is None:
        return old or new
    return new if _weight(new) > _weight(old) or _weight(new) == _weight(old) == _VENUES_WORD else old


def _covering(ranges: Sequence[IdRange], one: int) -> int | None:
    """Index of the range that holds an id; the ranges are sorted and disjoint."""
    at = bisect_right(ranges, one, key=lambda ids: ids.first) - 1
    return at if at >= 0 and one <= ranges[at].last else None


def _weight(hole: Hole) -> int:
    return _WEIGHT.get(hole.reason, _VENUES_WORD)


def _append(holes: list[Hole], hole: Hole) -> None:
    if holes:
        last = holes[-1]
        if last.ids.last + 1 == hole.ids.first and replace(last, ids=hole.ids) == hole:
            holes[-1] = replace(last, ids=IdRange(last.ids.first, hole.ids.last))
            return
    holes.append(hole)
