"""The ledger's range arithmetic against a twin that keeps one reason for each id."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tapestream.common.contracts.messages import GapReason
from tapestream.ingest.core.ranges import IdRange, runs, subtract, union
from tapestream.ingest.recorder.core.ledger import Hole, rewrite, unaccounted

ids = st.integers(0, 30)
ranges = st.builds(lambda a, b: IdRange(min(a, b), max(a, b)), ids, ids)
holes = st.builds(Hole, ranges, st.sampled_from(GapReason))
WORDS = [GapReason.NOT_PUBLISHED_BY_VENUE, GapReason.NO_KEY, GapReason.EXPIRED]


def one_by_one(some: list[IdRange]) -> set[int]:
    return {one for part in some for one in range(part.first, part.last + 1)}


def reasons(some: list[Hole]) -> dict[int, GapReason]:
    return {one: hole.reason for hole in some for one in range(hole.ids.first, hole.ids.last + 1)}


def assert_sorted_and_disjoint(some: list[IdRange]) -> None:
    for left, right in pairwise(some):
        assert left.first <= left.last < right.first <= right.last


def twin(words: list[Hole], recorded: set[int]) -> dict[int, GapReason]:
    """What stands for each id after all these words, said in this order."""
    stands: dict[int, GapReason] = {}
    for word in words:
        for one in range(word.ids.first, word.ids.last + 1):
            old, new = stands.get(one), word.reason
            if (
                old is None
                or new in WORDS
                or (new is GapReason.LOST and old is GapReason.FILLED and one not in recorded)
            ):
                stands[one] = new
            if one in recorded:
                stands[one] = GapReason.FILLED
    return stands


@given(st.lists(ranges))
def test_union_and_runs(some: list[IdRange]) -> None:
    merged = union(some)
    assert one_by_one(merged) == one_by_one(some)
    assert_sorted_and_disjoint(merged)
    assert runs(sorted(one_by_one(some))) == merged


@given(ranges, st.lists(ranges))
def test_subtract(whole: IdRange, parts: list[IdRange]) -> None:
    left = subtract(whole, parts)
    assert one_by_one(left) == one_by_one([whole]) - one_by_one(parts)
    assert_sorted_and_disjoint(left)


@given(st.lists(holes, max_size=8), st.sets(ids))
def test_ledger_is_its_twin(words: list[Hole], recorded: set[int]) -> None:
    known: list[Hole] = []
    for word in words:
        known = rewrite(known, word, runs(sorted(recorded)))
        assert_sorted_and_disjoint([hole.ids for hole in known])
    assert reasons(known) == twin(words, recorded)


@given(st.lists(holes.filter(lambda hole: hole.reason not in WORDS), max_size=6), st.sets(ids), st.randoms())
def test_order_of_words_and_rows_does_not_matter(words: list[Hole], recorded: set[int], rng: object) -> None:
    rows = runs(sorted(recorded))
    early: list[Hole] = []
    for word in words:
        early = rewrite(early, word, rows)
    late: list[Hole] = []
    rng.shuffle(words)  # type: ignore[attr-defined]
    for word in words:
        late = rewrite(late, word, [])
    late = rewrite(late, None, rows)
    assert reasons(early) == reasons(late)


@given(ranges, st.lists(holes, max_size=5), st.sets(ids))
def test_lost_is_what_nothing_explains(overtaken: IdRange, words: list[Hole], recorded: set[int]) -> None:
    explained = one_by_one([hole.ids for hole in words if hole.reason is not GapReason.FILLED])
    assert one_by_one(unaccounted(overtaken, words, runs(sorted(recorded)))) == (
        one_by_one([overtaken]) - explained - recorded
    )
