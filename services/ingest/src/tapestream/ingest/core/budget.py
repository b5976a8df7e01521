"""A venue's request weight, spent no faster than it allows."""

from __future__ import annotations


class WeightBudget:
    """A token bucket. ``spend`` returns how long to wait; the caller sleeps."""

    def __init__(self, weight_per_minute: float, now_s: float) -> None:
        self._rate = weight_per_minute / 60
        self._most = weight_per_minute / 6  # ten seconds' worth at once
        self._have = self._most
        self._at = now_s
        self._barred_until = 0.0

    def spend(self, weight: float, now_s: float) -> float:
        """Take ``weight`` and return the seconds to wait before the request may go out."""
        self._have = min(self._most, self._have + (now_s - self._at) * self._rate)
        self._at = now_s
        self._have -= weight
        wait_s = max(0.0, -self._have / self._rate)
        return max(wait_s, self._barred_until - now_s)

    def bar(self, seconds: float, now_s: float) -> None:
        """The venue said to stay away (429 or 418 with Retry-After)."""
        self._barred_until = max(self._barred_until, now_s + seconds)
