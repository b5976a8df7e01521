"""A venue's request weight, spent no faster than it allows."""

from __future__ import annotations

BURST = 1 / 6
"""Part of a minute's weight that may go at once; the rest of it trickles in over the minute, so that
the two together never exceed what the venue counts in any minute."""


class WeightBudget:
    """A token bucket. ``spend`` returns how long to wait; the caller sleeps. Times are monotonic seconds."""

    def __init__(self, weight_per_minute: float, now_s: float) -> None:
        self._limit = weight_per_minute
        self._rate = weight_per_minute * (1 - BURST) / 60
        self._most = weight_per_minute * BURST
        self._have = self._most
        self._at = now_s
        self._barred_until = now_s

    def spend(self, weight: float, now_s: float) -> float:
        """Take ``weight`` and return the seconds to wait before the request may go out."""
        self._refill(now_s)
        self._have -= weight
        return max(0.0, -self._have / self._rate, self.barred(now_s))

    def until_spare(self, now_s: float) -> float:
        """Seconds until half of a burst is there: what can wait leaves that to what cannot."""
        self._refill(now_s)
        return max(0.0, (self._most / 2 - self._have) / self._rate, self.barred(now_s))

    def heard(self, used: float, now_s: float) -> None:
        """The venue said how much of this minute is used, also by others at our address."""
        self._refill(now_s)
        self._have = min(self._have, self._limit - used)

    def bar(self, seconds: float, now_s: float) -> None:
        """The venue said to stay away (429 or 418 with Retry-After)."""
        self._barred_until = max(self._barred_until, now_s + seconds)

    def barred(self, now_s: float) -> float:
        """Seconds until the venue may be asked again."""
        return max(0.0, self._barred_until - now_s)

    def _refill(self, now_s: float) -> None:
        self._have = min(self._most, self._have + (now_s - self._at) * self._rate)
        self._at = now_s
