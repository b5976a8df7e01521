"""A deterministic step from messages to messages, free of any I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Incoming(NamedTuple):
    """A stored message."""

    subject: str
    data: bytes
    head: bytes
    """Its headers, as they came: see :func:`~tapestream.common.bus.wire.read_headers`."""
    seq: int
    """Sequence in its stream."""
    stored_ns: int
    """When the stream stored it."""
    pending: int
    """How many more the stream holds for this reader."""
    stream: str
    """Name of its stream, without a system's prefix."""


class Output(NamedTuple):
    """A message that a fold derives."""

    subject: str
    key: str
    """Tells it from all others of its subject, and is the same whenever it is derived again."""
    payload: bytes


class Fold(Protocol):
    """State and how a message changes it: deterministic, without a clock."""

    def apply(self, message: Incoming) -> Iterable[Output]:
        """Take in a message. Raises ValueError, before changing anything, for one that cannot be read."""
        ...

    def dump(self) -> bytes: ...

    def load(self, data: bytes) -> None: ...
