"""Answers that fit into one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tapestream.common.contracts.messages import encode

REST_BYTES = 16_384
"""Kept free for all of an answer but its list."""
_T = TypeVar("_T")


def fitting(items: Sequence[_T], most_bytes: int) -> list[_T]:
    """As many of the first items as a message of so many bytes can hold."""
    left = most_bytes - REST_BYTES
    found: list[_T] = []
    for one in items:
        left -= len(encode(one)) + 1
        if left < 0:
            break
        found.append(one)
    return found
