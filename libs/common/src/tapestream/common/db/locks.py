"""Advisory locks: numbers that name a piece of work across processes.

A session lock goes with its connection, a transaction lock with its transaction: a killed process
leaves none behind.
"""

from __future__ import annotations

import hashlib


def lock_key(*words: str) -> int:
    """A signed 64-bit key for ``pg_advisory_lock``, the same in every process."""
    digest = hashlib.sha256("\0".join(("tapestream", *words)).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


MIGRATE = lock_key("migrate")
PARTITIONS = lock_key("partitions")
GAP_LEDGER = lock_key("gap ledger")
