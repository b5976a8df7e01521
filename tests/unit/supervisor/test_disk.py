"""A full disk is news once, and so is room."""

from __future__ import annotations

from tapestream.common.supervisor.disk import FULL_BELOW_BYTES, ROOM_FROM_BYTES, DiskWatch


def test_each_change_is_told_once_and_the_edge_is_no_change() -> None:
    watch = DiskWatch()
    course = (
        ROOM_FROM_BYTES * 9, FULL_BELOW_BYTES, FULL_BELOW_BYTES - 1, 0, FULL_BELOW_BYTES,
        ROOM_FROM_BYTES - 1, ROOM_FROM_BYTES, FULL_BELOW_BYTES, 0,
    )  # fmt: skip
    seen = [(watch.look(free), watch.is_full) for free in course]
    news, same = True, False
    assert seen == [
        (same, False), (same, False), (news, True), (same, True), (same, True),
        (same, True), (news, False), (same, False), (news, True),
    ]  # fmt: skip
