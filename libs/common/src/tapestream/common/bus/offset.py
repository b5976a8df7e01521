"""A position in a stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offset:
    """A message of a stream, by its sequence and the time at which the stream stored it.

    The time tells whether it is still the same message: a crashed server gives sequences anew.
    """

    seq: int
    stored_ns: int
