"""Noticing that the disk under the stream store is full, and that it is so no longer."""

from __future__ import annotations

from dataclasses import dataclass

FULL_BELOW_BYTES = 64 << 20
ROOM_FROM_BYTES = 128 << 20


@dataclass(slots=True)
class DiskWatch:
    """Judges free bytes. The two limits lie apart, so that a disk at the edge is reported once."""

    is_full: bool = False

    def look(self, free_bytes: int) -> bool:
        """Take in what is free now. True where this is news: see ``is_full``."""
        was_full = self.is_full
        self.is_full = free_bytes < (ROOM_FROM_BYTES if was_full else FULL_BELOW_BYTES)
        return self.is_full != was_full
