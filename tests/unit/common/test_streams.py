"""Streams: together they stay within their part of the store, and no subject is in two."""

from __future__ import annotations

import pytest

from tapestream.common.contracts.streams import DISK_SHARE, stream_plans
from tapestream.common.contracts.subjects import Subjects

SYSTEMS = [Subjects(), Subjects("replay")]


def test_shares_add_up_to_at_most_one() -> None:
    shares = [plan.share for plan in stream_plans(Subjects())]

    assert all(share > 0 for share in shares)
    assert sum(shares) <= 1


@pytest.mark.parametrize("store_bytes", [1, 64 << 20, (10 << 30) + 7, 1 << 40])
def test_sizes_stay_within_four_fifths_of_the_store(store_bytes: int) -> None:
    subjects = Subjects()
    sizes = [plan.config(subjects, store_bytes).max_bytes for plan in stream_plans(subjects)]

    assert DISK_SHARE == 0.8
    assert sum(size or 0 for size in sizes) <= 0.8 * store_bytes


@pytest.mark.parametrize("subjects", SYSTEMS, ids=lambda one: one.prefix or "live")
def test_every_market_subject_is_in_one_stream(subjects: Subjects) -> None:
    held = [filter_ for plan in stream_plans(subjects) for filter_ in plan.subjects]

    assert len(held) == len(set(held))
    for kind in ("trade", "backfill", "quote", "kline", "clock", "bar", "gap"):
        assert subjects.market(kind) in held


def test_systems_share_no_name_and_no_subject() -> None:
    live, beside = (
        [plan.config(subjects, 1 << 30) for plan in stream_plans(subjects)] for subjects in SYSTEMS
    )

    assert not {one.name for one in live} & {one.name for one in beside}
    assert not {s for one in live for s in one.subjects or ()} & {
        s for one in beside for s in one.subjects or ()
    }


def test_no_size_is_zero_which_would_mean_unlimited() -> None:
    subjects = Subjects()

    assert all(plan.config(subjects, 64 << 20).max_bytes for plan in stream_plans(subjects))
