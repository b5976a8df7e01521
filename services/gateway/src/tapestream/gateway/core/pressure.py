"""When a client is too slow: newest values only first, cut last."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    KEEP_UP = "keep_up"
    """Everything is written."""
    CONFLATE = "conflate"
    """Nothing is written now; the newest value of each topic waits."""
    CUT = "cut"


@dataclass(slots=True)
class Pressure:
    """Judges one client by the bytes that it has not read."""

    slow_bytes: int
    """Above this many unread bytes it is slow; below a quarter of them it has caught up."""
    slow_s: float
    """How long it may stay slow without catching up."""
    slow_since: float | None = None

    def judge(self, unread_bytes: int, now: float) -> Verdict:
        """``now`` is any clock in seconds that only grows."""
        if self.slow_since is None:
            if unread_bytes <= self.slow_bytes:
                return Verdict.KEEP_UP
            self.slow_since = now
            return Verdict.CONFLATE
        if unread_bytes <= self.slow_bytes // 4:
            self.slow_since = None
            return Verdict.KEEP_UP
        return Verdict.CUT if now - self.slow_since >= self.slow_s else Verdict.CONFLATE
